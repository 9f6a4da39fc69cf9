//! Decides what a file is: by its first bytes, against the allow-list, and in agreement with what
//! the sender declares. The rules stand as a table in the module's description.

use std::io::BufRead as _;
use std::path::Path;
use std::str;

use super::limits::Source;
use super::types::{
    AAC, ACTIVE_EXTENSIONS, ACTIVE_TEXTS, COMPOUNDS, FLAC, GIF, GZIP, JPEG, M4A, MP3, MP4, OGG,
    PDF, PNG, QUICKTIME, RAR, RTF, SEVEN_ZIP, TEXTS, Type, UNKNOWN, WAV, WEBA, WEBM, WEBP, ZIPS,
};
use super::{Refused, Verdict};
use crate::model::file::FileKind;

/// How much of a file's beginning is looked at. Less is right only where the file ends before.
pub const SNIFF_BYTES: usize = 4096;

/// Decides the type of a file from its first [`SNIFF_BYTES`], what the sender declares, and the
/// name.
///
/// # Errors
/// `Empty`, `Unsupported`, `Active` and `Mismatch`.
pub fn judge(head: &[u8], declared: Option<&str>, name: &str) -> Result<Verdict, Refused> {
    if head.is_empty() {
        return Err(Refused::Empty);
    }
    let extension = extension(name);
    if ACTIVE_EXTENSIONS.contains(&extension.as_str()) {
        return Err(Refused::Active("a file of such a name may run where it is opened"));
    }
    let candidates = candidates(&head[..head.len().min(SNIFF_BYTES)])?;
    let declared = essence(declared.unwrap_or_default());
    let by_name =
        || candidates.iter().find(|kind| kind.extensions.contains(&extension.as_str())).copied();
    let found = if UNKNOWN.contains(&declared.as_str()) {
        by_name().or_else(|| rule(&candidates)).ok_or(Refused::Unsupported(
            "this might be a document or a program: declare which it is",
        ))?
    } else if is_other_text(&declared) && candidates[0].mime == TEXTS[0].mime {
        candidates[0]
    } else {
        let agrees =
            |kind: &&Type| kind.mime == declared || kind.aliases.contains(&declared.as_str());
        // The name decides where the declared type fits several.
        by_name()
            .filter(|kind| agrees(kind))
            .or_else(|| candidates.iter().copied().find(agrees))
            .ok_or(Refused::Mismatch)?
    };
    Ok(Verdict { mime: found.mime, kind: found.kind })
}

/// Whether what has this type may be shown where it stands, in a page of ours: pictures and sound,
/// which a browser only decodes. All else is for saving, whatever it is.
pub fn may_show_inline(mime: &str) -> bool {
    let known = [
        &JPEG, &PNG, &GIF, &WEBP, &MP4, &QUICKTIME, &WEBM, &M4A, &WEBA, &MP3, &AAC, &OGG, &WAV,
        &FLAC,
    ];
    known.iter().any(|kind| kind.mime == mime && kind.kind != FileKind::Document)
}

fn extension(name: &str) -> String {
    // What systems cut off: "a.exe. " is opened as "a.exe".
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace() || c.is_control());
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// A declared type without its parameters.
fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Sources and notes have many names; all are plain text.
fn is_other_text(declared: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/sql",
        "application/x-sh",
        "application/x-tex",
        "application/x-subrip",
    ];
    let is_listed =
        TEXTS.iter().any(|kind| kind.mime == declared || kind.aliases.contains(&declared));
    let is_text = declared.starts_with("text/") && declared != "text/rtf";
    !is_listed && (is_text || OTHERS.contains(&declared)) && !ACTIVE_TEXTS.contains(&declared)
}

