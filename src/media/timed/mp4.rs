//! MP4 and QuickTime: boxes in boxes. Reads what the movie says of itself, and finds the boxes in
//! which cameras and programs leave notes: the place, the device, the author.
//!
//! Those are blanked where they stand, without moving anything, since the places of all sound and
//! pictures are written down elsewhere in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use super::fragments::{Fragments, be32, be64};
use crate::media::limits::Source;
use crate::media::{Facts, Refused};

/// A recording of some hours, in fragments of a second.
const MAX_BOXES: u32 = 200_000;
const MAX_DEPTH: u8 = 4;

/// Notes of a real movie; each is a place to write to.
const MAX_NOTES: usize = 256;

/// What is read of one box: the samples of a minute.
const MAX_PAYLOAD_BYTES: u64 = 64 << 10;

const DAMAGED: Refused = Refused::Broken("the movie is damaged");

#[derive(Default)]
pub(in crate::media) struct Movie {
    pub(in crate::media) facts: Facts,
    pub(super) notes: Vec<Note>,
}

/// A box that is to be blanked.
pub(super) struct Note {
    /// Where its type stands.
    kind_place: u64,
    payload_place: u64,
    payload_bytes: u64,
}

struct Walk {
    source: Source,
    boxes: u32,
    movie: Movie,
    /// Units a second.
    scale: u32,
    units: u64,
    fragments: Fragments,
}

/// A box's frame, and where its payload lies.
struct Start {
    kind: [u8; 4],
    kind_place: u64,
    payload: u64,
    end: u64,
}

/// What is read before the movie is found to be damaged still counts: notes above all.
pub(super) fn read(path: &Path) -> Result<Movie, Refused> {
    let source = Source::open(path)?;
    let end = source.len()?;
    let mut walk = Walk {
        source,
        boxes: 0,
        movie: Movie::default(),
        scale: 0,
        units: 0,
        fragments: Fragments::default(),
    };
    if let Err(Refused::Io(error)) = walk.boxes(0, end, 0) {
        return Err(Refused::Io(error));
    }
    // All ones where it is not known.
    let is_known = walk.units != u64::from(u32::MAX) && walk.units != u64::MAX;
    if walk.scale > 0 && is_known {
        let millis = u128::from(walk.units) * 1000 / u128::from(walk.scale);
        walk.movie.facts.duration = u64::try_from(millis).ok().map(Duration::from_millis);
    }
    if walk.movie.facts.duration.is_none_or(|time| time.is_zero()) {
        walk.movie.facts.duration = walk.fragments.millis().map(Duration::from_millis);
    }
    Ok(walk.movie)
}

impl Walk {
    fn boxes(&mut self, from: u64, end: u64, depth: u8) -> Result<(), Refused> {
        let mut at = from;
        while end.saturating_sub(at) >= 8 {
            self.boxes += 1;
            if self.boxes > MAX_BOXES {
                return Err(DAMAGED);
            }
            let start = self.start(at, end)?;
            at = start.end;
            match &start.kind {
                b"moov" | b"trak" | b"mdia" | b"mvex" | b"moof" | b"traf" if depth < MAX_DEPTH => {
                    self.boxes(start.payload, start.end, depth + 1)?;
                }
                b"mvhd" => self.duration(&start)?,
                b"mehd" => self.fragments(&start)?,
                b"tkhd" | b"mdhd" | b"trex" | b"tfhd" | b"tfdt" | b"trun" => {
                    let payload = self.payload(&start)?;
                    self.fragments.read(start.kind, &payload);
                    if &start.kind == b"tkhd" {
                        self.track(&payload);
                    }
                }
                b"udta" | b"meta" | b"uuid" => self.note(&start)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn start(&mut self, at: u64, end: u64) -> Result<Start, Refused> {
        self.source.seek(SeekFrom::Start(at))?;
        let bytes = u32::from_be_bytes(self.source.array()?);
        let kind = self.source.array()?;
        let (header, bytes) = match bytes {
            // To the end of what it stands in.
            0 => (8, end - at),
            1 => (16, u64::from_be_bytes(self.source.array()?)),
            bytes => (8, u64::from(bytes)),
        };
        let box_end = at.checked_add(bytes).filter(|box_end| *box_end <= end && bytes >= header);
        let box_end = box_end.ok_or(DAMAGED)?;
        Ok(Start { kind, kind_place: at + 4, payload: at + header, end: box_end })
    }

    fn note(&mut self, start: &Start) -> Result<(), Refused> {
        if self.movie.notes.len() == MAX_NOTES {
            return Err(DAMAGED);
        }
        self.movie.notes.push(Note {
            kind_place: start.kind_place,
            payload_place: start.payload,
            payload_bytes: start.end - start.payload,
        });
        Ok(())
    }

    fn payload(&mut self, start: &Start) -> Result<Vec<u8>, Refused> {
        self.source.seek(SeekFrom::Start(start.payload))?;
        let bytes = (start.end - start.payload).min(MAX_PAYLOAD_BYTES);
        Ok(self.source.vec(usize::try_from(bytes).map_err(|_| DAMAGED)?)?)
    }

    fn duration(&mut self, start: &Start) -> Result<(), Refused> {
        let header = self.payload(start)?;
        let read = if header.first() == Some(&0) {
            be32(&header, 12).zip(be32(&header, 16).map(u64::from))
        } else {
            be32(&header, 20).zip(be64(&header, 24))
        };
        (self.scale, self.units) = read.ok_or(DAMAGED)?;
        Ok(())
    }

    /// The length of a movie in fragments stands apart, if at all.
    fn fragments(&mut self, start: &Start) -> Result<(), Refused> {
        let header = self.payload(start)?;
        let is_short = header.first() == Some(&0);
        let units = if is_short { be32(&header, 4).map(u64::from) } else { be64(&header, 4) };
        self.units = self.units.max(units.unwrap_or_default());
        Ok(())
    }

    fn track(&mut self, header: &[u8]) {
        let shift = if header.first() == Some(&0) { 0 } else { 12 };
        let part = |at: usize| be32(header, at + shift).unwrap_or_default();
        // Fixed point: the whole pixels are the upper half.
        let (width, height) = (part(76) >> 16, part(80) >> 16);
        if width == 0 || height == 0 || self.movie.facts.width.is_some() {
            return;
        }
        // A matrix that puts x for y: turned by a quarter.
        let is_turned = part(40) == 0 && part(56) == 0 && part(44) != 0;
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        (self.movie.facts.width, self.movie.facts.height) = (Some(width), Some(height));
    }
}

/// Copies a movie without its notes: free space of the same length.
pub(super) fn blank(path: &Path, out: &Path, notes: &[Note]) -> Result<(), Refused> {
    fs::copy(path, out)?;
    let mut copy: File = OpenOptions::new().write(true).open(out)?;
    for note in notes {
        copy.seek(SeekFrom::Start(note.kind_place))?;
        copy.write_all(b"free")?;
        copy.seek(SeekFrom::Start(note.payload_place))?;
        std::io::copy(&mut std::io::repeat(0).take(note.payload_bytes), &mut copy)?;
    }
    Ok(())
}
