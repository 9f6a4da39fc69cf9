//! JPEG: tables, frame and scans are copied, application segments and comments dropped.
//!
//! Decoding is done at an eighth, a quarter or half of the size where that is enough for the reduced
//! picture: all of the compressed stream is read, but the pixels are never there in full. So the
//! memory is that of the reduced picture, and of a progressive file's coefficients.

use std::io::{BufRead, Write};

use image::metadata::Orientation;
use jpeg_decoder::{Decoder, Error, PixelFormat};

use super::colour::{display_p3, is_display_p3};
use super::orientation::{exif, is_upright, of_exif};
use super::reduce::{LONG_EDGE, Reducer, SHORT_EDGE};
use crate::media::Refused;
use crate::media::limits::{
    MAX_DECODE_BYTES, MAX_SCANNED_PIXELS, MAX_SCANS, Source, check_memory, check_size,
};
use crate::media::picture::Picture;

/// Tables before the first scan; real ones have two kilobytes.
const MAX_TABLES_BYTES: usize = 64 << 10;

/// JFIF 1.02, square pixels, no thumbnail.
const JFIF: &[u8] = b"\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0";

/// In front of a profile that is whole in one segment.
const ICC: &[u8] = b"ICC_PROFILE\0\x01\x01";

const DAMAGED: Refused = Refused::Broken("the JPEG is damaged");

pub(super) struct Frame {
    width: u16,
    height: u16,
    components: u8,
    is_progressive: bool,
    /// Of all components, in whole blocks.
    samples: u64,
    orientation: Orientation,
    is_display_p3: bool,
}

/// What stands before the first scan.
#[derive(Default)]
struct Head {
    frame: Option<Frame>,
    is_jfif: bool,
    orientation: Option<Orientation>,
    is_display_p3: bool,
    tables: Vec<u8>,
}

pub(super) fn clean(source: &mut Source, out: &mut impl Write) -> Result<Frame, Refused> {
    if source.array()? != [0xff, 0xd8] {
        return Err(DAMAGED);
    }
    let mut head = Head::default();
    let mut marker = next_marker(source)?;
    while marker != 0xda {
        head.read(marker, source)?;
        marker = next_marker(source)?;
    }
    let mut frame = head.frame.ok_or(DAMAGED)?;
    frame.orientation = head.orientation.unwrap_or(Orientation::NoTransforms);
    out.write_all(&[0xff, 0xd8])?;
    if head.is_jfif {
        out.write_all(JFIF)?;
    }
    if !is_upright(frame.orientation) {
        out.write_all(b"\xff\xe1\0\x22Exif\0\0")?;
        out.write_all(&exif(frame.orientation))?;
    }
    frame.is_display_p3 = head.is_display_p3;
    if frame.is_display_p3 {
        write_segment(out, 0xe2, &[ICC, display_p3()].concat())?;
    }
    out.write_all(&head.tables)?;
    copy_scans(source, &frame, out)?;
    // Whatever comes behind, such as a second picture or a page, is not copied.
    out.write_all(&[0xff, 0xd9])?;
    Ok(frame)
}

impl Head {
    fn read(&mut self, marker: u8, source: &mut Source) -> Result<(), Refused> {
        if is_bare(marker) {
            return Ok(());
        }
        let payload = payload(source)?;
        match marker {
            0xc0..=0xc2 if self.frame.is_none() => {
                self.frame = Some(frame(marker, &payload)?);
                self.keep(marker, &payload)?;
            }
            0xc4 | 0xdb | 0xdd => self.keep(marker, &payload)?,
            0xe0 if payload.starts_with(b"JFIF\0") => self.is_jfif = true,
            0xe1 if payload.starts_with(b"Exif\0\0") => {
                self.orientation.get_or_insert_with(|| of_exif(&payload[6..]));
            }
            0xe2 => {
                self.is_display_p3 |= payload.strip_prefix(ICC).is_some_and(is_display_p3);
            }
            // How colours are to be read.
            0xee if payload.len() >= 12 && payload.starts_with(b"Adobe") => {
                self.keep(marker, &payload[..12])?;
            }
            0xe0..=0xef | 0xfe => {}
            _ => return Err(Refused::Unsupported("this kind of JPEG is not taken")),
        }
        Ok(())
    }

