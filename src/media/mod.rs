//! What a file is, and what is left of it before others get it. Nothing here knows of requests,
//! rows or buckets: files on a disk in, facts and cleaned files out.
//!
//! # What is done with what
//! The type is read from the content ([`judge()`]), has to be in the allow-list, and has to agree with
//! what the sender declares; `application/octet-stream` declares nothing. The name decides only
//! where the content leaves a choice.
//!
//! | content | what is done |
//! |---|---|
//! | JPEG, PNG, GIF, WebP | taken apart and put together again from known parts, decoded as a whole; what is behind the end is cut off. Shown inline |
//! | MP4, QuickTime | taken; where a video says where it was made, that is blanked. Shown inline |
//! | WebM, MP3, AAC, Ogg, WAV, FLAC | taken as it is. Shown inline |
//! | PDF, RTF, office files, ZIP and other archives, UTF-8 text | taken as it is, never opened; only for saving |
//! | HTML, SVG, XML, scripts, programs | refused: by content, and by names that systems run |
//! | HEIC, AVIF, BMP, TIFF and all else | refused |
//!
//! A file that is two things at once (a polyglot) is served as the one that it was judged to be,
//! with `nosniff`: an image lost its other half when it was put together again, a page in front of a
//! PDF is a page, and a page behind a PDF's beginning is only for saving.
//!
//! # Images
//! They are cleaned without loss: the compressed pixels are copied, and of all around them only what
//! is needed to decode them. So no EXIF, GPS, XMP, comment, profile or thumbnail of the sender's
//! device is left, and no generation of quality is lost. What turns the picture upright is kept, as
//! the only entry of a new EXIF block. Animations stay animations (but for PNG, of which the still
//! picture stays). Then the cleaned file is decoded as a whole, under [`limits`], and what fails is
//! refused: nobody gets an image that was not decoded here first. A hostile *pixel* stream survives
//! that, as it survives encoding anew; what makes it harmless is the type that it is served with.
//!
//! # Failure
//! Decoders are written for hostile files, and still a panic in one is taken for a broken file.

mod images;
mod judge;
pub mod limits;
pub mod name;
mod picture;
#[cfg(test)]
mod tests;
mod timed;
mod types;
mod workers;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

pub use self::judge::{SNIFF_BYTES, judge, may_show_inline};
pub use self::picture::{Picture, Size, Thumbnail};
pub use self::workers::Workers;
use crate::error::Error;
use crate::model::file::FileKind;

/// What a file was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub mime: &'static str,
    pub kind: FileKind,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the file is empty")]
    Empty,
    #[error("{0}")]
    Unsupported(&'static str),
    /// It could run where it is opened.
    #[error("{0}")]
    Active(&'static str),
    #[error("the content is not of the declared type")]
    Mismatch,
    #[error("{0}")]
    Broken(&'static str),
    /// Beyond what is decoded here.
    #[error("{0}")]
    TooMuch(&'static str),
    /// The disk, not the file.
    #[error("the file cannot be read or written")]
    Io(#[source] io::Error),
}

impl From<io::Error> for Refused {
    /// Readers say by these kinds what is wrong with the file.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("the file is cut off"),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Broken("the file is damaged")
            }
            io::ErrorKind::TimedOut => Self::TooMuch("the file takes too long to read"),
            _ => Self::Io(error),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unsupported(why) | Refused::Active(why) => Self::UnsupportedMedia(why),
            Refused::Mismatch => Self::UnsupportedMedia("the content is not of the declared type"),
            Refused::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => {
                Self::unavailable("room for files")
            }
            Refused::Io(cause) => Self::internal(cause),
            refused => Self::invalid("file", refused.to_string()),
        }
    }
}

/// What is told of a file beside its type and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// As it is seen, so after turning it upright.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration: Option<Duration>,
}

#[derive(Debug)]
pub struct Examined {
    pub facts: Facts,
    /// Whether `out` holds what is to be kept in place of the file. Always so for images.
    pub rewritten: bool,
    /// Of an image: what thumbnails are made of, so that it is decoded once.
    pub picture: Option<Picture>,
}

/// Looks into a file and cleans it. Blocks: run it in [`Workers`]. `out` is made anew where the file
/// is rewritten, and is no good when this fails.
///
/// # Errors
/// `Broken`, `TooMuch` and `Unsupported` for images and text; of sound and video that cannot be
/// read, only the facts are missing. `Io`.
pub fn examine(path: &Path, verdict: &Verdict, out: &Path) -> Result<Examined, Refused> {
    unbroken(|| match verdict.kind {
        FileKind::Image => images::clean(path, verdict.mime, out),
        FileKind::Audio | FileKind::Video => timed::examine(path, verdict, out),
        FileKind::Document => {
            if verdict.mime.starts_with("text/") || verdict.mime == "application/json" {
                judge::check_text(path)?;
            }
            Ok(Examined { facts: Facts::default(), rewritten: false, picture: None })
        }
    })
}

/// One thumbnail of an image that was examined. Where several are wanted, [`Picture`] decodes once.
/// Blocks.
///
/// # Errors
/// As [`examine`]; `Unsupported` for what is no image.
pub fn thumbnail(path: &Path, verdict: &Verdict, size: Size) -> Result<Thumbnail, Refused> {
    Picture::open(path, verdict)?.thumbnail(size)
}

/// A panic of a decoder is one more way to say that the file is damaged.
fn unbroken<T>(work: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("a decoder panicked over a file");
        Err(Refused::Broken("the file is damaged"))
    })
}
