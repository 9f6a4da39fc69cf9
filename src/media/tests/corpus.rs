//! The table in `docs/FILES.md`: what was sent, and what it got.

use std::fmt::Write as _;
use std::fs;

use super::make::{self, riff};
use super::{Folder, Refused, take};

#[derive(Clone)]
struct Case {
    what: &'static str,
    name: &'static str,
    declared: &'static str,
    bytes: Vec<u8>,
}

fn case(what: &'static str, name: &'static str, declared: &'static str, bytes: &[u8]) -> Case {
    Case { what, name, declared, bytes: bytes.to_vec() }
}

const UNKNOWN: &str = "application/octet-stream";
const PAGE: &[u8] = b"<html><script>alert(1)</script></html>";

fn images() -> Vec<Case> {
    let jpeg = make::jpeg(40, 30);
    let png = make::png(20, 10, 3);
    let gif = make::gif(16, 16, 3);
    vec![
        case("JPEG", "a.jpg", "image/jpeg", &jpeg),
        case("JPEG, progressive", "a.jpg", "image/jpeg", &make::progressive_jpeg()),
        case(
            "JPEG of a camera, lying on its side",
            "a.jpg",
            "image/jpeg",
            &make::jpeg_of_a_camera(6),
        ),
        case("JPEG with nothing declared", "photo", "", &jpeg),
        case("PNG", "a.png", "image/png", &png),
        case("PNG with alpha", "a.png", UNKNOWN, &make::png(20, 10, 4)),
        case("GIF of 3 frames", "a.gif", "image/gif", &gif),
        case("WebP, lossless", "a.webp", "image/webp", &make::webp(30, 20, None)),
        case("WebP, lossy", "a.webp", "image/webp", &make::lossy_webp()),
        case("WebP of 2 frames", "a.webp", "image/webp", &make::animated_webp(2)),
        case("HEIC", "a.heic", "image/heic", &make::mp4_box(*b"ftyp", b"heic\0\0\0\0mif1")),
        case("BMP", "a.bmp", "image/bmp", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
    ]
}

fn hostile_jpegs() -> Vec<Case> {
    let jpeg = make::jpeg(40, 30);
    vec![
        case("JPEG cut off", "a.jpg", "image/jpeg", &jpeg[..jpeg.len() / 2]),
        case("JPEG of 3 bytes", "a.jpg", "image/jpeg", &jpeg[..3]),
        case(
            "JPEG that says 65500×65500",
            "a.jpg",
            "image/jpeg",
            &make::resized_jpeg(&jpeg, 65500, 65500),
        ),
        case(
            "JPEG of 40×30 that says 8000×8000",
            "a.jpg",
            "image/jpeg",
            &make::resized_jpeg(&jpeg, 8000, 8000),
        ),
        case("JPEG with a page behind it", "a.jpg", "image/jpeg", &[&jpeg, PAGE].concat()),
        case(
            "JPEG with a script in its comment",
            "a.jpg",
            "image/jpeg",
            &make::with_segment(&jpeg, 0xfe, PAGE),
        ),
        case(
            "JPEG and ZIP at once",
            "a.jpg",
            "image/jpeg",
            &[jpeg.clone(), make::zip("a.class")].concat(),
        ),
    ]
}

fn hostile_pngs() -> Vec<Case> {
    let png = make::png(20, 10, 3);
    let dark = make::dark_png(64, 64);
    let bomb = make::chunk(*b"zTXt", &[b"a\0\0".as_slice(), &vec![0; 100_000]].concat());
    vec![
        case(
            "PNG of one bit, 60000×60000",
            "a.png",
            "image/png",
            &make::with_header(&dark, 60_000, 60_000, [1, 0, 0, 0, 0]),
        ),
        case(
            "PNG of 64 bits, 8000×8000",
            "a.png",
            "image/png",
            &make::with_header(&dark, 8_000, 8_000, [16, 6, 0, 0, 0]),
        ),
        case(
            "PNG, interlaced, 8000×8000",
            "a.png",
            "image/png",
            &make::with_header(&dark, 8_000, 8_000, [8, 2, 0, 0, 1]),
        ),
        case(
            "PNG that says 0×0",
            "a.png",
            "image/png",
            &make::with_header(&dark, 0, 0, [8, 0, 0, 0, 0]),
        ),
        case(
            "PNG with rows missing",
            "a.png",
            "image/png",
            &make::with_header(&dark, 64, 128, [8, 0, 0, 0, 0]),
        ),
        case(
            "PNG with more rows than it says",
            "a.png",
            "image/png",
            &make::with_header(&dark, 64, 2, [8, 0, 0, 0, 0]),
        ),
        case(
            "PNG with a packed text that unpacks to much",
            "a.png",
            "image/png",
            &[&png[..33], &bomb, &png[33..]].concat(),
        ),
        case(
            "PNG with a profile of 200 KB",
            "a.png",
            "image/png",
            &make::with_chunk(&png, *b"iCCP", &[7; 200_000]),
        ),
        case("PNG cut off", "a.png", "image/png", &png[..png.len() - 20]),
        case("PNG with a page behind it", "a.png", "image/png", &[&png, PAGE].concat()),
    ]
}

fn other_hostile_images() -> Vec<Case> {
    let jpeg = make::jpeg(40, 30);
    let gif = make::gif(16, 16, 3);
    vec![
        case("GIF of 10,000 frames", "a.gif", "image/gif", &make::gif(1, 1, 10_000)),
        case("GIF and script at once", "a.gif", "image/gif", b"GIF89a=/*\x01\0\0\0*/1;alert(1)//"),
        case(
            "GIF with a script in its comment",
            "a.gif",
            "image/gif",
            &make::with_extension(&gif, 0xfe, PAGE),
        ),
        case("GIF cut off", "a.gif", "image/gif", &gif[..gif.len() - 8]),
        case(
            "WebP with a page behind it",
            "a.webp",
            "image/webp",
            &[&make::webp(30, 20, None), PAGE].concat(),
        ),
        case("WebP of 5,000 frames", "a.webp", "image/webp", &make::animated_webp(5_000)),
        case("WebP with a frame that says 16383×16383", "a.webp", "image/webp", &inflated_webp()),
        case("page that says it is an image", "a.png", "image/png", PAGE),
        case("JPEG that says it is a PNG", "a.png", "image/png", &jpeg),
    ]
}

/// An animation of eight pixels whose picture says that it is huge.
fn inflated_webp() -> Vec<u8> {
    let picture = b"\x30\x01\0\x9d\x01\x2a\xff\x3f\xff\x3f\0\0";
    let place = [0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 100, 0, 0, 0];
    let body = [
        riff(*b"VP8X", &[0x02, 0, 0, 0, 7, 0, 0, 7, 0, 0]),
        riff(*b"ANIM", &[0; 6]),
        riff(*b"ANMF", &[place.as_slice(), &riff(*b"VP8 ", picture)].concat()),
    ];
    riff(*b"RIFF", &[b"WEBP", body.concat().as_slice()].concat())
}

fn timed() -> Vec<Case> {
    let mp4 = make::mp4(*b"isom");
    vec![
        case("MP4 with the place where it was made", "a.mp4", "video/mp4", &mp4),
        case("QuickTime", "a.mov", "video/quicktime", &make::mp4(*b"qt  ")),
        case("MP4 declared as sound", "a.m4a", "audio/mp4", &mp4),
        case(
            "MP4 in fragments, as a browser records it",
            "a.mp4",
            "audio/mp4",
            &make::fragmented_mp4(),
        ),
        case("MP4 cut off", "a.mp4", "video/mp4", &mp4[..60]),
        case("WebM with its duration", "a.webm", "video/webm", &make::webm(Some(3000.0))),
        case(
            "voice as a browser records it",
            "voice.webm",
            "audio/webm;codecs=opus",
            &make::webm(None),
        ),
        case("MP3", "a.mp3", "audio/mpeg", &make::mp3()),
        case("AAC", "a.aac", "audio/aac", &make::adts()),
        case("WAV", "a.wav", "audio/x-wav", &make::wav()),
        case("FLAC", "a.flac", "audio/flac", &make::flac()),
        case("Opus", "a.ogg", "audio/ogg; codecs=opus", &make::opus()),
        case(
            "MP3 that is a tag and a page",
            "a.mp3",
            "audio/mpeg",
            &[b"ID3\x04\0\0\0\0\0\0", PAGE].concat(),
        ),
    ]
}

fn documents() -> Vec<Case> {
    let utf16: Vec<u8> = "\u{feff}text".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    vec![
        case("empty file", "a.txt", "text/plain", b""),
        case("1 byte of text", "a.txt", "text/plain", b"a"),
        case("1 byte of no text", "a", UNKNOWN, b"\0"),
        case("text, UTF-8", "a.txt", "text/plain", "Grüße, 日本".as_bytes()),
        case("text, UTF-16", "a.txt", "text/plain", &utf16),
        case("text, Latin-1", "a.txt", "text/plain", b"Gr\xfc\xdfe"),
        case(
            "text with something else behind 8 KB",
            "a.txt",
            "text/plain",
            &[&[b'a'; 8192], b"\0\x01\xff".as_slice()].concat(),
        ),
        case("source", "main.rs", "text/rust", b"fn main() {}"),
        case("style sheet", "a.css", "text/css", b"a { color: red }"),
        case("JSON", "a.json", "application/json", b"{\"a\": 1}"),
        case("CSV", "a.csv", UNKNOWN, b"a,b\n1,2\n"),
        case("PDF", "a.pdf", "application/pdf", b"%PDF-1.7\n"),
        case("PDF and page at once", "a.pdf", "application/pdf", &[b"%PDF-1.7\n", PAGE].concat()),
        case("page with a PDF in it", "a.pdf", "application/pdf", &[PAGE, b"%PDF-1.7\n"].concat()),
        case("ZIP", "a.zip", "application/zip", &make::zip("a.txt")),
        case("ZIP of a program", "a.zip", "application/zip", &make::zip("META-INF/MANIFEST.MF")),
        case("Word", "a.docx", docx, &make::zip("[Content_Types].xml")),
        case("Word with nothing declared", "a.docx", UNKNOWN, &make::zip("[Content_Types].xml")),
        case("installer", "a.bin", UNKNOWN, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"),
        case(
            "SVG with a script",
            "a.svg",
            "image/svg+xml",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        ),
        case(
            "SVG that says it is a text",
            "a.txt",
            "text/plain",
            b"\xef\xbb\xbf \n<?xml version='1.0'?><svg/>",
        ),
        case("page", "a.html", "text/html", PAGE),
        case(
            "page that says it is a text",
            "a.txt",
            "text/plain",
            b"\n <!-- --><script>alert(1)</script>",
        ),
        case("text that says it is a page", "a", "text/html", b"hello"),
        case("text with the name of a page", "a.html", "text/plain", b"hello <b>world</b>"),
        case("text with the name of a program", "a.txt.bat", "text/plain", b"format c:"),
        case("shell script", "run", "text/plain", b"#!/bin/sh\nrm -rf /"),
        case("program for Windows", "setup", UNKNOWN, b"MZ\x90\0\x03\0\0\0"),
        case("program for Linux", "a.out", UNKNOWN, b"\x7fELF\x02\x01\x01\0"),
        case("bytes that are nothing", "a.bin", UNKNOWN, &[0xde, 0xad, 0xbe, 0xef]),
    ]
}

fn outcome(case: &Case) -> String {
    let folder = Folder::new();
    let path = folder.write(&case.bytes);
    let (verdict, examined) = match take(&path, &folder.out(), Some(case.declared), case.name) {
        Ok(taken) => taken,
        Err(Refused::Io(error)) => panic!("{}: {error}", case.what),
        Err(refused) => return format!("refused: {refused}"),
    };
    let mut told = format!("`{}`", verdict.mime);
    if let (Some(width), Some(height)) = (examined.facts.width, examined.facts.height) {
        write!(told, ", {width}×{height}").unwrap();
    }
    if let Some(time) = examined.facts.duration {
        write!(told, ", {:.1} s", time.as_secs_f64()).unwrap();
    }
    if examined.rewritten {
        let kept = fs::read(folder.out()).unwrap();
        for hostile in ["<script", "GPS", "13.4050", "serial", "PK\u{3}"] {
            let is_left = kept.windows(hostile.len()).any(|part| part == hostile.as_bytes());
            assert!(!is_left, "{}: {hostile} is left", case.what);
        }
        told.push_str(if kept == case.bytes { ", nothing to clean" } else { ", cleaned" });
    }
    told
}

/// F49, F50, F51, R-FI-1: the table is what happened.
#[test]
fn the_documents_tell_what_odd_files_get() {
    let cases =
        [images(), hostile_jpegs(), hostile_pngs(), other_hostile_images(), timed(), documents()]
            .concat();
    assert!(cases.len() > 60);
    let mut table = String::from("| sent | as | gets |\n|---|---|---|\n");
    for case in &cases {
        let declared = if case.declared.is_empty() { "–" } else { case.declared };
        writeln!(table, "| {} | `{}`, {declared} | {} |", case.what, case.name, outcome(case))
            .unwrap();
    }
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FILES.md");
    let document = fs::read_to_string(document).unwrap();
    let told = document.split("<!-- corpus -->\n").nth(1).unwrap_or_default();
    let told = told.split("<!-- /corpus -->").next().unwrap_or_default();
    assert!(told == table, "docs/FILES.md should have this table:\n{table}");
}
