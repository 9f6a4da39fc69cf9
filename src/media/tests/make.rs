//! Makes the files that the tests send: good ones, odd ones, and hostile ones.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

/// A picture without two pixels alike, so that decoders have to work.
fn pixels(width: u32, height: u32, channels: usize) -> Vec<u8> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let bytes = |(x, y): (u32, u32)| {
        let byte = |value: u32| u8::try_from(value & 255).unwrap();
        [byte(x), byte(y), byte(x ^ y), byte(x + y)]
    };
    pixels.flat_map(|place| bytes(place).into_iter().take(channels)).collect()
}

pub(super) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .write_image(&pixels(width, height, 3), width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// With a segment behind the start.
pub(super) fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let bytes = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &bytes, payload, &jpeg[2..]].concat()
}

/// With other width and height in the header.
pub(super) fn resized_jpeg(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// A small progressive JPEG, made by libjpeg: no encoder of ours writes such.
pub(super) fn progressive_jpeg() -> Vec<u8> {
    BASE64_STANDARD.decode(PROGRESSIVE).unwrap()
}

const PROGRESSIVE: &str = include_str!("progressive.txt");

/// What a camera writes: its maker, how the picture is to be turned, and where it was made.
pub(super) fn camera_exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x03".to_vec();
    let mut entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        tiff.extend(tag.to_be_bytes());
        tiff.extend(kind.to_be_bytes());
        tiff.extend(count.to_be_bytes());
        tiff.extend(value);
    };
    entry(0x010f, 2, 4, *b"ACM\0");
    entry(0x0112, 3, 1, [0, orientation, 0, 0]);
    // The block of places begins behind these three entries.
    entry(0x8825, 4, 1, 50_u32.to_be_bytes());
    tiff.extend(b"\0\0\0\0\0\x02");
    tiff.extend(b"\0\x01\0\x02\0\0\0\x02N\0\0\0");
    tiff.extend(b"\0\x02\0\x05\0\0\0\x03\0\0\0\x50\0\0\0\0");
    for part in [52_u32, 1, 31, 1, 12, 1] {
        tiff.extend(part.to_be_bytes());
    }
    tiff
}

pub(super) fn jpeg_of_a_camera(orientation: u8) -> Vec<u8> {
    let exif = [b"Exif\0\0".as_slice(), &camera_exif(orientation)].concat();
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta exif:GPSLatitude='52,31.2N'/>";
    let jpeg = with_segment(&jpeg(48, 32), 0xe1, xmp);
    let jpeg = with_segment(&jpeg, 0xe2, b"ICC_PROFILE\0\x01\x01a display's serial number");
    with_segment(&with_segment(&jpeg, 0xfe, b"made at home"), 0xe1, &exif)
}

pub(super) fn png(width: u32, height: u32, channels: usize) -> Vec<u8> {
    let colour = if channels == 4 { png::ColorType::Rgba } else { png::ColorType::Rgb };
    png_of(&pixels(width, height, channels), width, height, (colour, png::BitDepth::Eight))
}

/// Zeros, which are packed to a thousandth.
pub(super) fn dark_png(width: u32, height: u32) -> Vec<u8> {
    let dark = vec![0; (width * height) as usize];
    png_of(&dark, width, height, (png::ColorType::Grayscale, png::BitDepth::Eight))
}

fn png_of(
    pixels: &[u8],
    width: u32,
    height: u32,
    (colour, depth): (png::ColorType, png::BitDepth),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

pub(super) fn chunk(kind: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&kind);
    sum.update(payload);
    let bytes = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&bytes, kind.as_slice(), payload, &sum.finalize().to_be_bytes()].concat()
}

/// With a chunk behind the header.
pub(super) fn with_chunk(png: &[u8], kind: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&png[..33], &chunk(kind, payload), &png[33..]].concat()
}

/// With another header: width, height, bits, kind of colour, and whether it is interlaced.
pub(super) fn with_header(png: &[u8], width: u32, height: u32, rest: [u8; 5]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat();
    [&png[..8], &chunk(*b"IHDR", &header), &png[33..]].concat()
}

pub(super) fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[0, 0, 0, 255, 0, 0]).unwrap();
    encoder.set_repeat(gif::Repeat::Infinite).unwrap();
    for _ in 0..frames {
        let pixels = vec![1; usize::from(width) * usize::from(height)];
        let frame = gif::Frame::from_indexed_pixels(width, height, pixels, Some(0));
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}

