//! Sound and video: how long it is, and how large the picture. Only headers are read, nothing is
//! decoded. What cannot be read is missing, and no reason to refuse: players forgive much.
//!
//! Of MP4 and QuickTime, also what names the place where a video was made is blanked.

mod fragments;
mod mp4;
mod webm;

use std::path::Path;
use std::time::Duration;

use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::{AudioFile as _, FileType};
use lofty::probe::Probe;

use self::mp4::Movie;
use super::limits::Source;
use super::{Examined, Facts, Refused, Verdict, unbroken};
use crate::model::file::FileKind;

/// Longer than this is a broken header.
const MAX_DURATION: Duration = Duration::from_hours(1000);

pub(super) fn examine(path: &Path, verdict: &Verdict, out: &Path) -> Result<Examined, Refused> {
    let mut movie = match unbroken(|| read(path, verdict.mime)) {
        Ok(movie) => movie,
        Err(Refused::Io(error)) => return Err(Refused::Io(error)),
        Err(_) => Movie::default(),
    };
    movie.facts.duration =
        movie.facts.duration.filter(|time| !time.is_zero() && *time < MAX_DURATION);
    let is_video = verdict.kind == FileKind::Video;
    if !is_video {
        (movie.facts.width, movie.facts.height) = (None, None);
    }
    // The notes in music are its title and artist.
    let rewritten = is_video && !movie.notes.is_empty();
    if rewritten {
        mp4::blank(path, out, &movie.notes)?;
    }
    Ok(Examined { facts: movie.facts, rewritten, picture: None })
}

pub(super) fn read(path: &Path, mime: &str) -> Result<Movie, Refused> {
    let facts = match mime {
        "video/mp4" | "video/quicktime" | "audio/mp4" => return mp4::read(path),
        "video/webm" | "audio/webm" => webm::read(path)?,
        _ => sound(path, mime)?,
    };
    Ok(Movie { facts, notes: Vec::new() })
}

fn sound(path: &Path, mime: &str) -> Result<Facts, Refused> {
    let mut source = Source::open(path)?;
    let kind = match mime {
        "audio/mpeg" => FileType::Mpeg,
        "audio/aac" => FileType::Aac,
        "audio/wav" => FileType::Wav,
        "audio/flac" => FileType::Flac,
        _ => ogg(&mut source)?,
    };
    let options = ParseOptions::new()
        .read_tags(false)
        .read_cover_art(false)
        .parsing_mode(ParsingMode::Relaxed);
    let read = Probe::with_file_type(source, kind).options(options).read();
    let read = read.map_err(|_| Refused::Broken("the sound cannot be read"))?;
    Ok(Facts { duration: Some(read.properties().duration()), ..Facts::default() })
}

/// What is in the first packet.
fn ogg(source: &mut Source) -> Result<FileType, Refused> {
    use std::io::{Seek as _, SeekFrom};

    let page: [u8; 27] = source.array()?;
    source.skip(page[26].into())?;
    let packet: [u8; 7] = source.array()?;
    source.seek(SeekFrom::Start(0))?;
    match &packet {
        b"OpusHea" => Ok(FileType::Opus),
        b"\x01vorbis" => Ok(FileType::Vorbis),
        _ => Err(Refused::Unsupported("this kind of Ogg is not read")),
    }
}
