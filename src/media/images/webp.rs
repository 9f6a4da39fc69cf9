//! WebP: the bitstreams, alpha and the animation's frames are copied, all other chunks dropped.
//!
//! A still picture has to be decoded as a whole, so the largest that is taken is smaller than that
//! of other formats: some twelve megapixels.

use std::io::{Seek, SeekFrom, Write};

use image::metadata::Orientation;
use image_webp::{DecodingError, WebPDecoder};

use super::orientation::{exif, is_upright, of_exif};
use super::reduce::Reducer;
use crate::media::Refused;
use crate::media::limits::{Frames, MAX_WEBP_PIXELS, Source, check_memory, check_size};
use crate::media::picture::Picture;

const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const ANIMATION: u8 = 0x02;

/// An EXIF block that is larger is not looked into.
const MAX_EXIF_BYTES: u32 = 64 << 10;

const DAMAGED: Refused = Refused::Broken("the WebP is damaged");

pub(super) struct Header {
    width: u32,
    height: u32,
    orientation: Orientation,
}

/// Where the flags of the extended header stand.
const FLAGS_PLACE: u64 = 20;

struct Cleaner<'a, W> {
    source: &'a mut Source,
    out: &'a mut W,
    size: Option<(u32, u32)>,
    flags: Option<u8>,
    orientation: Orientation,
    frames: Frames,
    has_picture: bool,
}

pub(super) fn clean(source: &mut Source, out: &mut (impl Write + Seek)) -> Result<Header, Refused> {
    let [b'R', b'I', b'F', b'F', a, b, c, d, b'W', b'E', b'B', b'P'] = source.array()? else {
        return Err(DAMAGED);
    };
    let bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
    if bytes + 8 > source.len()? {
        return Err(Refused::Broken("the file is cut off"));
    }
    out.write_all(b"RIFF\0\0\0\0WEBP")?;
    let mut cleaner = Cleaner {
        source,
        out,
        size: None,
        flags: None,
        orientation: Orientation::NoTransforms,
        frames: Frames::within(MAX_WEBP_PIXELS),
        has_picture: false,
    };
    // What is behind the declared end is not read.
    cleaner.chunks(bytes.checked_sub(4).ok_or(DAMAGED)?)?;
    cleaner.finish()
}