/// With an extension in front of the first picture, which stands behind the two colours.
pub(super) fn with_extension(gif: &[u8], label: u8, block: &[u8]) -> Vec<u8> {
    let bytes = u8::try_from(block.len()).unwrap();
    [&gif[..19], &[0x21, label, bytes], block, &[0], &gif[19..]].concat()
}

pub(super) fn webp(width: u32, height: u32, exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut bytes);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif);
        encoder.set_xmp_metadata(b"<x:xmpmeta exif:GPSLatitude='52,31.2N'/>".to_vec());
    }
    let pixels = pixels(width, height, 3);
    encoder.encode(&pixels, width, height, image_webp::ColorType::Rgb8).unwrap();
    bytes
}

/// One lossy pixel.
pub(super) fn lossy_webp() -> Vec<u8> {
    BASE64_STANDARD.decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA").unwrap()
}

/// So many frames of the same lossless picture.
pub(super) fn animated_webp(frames: usize) -> Vec<u8> {
    let still = webp(8, 8, None);
    let picture = &still[12..];
    let frame = [&[0; 6][..], &[7, 0, 0, 7, 0, 0, 100, 0, 0, 0], picture, &riff(*b"EXIF", b"GPS!")];
    let mut body = riff(*b"VP8X", &[0x02, 0, 0, 0, 7, 0, 0, 7, 0, 0]);
    body.extend(riff(*b"ANIM", &[0, 0, 0, 0, 0, 0]));
    for _ in 0..frames {
        body.extend(riff(*b"ANMF", &frame.concat()));
    }
    riff(*b"RIFF", &[b"WEBP", body.as_slice()].concat())
}

pub(super) fn riff(kind: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let padding: &[u8] = if payload.len() % 2 == 1 { &[0] } else { &[] };
    [kind.as_slice(), &bytes, payload, padding].concat()
}

pub(super) fn mp4_box(kind: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(payload.len() + 8).unwrap().to_be_bytes();
    [bytes.as_slice(), &kind, payload].concat()
}

