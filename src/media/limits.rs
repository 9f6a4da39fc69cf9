//! What a file may cost: each limit is looked at before the memory or the time is spent.
//!
//! Sizes stand in headers, so what decoding will take is computed and compared first. Files are read
//! as streams, never whole, but for a WebP, which counts towards its own estimate. Every reader also
//! looks at the clock, for what no header tells.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use super::Refused;

/// What one job may hold at its worst, beside the file cache of the system.
pub const MAX_MEMORY_BYTES: u64 = 64 << 20;

/// The part of it for decoding; the rest is for reduced pictures and buffers.
pub(super) const MAX_DECODE_BYTES: u64 = 56 << 20;

/// A phone's 64-megapixel picture fits, its 108-megapixel one does not.
pub(super) const MAX_PIXELS: u64 = 64 << 20;

/// Long screenshots fit.
pub(super) const MAX_EDGE: u32 = 32_767;

/// Of one animation.
pub(super) const MAX_FRAMES: u32 = 2_000;

/// Over all frames of one animation: a second or two of a core.
pub(super) const MAX_GIF_PIXELS: u64 = 256 << 20;
/// The same time, for what takes four times as long.
pub(super) const MAX_WEBP_PIXELS: u64 = 80 << 20;

/// What the rows of one PNG may unpack to.
pub(super) const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// Scans of a progressive JPEG: encoders write about ten.
pub(super) const MAX_SCANS: u32 = 32;

/// Pixels times scans: each scan passes over all of them.
pub(super) const MAX_SCANNED_PIXELS: u64 = 320 << 20;

/// A job that takes longer than this is stopped at its next read. The worst take two seconds of a
/// core, so it is for what nobody has thought of, on a busy machine too.
pub(super) const MAX_TIME: Duration = Duration::from_secs(30);

/// Width and height that may be decoded at all.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), Refused> {
    if width == 0 || height == 0 {
        return Err(Refused::Broken("the picture has no size"));
    }
    if width.max(height) > MAX_EDGE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Refused::TooMuch("the picture has too many pixels"));
    }
    Ok(())
}

pub(super) fn check_memory(bytes: u64) -> Result<(), Refused> {
    if bytes > MAX_DECODE_BYTES {
        return Err(Refused::TooMuch("the picture takes too much memory to decode"));
    }
    Ok(())
}

/// The frames of an animation that were met.
pub(super) struct Frames {
    count: u32,
    pixels_left: u64,
}

impl Frames {
    pub(super) fn within(pixels: u64) -> Self {
        Self { count: 0, pixels_left: pixels }
    }

    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    pub(super) fn add(&mut self, width: u32, height: u32) -> Result<(), Refused> {
        self.count += 1;
        let left = self.pixels_left.checked_sub(u64::from(width) * u64::from(height));
        self.pixels_left = left
            .filter(|_| self.count <= MAX_FRAMES)
            .ok_or(Refused::TooMuch("the animation has too many frames"))?;
        Ok(())
    }
}

/// A file that is read until the job's time is over.
pub(super) struct Source {
    file: BufReader<File>,
    deadline: Instant,
}

impl Source {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(64 << 10, File::open(path)?);
        Ok(Self { file, deadline: Instant::now() + MAX_TIME })
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.get_ref().metadata()?.len())
    }

    /// # Errors
    /// `TimedOut` when the job has had its time.
    pub(super) fn check_time(&self) -> io::Result<()> {
        if Instant::now() > self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// The next `bytes`, which the caller has bounded.
    pub(super) fn vec(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.read_exact(&mut read)?;
        Ok(read)
    }

    /// Copies the next `bytes` exactly.
    pub(super) fn copy(&mut self, bytes: u64, out: &mut impl io::Write) -> io::Result<()> {
        if io::copy(&mut self.by_ref().take(bytes), out)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Passes over the next `bytes`, which need not be there.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.check_time()?;
        let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.file.seek_relative(bytes)
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Only where the disk is read: the clock would cost more than the byte.
        if self.file.buffer().is_empty() {
            self.check_time()?;
        }
        self.file.read(into)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.file.buffer().is_empty() {
            self.check_time()?;
        }
        self.file.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.file.consume(bytes);
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.check_time()?;
        // Short ways stay within what is read already.
        if let SeekFrom::Current(bytes) = to {
            self.file.seek_relative(bytes)?;
            return self.file.stream_position();
        }
        self.file.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.file.stream_position()
    }
}