/// The type where nothing is said of it.
fn rule(candidates: &[&'static Type]) -> Option<&'static Type> {
    let is_compound = candidates[0].mime == COMPOUNDS[0].mime;
    candidates.first().copied().filter(|_| !is_compound)
}

/// What the content may be; never empty.
fn candidates(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let found: &[&'static Type] = match head {
        _ if starts(b"\xff\xd8\xff") => &[&JPEG],
        _ if starts(b"\x89PNG\r\n\x1a\n") => &[&PNG],
        _ if starts(b"GIF87a") || starts(b"GIF89a") => &[&GIF],
        _ if starts(b"%PDF-") => &[&PDF],
        _ if starts(b"{\\rtf1") => &[&RTF],
        _ if starts(b"\x1f\x8b\x08") => &[&GZIP],
        _ if starts(b"7z\xbc\xaf\x27\x1c") => &[&SEVEN_ZIP],
        _ if starts(b"Rar!\x1a\x07") => &[&RAR],
        _ if starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => &COMPOUNDS,
        // Its first block is always the same, and may be the last.
        [b'f', b'L', b'a', b'C', 0 | 0x80, ..] => &[&FLAC],
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => &[&WEBP],
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => &[&WAV],
        [b'I', b'D', b'3', 2..=4, _, _, a, b, c, d, ..] if (a | b | c | d) & 0x80 == 0 => &[&MP3],
        _ if starts(b"OggS\0") => return ogg(head),
        _ if starts(b"\x1a\x45\xdf\xa3") => return matroska(head),
        _ if starts(b"PK\x03\x04") => return zip(head),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => return iso_media(head),
        _ if mpeg_frames(head) => &[&MP3],
        _ if adts_frames(head) => &[&AAC],
        _ => return text_or_nothing(head),
    };
    Ok(found.to_vec())
}

/// The first packet says the codec.
fn ogg(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    let segments = usize::from(head.get(26).copied().unwrap_or_default());
    let packet = head.get(27 + segments..).unwrap_or_default();
    let known: [&[u8]; 3] = [b"OpusHead", b"\x01vorbis", b"\x7fFLAC"];
    if known.iter().any(|codec| packet.starts_with(codec)) {
        return Ok(vec![&OGG]);
    }
    Err(Refused::Unsupported("of Ogg only Opus, Vorbis and FLAC are taken"))
}

/// The header names the kind of Matroska: only WebM is what browsers play.
fn matroska(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    let header = &head[..head.len().min(64)];
    if header.windows(7).any(|part| part == b"\x42\x82\x84webm") {
        return Ok(vec![&WEBM, &WEBA]);
    }
    Err(Refused::Unsupported("of Matroska only WebM is taken"))
}

/// The brand says what is in the box. HEIC and AVIF look the same from afar.
fn iso_media(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    let brand = head.get(8..12).unwrap_or_default();
    let is = |known: &[&[u8]]| known.iter().any(|start| brand.starts_with(start));
    let found: &[&'static Type] = if is(&[b"qt  "]) {
        &[&QUICKTIME]
    } else if is(&[b"M4A", b"M4B", b"M4P"]) {
        &[&M4A]
    } else if is(&[
        b"iso", b"mp4", b"M4V", b"avc", b"hvc1", b"hev1", b"dash", b"cmf", b"3g", b"MSNV", b"XAVC",
        b"mmp4", b"f4v ",
    ]) {
        &[&MP4, &M4A]
    } else if is(&[b"hei", b"hevc", b"mif1", b"msf1", b"avif", b"avis"]) {
        return Err(Refused::Unsupported(
            "HEIC and AVIF are not taken: send the picture as JPEG or WebP",
        ));
    } else {
        return Err(Refused::Unsupported("this kind of MP4 is not taken"));
    };
    Ok(found.to_vec())
}

/// Never opened, but for the name of its first entry: that of a program says so.
fn zip(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    let length = usize::from(head.get(26).copied().unwrap_or_default());
    let name = head.get(30..30 + length).unwrap_or_default();
    let programs: [&[u8]; 3] = [b"META-INF/", b"AndroidManifest.xml", b"Payload/"];
    // A package of OpenDocument has such a folder too, but begins with its type.
    if programs.iter().any(|program| name.starts_with(program)) {
        return Err(Refused::Active("programs are not taken"));
    }
    Ok(ZIPS.to_vec())
}

/// Two frames in a row, since eleven bits alone are found anywhere.
fn mpeg_frames(head: &[u8]) -> bool {
    mpeg_frame_bytes(head)
        .is_some_and(|bytes| head.get(bytes..).is_none_or(|next| mpeg_frame_bytes(next).is_some()))
}

/// The length of the frame of MPEG audio, layer III, that begins here.
fn mpeg_frame_bytes(at: &[u8]) -> Option<usize> {
    const RATES_V1: [usize; 15] =
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const RATES_V2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xff, second, third, _, ..] = at else { return None };
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    if second & 0xe0 != 0xe0 || version == 1 || layer != 1 {
        return None;
    }
    let is_v1 = version == 3;
    let rates = if is_v1 { RATES_V1 } else { RATES_V2 };
    let kbit = *rates.get(usize::from(third >> 4)).filter(|kbit| **kbit > 0)?;
    let hertz = *[44_100, 48_000, 32_000].get(usize::from((third >> 2) & 3))?;
    let hertz = match version {
        3 => hertz,
        2 => hertz / 2,
        _ => hertz / 4,
    };
    let padding = usize::from((third >> 1) & 1);
    Some(if is_v1 { 144 } else { 72 } * kbit * 1000 / hertz + padding)
}

fn adts_frames(head: &[u8]) -> bool {
    adts_frame_bytes(head)
        .is_some_and(|bytes| head.get(bytes..).is_none_or(|next| adts_frame_bytes(next).is_some()))
}

/// The length of the frame of AAC in ADTS that begins here.
fn adts_frame_bytes(at: &[u8]) -> Option<usize> {
    let &[0xff, second, third, fourth, fifth, sixth, _, ..] = at else { return None };
    if second & 0xf6 != 0xf0 || (third >> 2) & 15 > 12 {
        return None;
    }
    let bytes =
        (usize::from(fourth & 3) << 11) | (usize::from(fifth) << 3) | usize::from(sixth >> 5);
    (bytes >= 7).then_some(bytes)
}

fn text_or_nothing(head: &[u8]) -> Result<Vec<&'static Type>, Refused> {
    if let Some(text) = text(head) {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with("#!") || text.starts_with("%!PS") {
            return Err(Refused::Active("scripts are not taken"));
        }
        if is_markup(text) {
            return Err(Refused::Active("HTML, SVG and XML are not taken"));
        }
        return Ok(TEXTS.to_vec());
    }
    let programs: [&[u8]; 12] = [
        b"MZ",
        b"\x7fELF",
        b"\xca\xfe\xba\xbe",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\0asm",
        b"dex\n",
        b"Cr24",
        b"MSCF",
        b"\x4c\0\0\0\x01\x14\x02\0",
    ];
    if programs.iter().any(|magic| head.starts_with(magic)) {
        return Err(Refused::Active("programs are not taken"));
    }
    Err(Refused::Unsupported("this type of file is not taken"))
}

