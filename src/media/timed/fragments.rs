//! Movies in fragments, as browsers record them: no header says how long they are, so the samples
//! of each fragment are added up.

/// A movie has a few tracks; more are not followed.
const MAX_TRACKS: usize = 16;

struct Track {
    id: u32,
    /// Units a second.
    scale: u32,
    /// Of a sample that does not say how long it is.
    sample: u32,
    /// Where its last sample ends, in units.
    end: u64,
}

#[derive(Default)]
pub(super) struct Fragments {
    tracks: Vec<Track>,
    /// The track that the fragment belongs to, by its place, and what its samples take.
    current: Option<(usize, u32)>,
}

impl Fragments {
    /// Reads the payload of a box; one that is damaged says nothing.
    pub(super) fn read(&mut self, kind: [u8; 4], payload: &[u8]) -> Option<()> {
        let is_long = *payload.first()? != 0;
        match &kind {
            b"tkhd" if self.tracks.len() < MAX_TRACKS => {
                let id = be32(payload, if is_long { 20 } else { 12 })?;
                self.tracks.push(Track { id, scale: 0, sample: 0, end: 0 });
            }
            b"mdhd" => {
                let scale = be32(payload, if is_long { 20 } else { 12 })?;
                self.tracks.last_mut()?.scale = scale;
            }
            b"trex" => {
                let (id, sample) = (be32(payload, 4)?, be32(payload, 12)?);
                self.tracks.iter_mut().find(|track| track.id == id)?.sample = sample;
            }
            b"tfhd" => self.current = self.header(payload),
            b"tfdt" => {
                let start = if is_long { be64(payload, 4)? } else { be32(payload, 4)?.into() };
                let (track, _) = self.current?;
                self.tracks[track].end = start;
            }
            b"trun" => {
                let (track, sample) = self.current?;
                let taken = samples(payload, sample)?;
                let end = &mut self.tracks[track].end;
                *end = end.saturating_add(taken);
            }
            _ => {}
        }
        Some(())
    }

    fn header(&self, payload: &[u8]) -> Option<(usize, u32)> {
        let (flags, id) = (be32(payload, 0)?, be32(payload, 4)?);
        let track = self.tracks.iter().position(|track| track.id == id)?;
        // The place of the data and the kind of sample come first, where they are there.
        let at = 8 + if flags & 1 == 0 { 0 } else { 8 } + if flags & 2 == 0 { 0 } else { 4 };
        let sample = if flags & 8 == 0 { self.tracks[track].sample } else { be32(payload, at)? };
        Some((track, sample))
    }

    /// The longest track, in milliseconds.
    pub(super) fn millis(&self) -> Option<u64> {
        let millis = |track: &Track| {
            let millis = u128::from(track.end) * 1000 / u128::from(track.scale.max(1));
            u64::try_from(millis).ok().filter(|millis| *millis > 0)
        };
        self.tracks.iter().filter_map(millis).max()
    }
}

/// What the samples of a run take, in units.
fn samples(payload: &[u8], sample: u32) -> Option<u64> {
    let (flags, count) = (be32(payload, 0)?, be32(payload, 4)?);
    if flags & 0x100 == 0 {
        return Some(u64::from(count) * u64::from(sample));
    }
    let has = |flag: u32| usize::from(flags & flag != 0);
    let first = 8 + 4 * (has(1) + has(4));
    let bytes = 4 * (1 + has(0x200) + has(0x400) + has(0x800));
    let runs = payload.get(first..)?.chunks_exact(bytes).take(count as usize);
    Some(runs.filter_map(|run| be32(run, 0)).map(u64::from).sum())
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
