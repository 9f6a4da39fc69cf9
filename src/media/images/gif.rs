//! GIF: pictures, their timing and the count of rounds are copied, comments and all other extensions
//! dropped. An animation stays one.
//!
//! All frames are decoded, one at a time, so that each is known to be good; the first is what
//! thumbnails show.

use std::io::{ErrorKind, Write};

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, MemoryLimit};
use image::metadata::Orientation;

use super::reduce::Reducer;
use crate::media::Refused;
use crate::media::limits::{Frames, MAX_GIF_PIXELS, Source, check_memory, check_size};
use crate::media::picture::Picture;

const DAMAGED: Refused = Refused::Broken("the GIF is damaged");

pub(super) fn clean(source: &mut Source, out: &mut impl Write) -> Result<(), Refused> {
    let start: [u8; 13] = source.array()?;
    if !start.starts_with(b"GIF87a") && !start.starts_with(b"GIF89a") {
        return Err(DAMAGED);
    }
    let edge = |at: usize| u32::from(u16::from_le_bytes([start[at], start[at + 1]]));
    check_size(edge(6), edge(8))?;
    out.write_all(&start)?;
    copy_colours(start[10], source, out)?;
    let mut frames = Frames::within(MAX_GIF_PIXELS);
    loop {
        let start = match source.byte() {
            // Some writers leave out the end.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && frames.any() => 0x3b,
            start => start?,
        };
        match start {
            // Nothing, which some writers leave between blocks.
            0 => {}
            0x21 => copy_extension(source, out)?,
            0x2c => {
                let image: [u8; 9] = source.array()?;
                let edge = |at: usize| u32::from(u16::from_le_bytes([image[at], image[at + 1]]));
                frames.add(edge(4), edge(6))?;
                out.write_all(&[0x2c])?;
                out.write_all(&image)?;
                copy_colours(image[8], source, out)?;
                // How many bits a code has at first.
                out.write_all(&[source.byte()?])?;
                while copy_block(source, out)? {}
            }
            0x3b => {
                out.write_all(&[0x3b])?;
                return Ok(());
            }
            _ => return Err(DAMAGED),
        }
    }
}

fn copy_colours(flags: u8, source: &mut Source, out: &mut impl Write) -> Result<(), Refused> {
    if flags & 0x80 != 0 {
        source.copy(3 << ((flags & 7) + 1), out)?;
    }
    Ok(())
}

/// Copies one block of data; `false` for the empty one, which is the last.
fn copy_block(source: &mut Source, out: &mut impl Write) -> Result<bool, Refused> {
    let bytes = source.byte()?;
    out.write_all(&[bytes])?;
    source.copy(bytes.into(), out)?;
    Ok(bytes > 0)
}

fn copy_extension(source: &mut Source, out: &mut impl Write) -> Result<(), Refused> {
    let label = source.byte()?;
    let bytes = source.byte()?;
    let first = source.vec(bytes.into())?;
    let is_timing = label == 0xf9 && bytes == 4;
    let is_loop = label == 0xff && (first == b"NETSCAPE2.0" || first == b"ANIMEXTS1.0");
    if is_timing {
        out.write_all(&[0x21, label, bytes])?;
        out.write_all(&first)?;
        out.write_all(&[0])?;
    }
    if bytes == 0 {
        return Ok(());
    }
    let mut rounds = None;
    loop {
        let bytes = source.byte()?;
        if bytes == 0 {
            break;
        }
        let block = source.vec(bytes.into())?;
        if let (true, &[1, low, high]) = (is_loop, block.as_slice()) {
            rounds.get_or_insert([low, high]);
        }
    }
    if let Some([low, high]) = rounds {
        out.write_all(b"\x21\xff\x0bNETSCAPE2.0\x03\x01")?;
        out.write_all(&[low, high, 0])?;
    }
    Ok(())
}

pub(super) fn decode(source: Source) -> Result<Picture, Refused> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // What is held is this function's buffer, which is checked below.
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(source).map_err(refused)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    check_size(width, height)?;
    let mut frames = Frames::within(MAX_GIF_PIXELS);
    let mut picture = None;
    let mut indices = Vec::new();
    while let Some(frame) = decoder.next_frame_info().map_err(refused)? {
        let (wide, high) = (u32::from(frame.width), u32::from(frame.height));
        frames.add(wide, high)?;
        let pixels = u64::from(wide) * u64::from(high);
        check_memory(pixels + Reducer::bytes(width, height, 4))?;
        indices.clear();
        indices.resize(decoder.buffer_size(), 0);
        decoder.read_into_buffer(&mut indices).map_err(refused)?;
        if picture.is_none() {
            picture = Some(first_frame(&decoder, &indices)?);
        }
    }
    picture.ok_or(DAMAGED)
}

/// The first frame in its place on the empty canvas.
fn first_frame(decoder: &Decoder<Source>, indices: &[u8]) -> Result<Picture, Refused> {
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.current_frame_info().ok_or(DAMAGED)?;
    let colours = decoder.palette().map_err(refused)?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (wide, high) = (usize::from(frame.width), usize::from(frame.height));
    let colour = |index: u8| match colours.chunks_exact(3).nth(index.into()) {
        Some(rgb) if frame.transparent != Some(index) => [rgb[0], rgb[1], rgb[2], 255],
        _ => [0; 4],
    };
    let table: Vec<[u8; 4]> = (0..=255).map(colour).collect();
    let mut reducer = Reducer::new(decoder.width().into(), decoder.height().into(), 4);
    let mut row = vec![0; width * 4];
    for y in 0..height {
        row.fill(0);
        if (top..top + high).contains(&y) {
            let line = &indices[(y - top) * wide..][..wide];
            for (pixel, index) in row[left * 4..].chunks_exact_mut(4).zip(line) {
                pixel.copy_from_slice(&table[usize::from(*index)]);
            }
        }
        reducer.push(&row);
    }
    reducer.finish(Orientation::NoTransforms)
}

fn refused(error: DecodingError) -> Refused {
    match error {
        DecodingError::Io(error) => error.into(),
        DecodingError::UnexpectedEof => Refused::Broken("the file is cut off"),
        _ => DAMAGED,
    }
}
