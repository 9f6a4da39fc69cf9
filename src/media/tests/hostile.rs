//! Whatever the bytes, there is an answer. Decoders are called as they are, so a panic shows.

use proptest::prelude::*;

use super::{Folder, make};
use crate::media::{SNIFF_BYTES, images, judge, timed};

const MIMES: [&str; 11] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "video/mp4",
    "video/webm",
    "audio/mpeg",
    "audio/aac",
    "audio/wav",
    "audio/flac",
    "audio/ogg",
];

fn good(mime: &str) -> Vec<Vec<u8>> {
    match mime {
        "image/jpeg" => vec![make::jpeg_of_a_camera(6), make::progressive_jpeg()],
        "image/png" => vec![make::png(20, 10, 4), make::png(9, 9, 3)],
        "image/gif" => vec![make::gif(16, 16, 3)],
        "image/webp" => vec![
            make::webp(30, 20, Some(make::camera_exif(3))),
            make::lossy_webp(),
            make::animated_webp(2),
        ],
        "video/mp4" => vec![make::mp4(*b"isom"), make::fragmented_mp4()],
        "video/webm" => vec![make::webm(None), make::webm(Some(1.0))],
        "audio/mpeg" => vec![make::mp3()[..4000].to_vec()],
        "audio/aac" => vec![make::adts()],
        "audio/wav" => vec![make::wav()[..400].to_vec()],
        "audio/flac" => vec![make::flac()],
        _ => vec![make::opus()],
    }
}

/// Looks into it, whatever it is.
fn look(bytes: &[u8], mime: &'static str) {
    let folder = Folder::new();
    let path = folder.write(bytes);
    drop(judge(&bytes[..bytes.len().min(SNIFF_BYTES)], None, "a"));
    if mime.starts_with("image/") {
        drop(images::clean(&path, mime, &folder.out()));
        drop(images::open(&path, mime));
    } else {
        drop(timed::read(&path, mime));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn changed_files_are_taken_or_refused(
        which in 0..MIMES.len(),
        form in 0_usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let mime = MIMES[which];
        let forms = good(mime);
        let mut bytes = forms[form % forms.len()].clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        look(&bytes, mime);
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_beginning_are_taken_or_refused(
        which in 0..MIMES.len(),
        kept in 0_usize..64,
        rest in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let mime = MIMES[which];
        let begun = &good(mime)[0];
        look(&[&begun[..kept.min(begun.len())], &rest].concat(), mime);
    }
}