/// Two and a half seconds of 640 by 360, filmed upright, at a place.
pub(super) fn mp4(brand: [u8; 4]) -> Vec<u8> {
    let mut header = vec![0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&2500_u32.to_be_bytes());
    let mut track = vec![0; 84];
    track[44..48].copy_from_slice(&0x1_0000_u32.to_be_bytes());
    track[52..56].copy_from_slice(&(-0x1_0000_i32).to_be_bytes());
    track[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
    track[80..84].copy_from_slice(&(360_u32 << 16).to_be_bytes());
    let place = mp4_box(*b"udta", &mp4_box(*b"\xa9xyz", b"\0\x12\x15\xc7+52.5200+013.4050/"));
    let track = mp4_box(*b"trak", &mp4_box(*b"tkhd", &track));
    let movie = [mp4_box(*b"mvhd", &header), track, place].concat();
    [mp4_box(*b"ftyp", &[brand.as_slice(), &[0; 4], &brand].concat()), mp4_box(*b"moov", &movie)]
        .concat()
}

/// Two fragments of a second each, whose samples say how long they are or leave it to the track.
pub(super) fn fragmented_mp4() -> Vec<u8> {
    let mut header = vec![0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    let mut track = vec![0; 84];
    track[15] = 1;
    let mut media = vec![0; 24];
    media[12..16].copy_from_slice(&8000_u32.to_be_bytes());
    let mut usual = vec![0; 24];
    usual[7] = 1;
    usual[12..16].copy_from_slice(&80_u32.to_be_bytes());
    let track = [mp4_box(*b"tkhd", &track), mp4_box(*b"mdia", &mp4_box(*b"mdhd", &media))];
    let movie = [
        mp4_box(*b"mvhd", &header),
        mp4_box(*b"trak", &track.concat()),
        mp4_box(*b"mvex", &mp4_box(*b"trex", &usual)),
    ];
    let fragment = |start: u32, run: &[u8]| {
        let parts = [
            mp4_box(*b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]),
            mp4_box(*b"tfdt", &[&[0; 4], start.to_be_bytes().as_slice()].concat()),
            mp4_box(*b"trun", run),
        ];
        let fragment = mp4_box(*b"moof", &mp4_box(*b"traf", &parts.concat()));
        [fragment, mp4_box(*b"mdat", &[0; 10])].concat()
    };
    // A hundred as usual; and two, each with its duration and its size.
    let usual = [0, 0, 0, 0, 0, 0, 0, 100];
    let told = [0, 0, 3, 0, 0, 0, 0, 2, 0, 0, 0x0f, 0xa0, 0, 0, 0, 5, 0, 0, 0x0f, 0xa0, 0, 0, 0, 5];
    [
        mp4_box(*b"ftyp", b"iso5\0\0\0\0iso5"),
        mp4_box(*b"moov", &movie.concat()),
        fragment(0, &usual),
        fragment(8000, &told),
    ]
    .concat()
}

/// As browsers record: with no length of anything, and no duration unless it is given.
pub(super) fn webm(duration: Option<f64>) -> Vec<u8> {
    let mut bytes = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm".to_vec();
    let unknown = b"\x01\xff\xff\xff\xff\xff\xff\xff";
    bytes.extend([b"\x18\x53\x80\x67", unknown.as_slice()].concat());
    bytes.extend(b"\x15\x49\xa9\x66");
    let duration = duration.map(|time| [b"\x44\x89\x88".as_slice(), &time.to_be_bytes()].concat());
    let duration = duration.unwrap_or_default();
    bytes.push(0x80 | u8::try_from(duration.len() + 7).unwrap());
    bytes.extend(b"\x2a\xd7\xb1\x83\x0f\x42\x40");
    bytes.extend(duration);
    bytes.extend(b"\x16\x54\xae\x6b\x8c\xae\x8a\xe0\x88\xb0\x82\x02\x80\xba\x82\x01\x68");
    for second in [0_u8, 1, 2] {
        bytes.extend([b"\x1f\x43\xb6\x75", unknown.as_slice()].concat());
        let time = u16::from(second) * 1000;
        bytes.extend([b"\xe7\x82".as_slice(), &time.to_be_bytes()].concat());
        bytes.extend(b"\xa3\x86\x81\x01\xf4\x80ab");
    }
    bytes
}

/// Half a minute of silence, 128 kbit/s.
pub(super) fn mp3() -> Vec<u8> {
    let frame = [b"\xff\xfb\x90\x64".as_slice(), &[0; 413]].concat();
    frame.repeat(30 * 44_100 / 1152)
}

pub(super) fn adts() -> Vec<u8> {
    let frame = [b"\xff\xf1\x50\x80\x02\x1f\xfc".as_slice(), &[0; 9]].concat();
    frame.repeat(86)
}

/// Two seconds of silence, 8 kHz.
pub(super) fn wav() -> Vec<u8> {
    let format = b"\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0";
    let body = [b"WAVE".as_slice(), &riff(*b"fmt ", format), &riff(*b"data", &[128; 16_000])];
    riff(*b"RIFF", &body.concat())
}

/// Three seconds at 44.1 kHz, as the header says; no sound.
pub(super) fn flac() -> Vec<u8> {
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xc4, 0x42, 0xf0];
    info.extend(132_300_u32.to_be_bytes());
    info.extend([0; 16]);
    [b"fLaC\x80\0\0\x22".as_slice(), &info].concat()
}

/// Three seconds of Opus.
pub(super) fn opus() -> Vec<u8> {
    let page = |kind: u8, granule: u64, number: u32, packet: &[u8]| {
        let length = u8::try_from(packet.len()).unwrap();
        let mut page = [b"OggS\0".as_slice(), &[kind], &granule.to_le_bytes(), b"chat"].concat();
        page.extend(number.to_le_bytes());
        page.extend([0, 0, 0, 0, 1, length]);
        page.extend(packet);
        page
    };
    [
        page(2, 0, 0, b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"),
        page(0, 0, 1, b"OpusTags\0\0\0\0\0\0\0\0"),
        page(4, 144_000, 2, &[0xf8, 0xff, 0xfe]),
    ]
    .concat()
}

/// A ZIP whose first entry has a name.
pub(super) fn zip(first: &str) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0".to_vec();
    bytes.extend([0; 16]);
    bytes.extend([u8::try_from(first.len()).unwrap(), 0, 0, 0]);
    bytes.extend(first.as_bytes());
    bytes
}