impl<W: Write + Seek> Cleaner<'_, W> {
    fn chunks(&mut self, mut left: u64) -> Result<(), Refused> {
        while left >= 8 {
            let (kind, bytes) = self.start(&mut left)?;
            self.chunk(kind, bytes)?;
        }
        Ok(())
    }

    /// Reads the start of a chunk that lies within what is left.
    fn start(&mut self, left: &mut u64) -> Result<([u8; 4], u32), Refused> {
        let kind = self.source.array()?;
        let bytes = u32::from_le_bytes(self.source.array()?);
        // Some writers leave out the last padding.
        let padded = (u64::from(bytes) + 8 + u64::from(bytes & 1)).min(*left);
        if padded < u64::from(bytes) + 8 {
            return Err(DAMAGED);
        }
        *left -= padded;
        Ok((kind, bytes))
    }

    fn chunk(&mut self, kind: [u8; 4], bytes: u32) -> Result<(), Refused> {
        let (width, height) = self.size.unwrap_or_default();
        let is_animated = self.flags.is_some_and(|flags| flags & ANIMATION != 0);
        match &kind {
            b"VP8X" if self.size.is_none() && bytes == 10 => {
                let header: [u8; 10] = self.source.array()?;
                let edge = |at: usize| {
                    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) + 1
                };
                check_size(edge(4), edge(7))?;
                self.size = Some((edge(4), edge(7)));
                self.flags = Some(header[0] & (ALPHA | ANIMATION));
                self.out.write_all(b"VP8X\x0a\0\0\0\0\0\0\0")?;
                self.out.write_all(&header[4..])?;
            }
            b"VP8 " | b"VP8L" if !self.has_picture && !is_animated => {
                self.bitstream(kind, bytes)?;
                self.has_picture = true;
            }
            b"ALPH" if self.flags.is_some() && !self.has_picture && !is_animated => {
                self.copy(kind, bytes)?;
            }
            b"ANIM" if is_animated && bytes == 6 => self.copy(kind, bytes)?,
            b"ANMF" if is_animated && bytes >= 16 => {
                // Each frame is laid onto the whole canvas.
                self.frames.add(width, height)?;
                self.animated_frame(bytes)?;
                self.has_picture = true;
            }
            b"EXIF" if bytes <= MAX_EXIF_BYTES => {
                let block = self.source.vec(bytes as usize)?;
                // Some writers begin it as in a JPEG.
                self.orientation = of_exif(block.strip_prefix(b"Exif\0\0").unwrap_or(&block));
                self.source.skip(u64::from(bytes & 1))?;
            }
            _ => self.source.skip(u64::from(bytes) + u64::from(bytes & 1))?,
        }
        Ok(())
    }

    /// A frame's place and timing, and its pictures without what else it may hold.
    fn animated_frame(&mut self, bytes: u32) -> Result<(), Refused> {
        let place = self.out.stream_position()?;
        self.out.write_all(b"ANMF\0\0\0\0")?;
        let header: [u8; 16] = self.source.array()?;
        self.out.write_all(&header)?;
        let edge =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) + 1;
        let canvas = self.size.replace((edge(6), edge(9)));
        let mut left = u64::from(bytes) - 16;
        while left >= 8 {
            let (kind, bytes) = self.start(&mut left)?;
            match &kind {
                b"VP8 " | b"VP8L" => self.bitstream(kind, bytes)?,
                b"ALPH" => self.copy(kind, bytes)?,
                _ => self.source.skip(u64::from(bytes) + u64::from(bytes & 1))?,
            }
        }
        self.size = canvas;
        self.source.skip(left + u64::from(bytes & 1))?;
        let end = self.out.stream_position()?;
        let written = u32::try_from(end.saturating_sub(place + 8)).map_err(|_| DAMAGED)?;
        self.patch(place + 4, &written.to_le_bytes())
    }

    /// A picture, which says its size itself: decoders make room by that.
    fn bitstream(&mut self, kind: [u8; 4], bytes: u32) -> Result<(), Refused> {
        let start: [u8; 10] = self.source.array()?;
        let size = match (&kind, start) {
            (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w1, w2, h1, h2]) => {
                let edge = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                (edge(w1, w2), edge(h1, h2))
            }
            (b"VP8L", [0x2f, a, b, c, d, ..]) => {
                let bits = u32::from_le_bytes([a, b, c, d]);
                ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
            }
            _ => return Err(DAMAGED),
        };
        check_size(size.0, size.1)?;
        if *self.size.get_or_insert(size) != size {
            return Err(DAMAGED);
        }
        let rest = u64::from(bytes).checked_sub(10).ok_or(DAMAGED)?;
        self.out.write_all(&kind)?;
        self.out.write_all(&bytes.to_le_bytes())?;
        self.out.write_all(&start)?;
        self.source.copy(rest, self.out)?;
        self.pad(bytes)
    }

    fn copy(&mut self, kind: [u8; 4], bytes: u32) -> Result<(), Refused> {
        self.out.write_all(&kind)?;
        self.out.write_all(&bytes.to_le_bytes())?;
        self.source.copy(bytes.into(), self.out)?;
        self.pad(bytes)
    }

    fn pad(&mut self, bytes: u32) -> Result<(), Refused> {
        if bytes & 1 == 1 {
            self.source.skip(1)?;
            self.out.write_all(&[0])?;
        }
        Ok(())
    }

    fn patch(&mut self, place: u64, bytes: &[u8]) -> Result<(), Refused> {
        self.out.seek(SeekFrom::Start(place))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::End(0))?;
        Ok(())
    }

    fn finish(mut self) -> Result<Header, Refused> {
        let Some((width, height)) = self.size.filter(|_| self.has_picture) else {
            return Err(DAMAGED);
        };
        // A short form has no room for it.
        let Some(mut flags) = self.flags else {
            self.orientation = Orientation::NoTransforms;
            return self.sized(width, height);
        };
        if !is_upright(self.orientation) {
            flags |= EXIF;
            let block = exif(self.orientation);
            self.out.write_all(b"EXIF\x1a\0\0\0")?;
            self.out.write_all(&block)?;
        }
        self.patch(FLAGS_PLACE, &[flags])?;
        self.sized(width, height)
    }

    fn sized(mut self, width: u32, height: u32) -> Result<Header, Refused> {
        let end = self.out.stream_position()?;
        let bytes = u32::try_from(end.saturating_sub(8)).map_err(|_| DAMAGED)?;
        self.patch(4, &bytes.to_le_bytes())?;
        Ok(Header { width, height, orientation: self.orientation })
    }
}

pub(super) fn decode(source: Source, header: &Header) -> Result<Picture, Refused> {
    let (width, height) = (header.width, header.height);
    let file_bytes = source.len()?;
    let mut decoder = WebPDecoder::new(source).map_err(refused)?;
    if decoder.dimensions() != (width, height) {
        return Err(DAMAGED);
    }
    let channels: usize = if decoder.has_alpha() { 4 } else { 3 };
    // Half bytes a pixel: what the decoder holds beside the picture.
    let beside = match (decoder.is_animated(), decoder.is_lossy(), decoder.has_alpha()) {
        // The canvas, a frame, and what the frame is made of.
        (true, ..) => 2 * (4 + 4 + 3),
        // Luma, and the two colours at a quarter each; and alpha.
        (false, true, false) => 3,
        (false, true, true) => 5,
        (false, false, true) => 1,
        (false, false, false) => 8,
    };
    let pixels = u64::from(width) * u64::from(height);
    let reduced = Reducer::bytes(width, height, channels as u64);
    let while_decoding = pixels * beside / 2 + file_bytes;
    check_memory(pixels * channels as u64 + reduced.max(while_decoding))?;
    let mut buffer = vec![0; decoder.output_buffer_size().ok_or(DAMAGED)?];
    if decoder.is_animated() {
        let mut picture = None;
        for _ in 0..decoder.num_frames() {
            decoder.read_frame(&mut buffer).map_err(refused)?;
            if picture.is_none() {
                picture = Some(reduce(&buffer, header, channels)?);
            }
        }
        return picture.ok_or(DAMAGED);
    }
    decoder.read_image(&mut buffer).map_err(refused)?;
    reduce(&buffer, header, channels)
}

fn reduce(pixels: &[u8], header: &Header, channels: usize) -> Result<Picture, Refused> {
    let mut reducer = Reducer::new(header.width, header.height, channels);
    pixels.chunks_exact(header.width as usize * channels).for_each(|row| reducer.push(row));
    reducer.finish(header.orientation)
}

fn refused(error: DecodingError) -> Refused {
    match error {
        DecodingError::IoError(error) => error.into(),
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => {
            Refused::TooMuch("the picture takes too much memory to decode")
        }
        _ => DAMAGED,
    }
}