    fn keep(&mut self, marker: u8, payload: &[u8]) -> Result<(), Refused> {
        write_segment(&mut self.tables, marker, payload)?;
        if self.tables.len() > MAX_TABLES_BYTES {
            return Err(Refused::TooMuch("the JPEG has too many tables"));
        }
        Ok(())
    }
}

/// Copies from behind the first scan's marker to the end of the image.
fn copy_scans(source: &mut Source, frame: &Frame, out: &mut impl Write) -> Result<(), Refused> {
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let mut scans = 0;
    let mut marker = 0xda;
    loop {
        match marker {
            0xda => {
                scans += 1;
                if scans > MAX_SCANS || u64::from(scans) * pixels > MAX_SCANNED_PIXELS {
                    return Err(Refused::TooMuch("the JPEG has too many scans"));
                }
                write_segment(out, marker, &payload(source)?)?;
                marker = copy_entropy(source, out)?;
                continue;
            }
            0xd9 => return Ok(()),
            0xc4 | 0xdb | 0xdd => write_segment(out, marker, &payload(source)?)?,
            0xe0..=0xef | 0xfe => drop(payload(source)?),
            marker if is_bare(marker) => {}
            _ => return Err(Refused::Unsupported("this kind of JPEG is not taken")),
        }
        marker = next_marker(source)?;
    }
}

/// Copies one scan's data and gives the marker that ends it.
fn copy_entropy(source: &mut Source, out: &mut impl Write) -> Result<u8, Refused> {
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Err(Refused::Broken("the file is cut off"));
        }
        let plain = buffer.iter().position(|byte| *byte == 0xff).unwrap_or(buffer.len());
        let meets_marker = plain < buffer.len();
        out.write_all(&buffer[..plain])?;
        source.consume(plain + usize::from(meets_marker));
        if !meets_marker {
            continue;
        }
        let next = behind_fill(source)?;
        match next {
            0 | 0xd0..=0xd7 => out.write_all(&[0xff, next])?,
            marker => return Ok(marker),
        }
    }
}

/// The next marker. What stands between segments belongs to nothing, and is not copied.
fn next_marker(source: &mut Source) -> Result<u8, Refused> {
    loop {
        while source.byte()? != 0xff {}
        match behind_fill(source)? {
            0 => {}
            marker => return Ok(marker),
        }
    }
}

/// The byte behind any number of 0xff.
fn behind_fill(source: &mut Source) -> Result<u8, Refused> {
    loop {
        match source.byte()? {
            0xff => {}
            byte => return Ok(byte),
        }
    }
}

/// Markers without a segment: restarts, starts, and one that is reserved.
fn is_bare(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=0xd8)
}

fn payload(source: &mut Source) -> Result<Vec<u8>, Refused> {
    let bytes = usize::from(u16::from_be_bytes(source.array()?));
    Ok(source.vec(bytes.checked_sub(2).ok_or(DAMAGED)?)?)
}

fn write_segment(out: &mut impl Write, marker: u8, payload: &[u8]) -> Result<(), Refused> {
    let bytes = u16::try_from(payload.len() + 2).map_err(|_| DAMAGED)?.to_be_bytes();
    out.write_all(&[0xff, marker, bytes[0], bytes[1]])?;
    out.write_all(payload)?;
    Ok(())
}

