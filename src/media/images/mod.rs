//! Images: taken apart, put together again from what is known, and decoded as a whole.
//!
//! Each format has `clean`, which copies what is needed and drops the rest, and `decode`, which
//! reads the cleaned file to its end and gives a reduced [`Picture`]. Cleaning never needs more
//! memory than one segment; decoding first reckons what it will need.

mod colour;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod reduce;
mod webp;

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::limits::Source;
use super::picture::Picture;
use super::{Examined, Facts, Refused};

/// What the parts of a format said, before anything is decoded.
enum Outline {
    Jpeg(jpeg::Frame),
    Png(png::Header),
    Gif,
    WebP(webp::Header),
}

/// Cleans the image at `path` into `out`, and decodes that.
pub(super) fn clean(path: &Path, mime: &str, out: &Path) -> Result<Examined, Refused> {
    let mut cleaned = BufWriter::with_capacity(64 << 10, File::create(out)?);
    let outline = outline(path, mime, &mut cleaned)?;
    cleaned.flush()?;
    drop(cleaned);
    let picture = decode(out, &outline)?;
    let (width, height) = picture.full_size();
    let facts = Facts { width: Some(width), height: Some(height), duration: None };
    Ok(Examined { facts, rewritten: true, picture: Some(picture) })
}

/// Decodes the image at `path`, which need not be a cleaned one.
pub(super) fn open(path: &Path, mime: &str) -> Result<Picture, Refused> {
    let outline = outline(path, mime, &mut io::empty())?;
    decode(path, &outline)
}

fn outline(path: &Path, mime: &str, out: &mut (impl Write + Seek)) -> Result<Outline, Refused> {
    let mut source = Source::open(path)?;
    Ok(match mime {
        "image/jpeg" => Outline::Jpeg(jpeg::clean(&mut source, out)?),
        "image/png" => Outline::Png(png::clean(&mut source, out)?),
        "image/gif" => {
            gif::clean(&mut source, out)?;
            Outline::Gif
        }
        "image/webp" => Outline::WebP(webp::clean(&mut source, out)?),
        _ => return Err(Refused::Unsupported("this is no image")),
    })
}

fn decode(path: &Path, outline: &Outline) -> Result<Picture, Refused> {
    let source = Source::open(path)?;
    match outline {
        Outline::Jpeg(frame) => jpeg::decode(source, frame),
        Outline::Png(header) => png::decode(source, header),
        Outline::Gif => gif::decode(source),
        Outline::WebP(header) => webp::decode(source, header),
    }
}
