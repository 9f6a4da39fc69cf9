//! MP4 and QuickTime: boxes in boxes. Reads what the movie says of itself, and finds the boxes in
//! which cameras and programs leave notes: the place, the device, the author.
//!
//! Those are blanked where they stand, without moving anything, since the places of all sound and
//! pictures are written down elsewhere in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::media::limits::Source;
use crate::media::{Facts, Refused};

/// Far more than a movie has tracks and notes.
const MAX_BOXES: u32 = 4096;
const MAX_DEPTH: u8 = 4;

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
    let mut walk = Walk { source, boxes: 0, movie: Movie::default(), scale: 0, units: 0 };
    if let Err(Refused::Io(error)) = walk.boxes(0, end, 0) {
        return Err(Refused::Io(error));
    }
    // All ones where it is not known.
    let is_known = walk.units != u64::from(u32::MAX) && walk.units != u64::MAX;
    if walk.scale > 0 && is_known {
        let millis = u128::from(walk.units) * 1000 / u128::from(walk.scale);
        walk.movie.facts.duration = u64::try_from(millis).ok().map(Duration::from_millis);
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
                b"moov" | b"trak" | b"mvex" if depth < MAX_DEPTH => {
                    self.boxes(start.payload, start.end, depth + 1)?;
                }
                b"mvhd" => self.duration(&start)?,
                b"mehd" => self.fragments(&start)?,
                b"tkhd" => self.track(&start)?,
                b"udta" | b"meta" | b"uuid" => self.movie.notes.push(Note {
                    kind_place: start.kind_place,
                    payload_place: start.payload,
                    payload_bytes: start.end - start.payload,
                }),
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

    /// The first bytes of a payload, all of which have to be there.
    fn payload<const N: usize>(&mut self, start: &Start) -> Result<[u8; N], Refused> {
        if start.end - start.payload < N as u64 {
            return Err(DAMAGED);
        }
        self.source.seek(SeekFrom::Start(start.payload))?;
        Ok(self.source.array()?)
    }

    fn duration(&mut self, start: &Start) -> Result<(), Refused> {
        if self.payload::<1>(start)? == [0] {
            let header: [u8; 20] = self.payload(start)?;
            (self.scale, self.units) = (be32(&header, 12), be32(&header, 16).into());
        } else {
            let header: [u8; 32] = self.payload(start)?;
            (self.scale, self.units) = (be32(&header, 20), be64(&header, 24));
        }
        Ok(())
    }

    /// The length of a movie in fragments stands apart.
    fn fragments(&mut self, start: &Start) -> Result<(), Refused> {
        let units = if self.payload::<1>(start)? == [0] {
            be32(&self.payload::<8>(start)?, 4).into()
        } else {
            be64(&self.payload::<12>(start)?, 4)
        };
        self.units = self.units.max(units);
        Ok(())
    }

    fn track(&mut self, start: &Start) -> Result<(), Refused> {
        let shift: usize = if self.payload::<1>(start)? == [0] { 0 } else { 12 };
        // The longer form is read where there is one; the shorter ends earlier.
        let mut header = [0; 96];
        let bytes = 84 + shift;
        if start.end - start.payload < bytes as u64 {
            return Err(DAMAGED);
        }
        self.source.seek(SeekFrom::Start(start.payload))?;
        self.source.read_exact(&mut header[..bytes])?;
        let part = |at: usize| be32(&header, at + shift);
        // Fixed point: the whole pixels are the upper half.
        let (width, height) = (part(76) >> 16, part(80) >> 16);
        if width == 0 || height == 0 || self.movie.facts.width.is_some() {
            return Ok(());
        }
        // A matrix that puts x for y: turned by a quarter.
        let is_turned = part(40) == 0 && part(56) == 0 && part(44) != 0;
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        (self.movie.facts.width, self.movie.facts.height) = (Some(width), Some(height));
        Ok(())
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

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |value, byte| (value << 8) | u32::from(*byte))
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    (u64::from(be32(bytes, at)) << 32) | u64::from(be32(bytes, at + 4))
}
