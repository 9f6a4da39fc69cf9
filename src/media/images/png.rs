//! PNG: the chunks that make the picture are copied, text, time, profiles and EXIF dropped.
//!
//! Rows are decoded one by one, so even the largest takes no more than two of them. Only an
//! interlaced picture has to be held as a whole. Of an animated one the still picture stays.

use std::io::{self, Write};

use image::metadata::Orientation;
use png::{Decoder, DecodingError, Limits, Transformations};

use super::orientation::{exif, is_upright, of_exif};
use super::reduce::Reducer;
use crate::media::Refused;
use crate::media::limits::{
    MAX_DECODE_BYTES, MAX_UNPACKED_BYTES, Source, check_memory, check_size,
};
use crate::media::picture::Picture;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// An EXIF block that is larger is not looked into.
const MAX_EXIF_BYTES: u32 = 64 << 10;

const DAMAGED: Refused = Refused::Broken("the PNG is damaged");

pub(super) struct Header {
    orientation: Orientation,
}

pub(super) fn clean(source: &mut Source, out: &mut impl Write) -> Result<Header, Refused> {
    if source.array()? != *SIGNATURE {
        return Err(DAMAGED);
    }
    out.write_all(SIGNATURE)?;
    let mut orientation = Orientation::NoTransforms;
    let mut data_begun = false;
    for place in 0_u64.. {
        let bytes = u32::from_be_bytes(source.array()?);
        let kind: [u8; 4] = source.array()?;
        if (place == 0) != (&kind == b"IHDR") {
            return Err(DAMAGED);
        }
        match (&kind, bytes) {
            (b"IHDR", 13) => {
                let header: [u8; 13] = source.array()?;
                let edge = |at: usize| {
                    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                };
                check_size(edge(0), edge(4))?;
                write_start(out, bytes, kind)?;
                out.write_all(&header)?;
                source.copy(4, out)?;
            }
            // Colours in numbers; none of these has room for a text.
            (b"PLTE" | b"tRNS", ..=768) | (b"gAMA" | b"cICP", 4) | (b"cHRM", 32) | (b"sRGB", 1) => {
                copy(bytes, kind, source, out)?;
            }
            (b"IDAT", _) => {
                if !data_begun {
                    data_begun = true;
                    write_orientation(orientation, out)?;
                }
                copy(bytes, kind, source, out)?;
            }
            (b"IEND", 0) if data_begun => {
                copy(0, kind, source, out)?;
                return Ok(Header { orientation });
            }
            // Behind the picture it would have to be written anew in front, so there it is lost.
            (b"eXIf", ..=MAX_EXIF_BYTES) if !data_begun => {
                orientation = of_exif(&source.vec(bytes as usize)?);
                source.skip(4)?;
            }
            // Chunks that a decoder may pass over have a small letter first.
            _ if kind[0].is_ascii_lowercase() => source.skip(u64::from(bytes) + 4)?,
            _ => return Err(DAMAGED),
        }
    }
    Err(DAMAGED)
}

/// The chunk as it stands, with its checksum, which the decoder will check.
fn copy(bytes: u32, kind: [u8; 4], source: &mut Source, out: &mut impl Write) -> io::Result<()> {
    write_start(out, bytes, kind)?;
    source.copy(u64::from(bytes) + 4, out)
}

fn write_start(out: &mut impl Write, bytes: u32, kind: [u8; 4]) -> io::Result<()> {
    out.write_all(&bytes.to_be_bytes())?;
    out.write_all(&kind)
}

fn write_orientation(orientation: Orientation, out: &mut impl Write) -> io::Result<()> {
    if is_upright(orientation) {
        return Ok(());
    }
    let block = exif(orientation);
    write_start(out, block.len().try_into().expect("it is short"), *b"eXIf")?;
    out.write_all(&block)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(b"eXIf");
    sum.update(&block);
    out.write_all(&sum.finalize().to_be_bytes())
}

pub(super) fn decode(source: Source, header: &Header) -> Result<Picture, Refused> {
    let limits = Limits { bytes: usize::try_from(MAX_DECODE_BYTES).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(source, limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(refused)?;
    let info = reader.info();
    let (width, height) = info.size();
    let is_interlaced = info.interlaced;
    check_size(width, height)?;
    if info.raw_row_length() as u64 * u64::from(height) > MAX_UNPACKED_BYTES {
        return Err(Refused::TooMuch("the picture has too many pixels"));
    }
    let samples = reader.output_color_type().0.samples();
    let channels = if samples.is_multiple_of(2) { 4 } else { 3 };
    let mut reducer = Reducer::new(width, height, channels);
    if is_interlaced {
        let bytes = reader.output_buffer_size().ok_or(DAMAGED)?;
        check_memory(bytes as u64 + Reducer::bytes(width, height, channels as u64))?;
        let mut pixels = vec![0; bytes];
        reader.next_frame(&mut pixels).map_err(refused)?;
        for row in pixels.chunks_exact(width as usize * samples) {
            push(&mut reducer, row, samples);
        }
    } else {
        while let Some(row) = reader.next_row().map_err(refused)? {
            push(&mut reducer, row.data(), samples);
        }
    }
    reader.finish().map_err(refused)?;
    reducer.finish(header.orientation)
}

fn push(reducer: &mut Reducer, row: &[u8], samples: usize) {
    match samples {
        1 => reducer.push(&row.iter().flat_map(|grey| [*grey; 3]).collect::<Vec<_>>()),
        2 => {
            let pixels = row.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]);
            reducer.push(&pixels.collect::<Vec<_>>());
        }
        _ => reducer.push(row),
    }
}

fn refused(error: DecodingError) -> Refused {
    match error {
        DecodingError::IoError(error) => error.into(),
        DecodingError::LimitsExceeded => {
            Refused::TooMuch("the picture takes too much memory to decode")
        }
        DecodingError::Format(_) | DecodingError::Parameter(_) => DAMAGED,
    }
}