fn frame(marker: u8, payload: &[u8]) -> Result<Frame, Refused> {
    let (&[8, h1, h2, w1, w2, components], factors) = payload.split_first_chunk().ok_or(DAMAGED)?
    else {
        return Err(DAMAGED);
    };
    let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
    check_size(width.into(), height.into())?;
    if !matches!(components, 1 | 3 | 4) || factors.len() != usize::from(components) * 3 {
        return Err(DAMAGED);
    }
    let factors: Vec<(u64, u64)> =
        factors.chunks_exact(3).map(|c| (u64::from(c[1] >> 4), u64::from(c[1] & 15))).collect();
    if factors.iter().any(|(h, v)| !(1..=4).contains(h) || !(1..=4).contains(v)) {
        return Err(DAMAGED);
    }
    let h_max = factors.iter().map(|(h, _)| *h).max().unwrap_or(1);
    let v_max = factors.iter().map(|(_, v)| *v).max().unwrap_or(1);
    let units = u64::from(width).div_ceil(8 * h_max) * u64::from(height).div_ceil(8 * v_max);
    let samples = factors.iter().map(|(h, v)| units * h * v * 64).sum();
    let is_progressive = marker == 0xc2;
    Ok(Frame {
        width,
        height,
        components,
        is_progressive,
        samples,
        orientation: Orientation::NoTransforms,
        is_display_p3: false,
    })
}

impl Frame {
    /// The size at so many eighths.
    fn scaled(&self, eighths: u32) -> (u32, u32) {
        let scaled = |edge: u16| (u32::from(edge) * eighths).div_ceil(8);
        (scaled(self.width), scaled(self.height))
    }

    /// What decoding holds at its worst: planes, the picture made of them, and coefficients.
    fn memory(&self, eighths: u32) -> u64 {
        let (width, height) = self.scaled(eighths);
        let picture = u64::from(width) * u64::from(height) * u64::from(self.components);
        let planes = self.samples / 64 * u64::from(eighths * eighths);
        let coefficients = if self.is_progressive { self.samples * 2 } else { 0 };
        picture + planes + coefficients
    }

    /// The least that is enough for the reduced picture, or what fits into memory.
    fn eighths(&self) -> Result<u32, Refused> {
        let is_enough = |eighths: &u32| {
            let (width, height) = self.scaled(*eighths);
            width.max(height) >= LONG_EDGE && width.min(height) >= SHORT_EDGE
        };
        let mut eighths = [1, 2, 4].into_iter().find(is_enough).unwrap_or(8);
        while eighths > 1 && self.memory(eighths) > MAX_DECODE_BYTES {
            eighths /= 2;
        }
        check_memory(self.memory(eighths))?;
        Ok(eighths)
    }
}

pub(super) fn decode(source: Source, frame: &Frame) -> Result<Picture, Refused> {
    let (width, height) = frame.scaled(frame.eighths()?);
    let mut decoder = Decoder::new(source);
    let small = |edge| u16::try_from(edge).map_err(|_| DAMAGED);
    decoder.scale(small(width)?, small(height)?).map_err(refused)?;
    let mut pixels = decoder.decode().map_err(refused)?;
    let info = decoder.info().ok_or(DAMAGED)?;
    drop(decoder);
    let channels = match info.pixel_format {
        PixelFormat::L8 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => 4,
        PixelFormat::L16 => return Err(DAMAGED),
    };
    let mut reducer = Reducer::new(info.width.into(), info.height.into(), 3);
    let mut row = Vec::with_capacity(usize::from(info.width) * 3);
    for line in pixels.chunks_exact_mut(usize::from(info.width) * channels) {
        row.clear();
        match channels {
            1 => row.extend(line.iter().flat_map(|grey| [*grey; 3])),
            3 => row.extend_from_slice(line),
            _ => row.extend(line.chunks_exact(4).flat_map(rgb_of_cmyk)),
        }
        reducer.push(&row);
    }
    let picture = reducer.finish(frame.orientation)?;
    let picture = picture.with_full_size(frame.width.into(), frame.height.into());
    Ok(if frame.is_display_p3 { picture.with_profile(display_p3()) } else { picture })
}

/// Without profiles of inks, which are for print.
fn rgb_of_cmyk(cmyk: &[u8]) -> [u8; 3] {
    let light = |ink: u8| u16::from(255 - ink);
    [0, 1, 2].map(|i| u8::try_from(light(cmyk[i]) * light(cmyk[3]) / 255).unwrap_or(u8::MAX))
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Io(error) => error.into(),
        Error::Unsupported(_) => Refused::Unsupported("this kind of JPEG is not taken"),
        Error::Format(_) | Error::Internal(_) => DAMAGED,
    }
}