/// The head as text, where it is UTF-8 without what text has no use for. Its end may cut a
/// character in two.
fn text(head: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() == SNIFF_BYTES => {
            str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!text.chars().any(is_binary)).then_some(text)
}

/// What no text holds. Form feeds and escapes occur in logs of terminals.
pub(super) fn is_binary(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0e'..='\x1a' | '\x1c'..='\x1f' | '\x7f')
}

/// Whether all of a file is text, as its head is.
pub(super) fn check_text(path: &Path) -> Result<(), Refused> {
    let broken = Refused::Broken("the text is not UTF-8");
    let mut source = Source::open(path)?;
    // The beginning of a character that goes on behind the buffer.
    let mut cut = Vec::with_capacity(4);
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return if cut.is_empty() { Ok(()) } else { Err(broken) };
        }
        let bytes = buffer.len();
        let whole = [cut.as_slice(), buffer].concat();
        source.consume(bytes);
        let valid = match str::from_utf8(&whole) {
            Ok(_) => whole.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(broken),
        };
        let (text, rest) = whole.split_at(valid);
        if text.iter().any(|byte| is_binary(char::from(*byte))) {
            return Err(broken);
        }
        cut = rest.to_vec();
    }
}

/// Whether a browser that guesses could take it for a page: wider than what browsers look for.
fn is_markup(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('<')
        && chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '!' | '?' | '%' | '/'))
}
