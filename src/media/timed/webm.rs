//! WebM: elements in elements, with numbers of varying length.
//!
//! Browsers record voice without writing how long it was, so then the time of the last block is
//! what counts.

use std::path::Path;
use std::time::Duration;

use crate::media::limits::Source;
use crate::media::{Facts, Refused};

/// Blocks of some ten hours.
const MAX_ELEMENTS: u32 = 2_000_000;

const DAMAGED: Refused = Refused::Broken("the WebM is damaged");

/// What holds others, and is entered. Its end does not matter, since all that is looked for is
/// named once.
const ENTERED: [u32; 7] = [
    0x1853_8067, // Segment
    0x1549_a966, // Info
    0x1654_ae6b, // Tracks
    0xae,        // TrackEntry
    0xe0,        // Video
    CLUSTER,
    0xa0, // BlockGroup
];
const CLUSTER: u32 = 0x1f43_b675;

#[derive(Default)]
struct Read {
    facts: Facts,
    /// Nanoseconds a unit.
    scale: Option<u64>,
    units: Option<f64>,
    cluster: u64,
    last_block: u64,
}

pub(super) fn read(path: &Path) -> Result<Facts, Refused> {
    let mut source = Source::open(path)?;
    let mut read = Read::default();
    for _ in 0..MAX_ELEMENTS {
        // What was read before the end, or before the damage, counts.
        match read.element(&mut source) {
            Ok(true) => {}
            Err(Refused::Io(error)) => return Err(Refused::Io(error)),
            Ok(false) | Err(_) => break,
        }
    }
    Ok(read.facts())
}

impl Read {
    /// Reads the next element; `false` when all is known.
    fn element(&mut self, source: &mut Source) -> Result<bool, Refused> {
        let (id, length) = number(source, true)?;
        let id = u32::try_from(id).map_err(|_| DAMAGED)?;
        if length > 4 {
            return Err(DAMAGED);
        }
        let (bytes, _) = number(source, false)?;
        if id == CLUSTER && self.units.is_some() {
            return Ok(false);
        }
        if ENTERED.contains(&id) {
            return Ok(true);
        }
        match (id, bytes) {
            (0x002a_d7b1, 1..=8) => self.scale = Some(uint(source, bytes)?),
            (0x4489, 4) => self.units = Some(f32::from_be_bytes(source.array()?).into()),
            (0x4489, 8) => self.units = Some(f64::from_be_bytes(source.array()?)),
            (0xb0, 1..=8) => self.facts.width = u32::try_from(uint(source, bytes)?).ok(),
            (0xba, 1..=8) => self.facts.height = u32::try_from(uint(source, bytes)?).ok(),
            (0xe7, 1..=8) => {
                self.cluster = uint(source, bytes)?;
                self.last_block = self.last_block.max(self.cluster);
            }
            (0xa3 | 0xa1, 4..) => {
                let (_, length) = number(source, false)?;
                let offset = i16::from_be_bytes(source.array()?);
                let time = self.cluster.saturating_add_signed(offset.into());
                self.last_block = self.last_block.max(time);
                source.skip(bytes.saturating_sub(length + 2))?;
            }
            _ => source.skip(bytes)?,
        }
        Ok(true)
    }

    fn facts(self) -> Facts {
        let scale = self.scale.unwrap_or(1_000_000);
        #[expect(clippy::cast_precision_loss, reason = "it is told in milliseconds")]
        let units = self.units.unwrap_or(self.last_block as f64);
        #[expect(clippy::cast_precision_loss, reason = "it is told in milliseconds")]
        let seconds = units * scale as f64 / 1e9;
        Facts { duration: Duration::try_from_secs_f64(seconds).ok(), ..self.facts }
    }
}

/// A number that says its length by its first bits, and that length. Ids keep those bits.
fn number(source: &mut Source, keeps_marker: bool) -> Result<(u64, u64), Refused> {
    let first = source.byte()?;
    let more = first.leading_zeros();
    if more > 7 {
        return Err(DAMAGED);
    }
    let mask = if keeps_marker { 0xff } else { 0x7f_u8.checked_shr(more).unwrap_or_default() };
    let mut value = u64::from(first & mask);
    for _ in 0..more {
        value = (value << 8) | u64::from(source.byte()?);
    }
    Ok((value, u64::from(more) + 1))
}

fn uint(source: &mut Source, bytes: u64) -> Result<u64, Refused> {
    let mut value = 0;
    for _ in 0..bytes {
        value = (value << 8) | u64::from(source.byte()?);
    }
    Ok(value)
}
