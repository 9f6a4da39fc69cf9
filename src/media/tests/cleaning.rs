//! What is left of images, and what thumbnails show.

use std::fs;
use std::io::Cursor;
use std::time::Duration;

use exif::{In, Reader, Tag};

use super::make;
use super::{Folder, take};
use crate::media::{Picture, SNIFF_BYTES, Size, judge};

fn cleaned(sent: &[u8]) -> (Vec<u8>, Picture) {
    let folder = Folder::new();
    let (_, examined) = take(&folder.write(sent), &folder.out(), None, "").unwrap();
    assert!(examined.rewritten);
    (fs::read(folder.out()).unwrap(), examined.picture.unwrap())
}

/// What an independent reader finds, as tags.
fn tags(image: &[u8]) -> Vec<Tag> {
    let read = Reader::new().read_from_container(&mut Cursor::new(image));
    read.map(|exif| exif.fields().map(|field| field.tag).collect()).unwrap_or_default()
}

/// F51, R-FI-5.
#[test]
fn nothing_of_a_camera_is_left_but_what_turns_the_picture_upright() {
    let exif = make::camera_exif(6);
    let sent = [
        make::jpeg_of_a_camera(6),
        make::with_chunk(&make::png(48, 32, 3), *b"eXIf", &exif),
        make::webp(48, 32, Some(exif)),
    ];
    for sent in sent {
        assert!(tags(&sent).contains(&Tag::GPSLatitude), "the reader finds it where it is");
        let (kept, picture) = cleaned(&sent);
        assert_eq!(tags(&kept), [Tag::Orientation]);
        let exif = Reader::new().read_from_container(&mut Cursor::new(&kept)).unwrap();
        let turned = exif.get_field(Tag::Orientation, In::PRIMARY).unwrap();
        assert_eq!(turned.value.get_uint(0), Some(6));
        assert_eq!(picture.full_size(), (32, 48), "it is told as it is seen");
        let small = picture.thumbnail(Size::Within(12)).unwrap();
        assert_eq!((small.width, small.height), (8, 12));
        assert!(tags(&small.bytes).is_empty());
        let (again, _) = cleaned(&kept);
        assert_eq!(again, kept, "what is clean stays as it is");
    }
}

/// The profile of a phone says its colours; what else it says, and other profiles, go.
#[test]
fn of_profiles_only_display_p3_is_kept_and_that_is_ours() {
    let text = |text: &str| {
        let text = moxcms::LocalizableString::new("en".into(), "US".into(), text.into());
        Some(moxcms::ProfileText::Localizable(vec![text]))
    };
    let with_profile = |mut profile: moxcms::ColorProfile| {
        profile.device_model = text("serial 4711");
        let segment = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile.encode().unwrap()].concat();
        make::with_segment(&make::jpeg(48, 32), 0xe2, &segment)
    };
    let profile_in = |jpeg: &[u8]| {
        let mut decoder = jpeg_decoder::Decoder::new(jpeg);
        decoder.decode().unwrap();
        decoder.icc_profile()
    };
    let (kept, picture) = cleaned(&with_profile(moxcms::ColorProfile::new_display_p3()));
    let ours = profile_in(&kept).unwrap();
    assert!(ours.len() < 1024 && !ours.windows(4).any(|part| part == b"\x004\x007"));
    let read = moxcms::ColorProfile::new_from_slice(&ours).unwrap();
    assert!(read.device_model.is_none());
    let small = picture.thumbnail(Size::Within(16)).unwrap();
    assert_eq!(profile_in(&small.bytes), Some(ours));
    assert_eq!(cleaned(&kept).0, kept);
    let (kept, _) = cleaned(&with_profile(moxcms::ColorProfile::new_adobe_rgb()));
    assert_eq!(profile_in(&kept), None);
}

#[test]
fn cleaning_changes_no_pixel() {
    let sent = make::jpeg_of_a_camera(1);
    let (kept, _) = cleaned(&sent);
    let pixels = |jpeg: &[u8]| jpeg_decoder::Decoder::new(jpeg).decode().unwrap();
    assert!(tags(&kept).is_empty());
    assert_eq!(pixels(&kept), pixels(&sent));
    let (kept, _) = cleaned(&make::progressive_jpeg());
    assert_eq!(pixels(&kept), pixels(&make::progressive_jpeg()));
}

#[test]
fn animations_stay_animations() {
    let (kept, _) = cleaned(&make::with_extension(&make::gif(16, 16, 3), 0xfe, b"a comment"));
    assert_eq!(kept, make::gif(16, 16, 3));
    let endless = &kept[..kept.len() - 1];
    assert_eq!(cleaned(endless).0, kept, "an end that was left out is written");
    let sent = make::animated_webp(3);
    let (kept, _) = cleaned(&sent);
    assert_eq!(kept.len(), sent.len() - 3 * 12, "each frame lost a chunk that it may not have");
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(kept)).unwrap();
    assert_eq!((decoder.num_frames(), decoder.loop_duration()), (3, 300));
    let mut frame = vec![0; decoder.output_buffer_size().unwrap()];
    for _ in 0..3 {
        decoder.read_frame(&mut frame).unwrap();
    }
}

#[test]
fn thumbnails_are_no_larger_than_asked_and_squares_are_square() {
    let table = [
        (make::jpeg(3000, 2000), Size::Within(1280), (1280, 853), "image/jpeg"),
        (make::jpeg(3000, 2000), Size::Square(512), (512, 512), "image/jpeg"),
        (make::jpeg(100, 50), Size::Within(320), (100, 50), "image/jpeg"),
        (make::jpeg(1, 1), Size::Square(64), (1, 1), "image/jpeg"),
        (make::png(2700, 1300, 3), Size::Within(128), (128, 61), "image/jpeg"),
        (make::png(300, 200, 4), Size::Square(64), (64, 64), "image/webp"),
        (make::png(30_000, 2, 3), Size::Within(320), (320, 1), "image/jpeg"),
        (make::gif(600, 20, 2), Size::Within(128), (128, 4), "image/jpeg"),
        (make::webp(900, 900, None), Size::Square(256), (256, 256), "image/jpeg"),
    ];
    for (sent, size, (width, height), mime) in table {
        let (_, picture) = cleaned(&sent);
        let small = picture.thumbnail(size).unwrap();
        assert_eq!((small.width, small.height, small.mime), (width, height, mime), "{size:?}");
        let verdict = judge(&small.bytes[..small.bytes.len().min(SNIFF_BYTES)], None, "").unwrap();
        assert_eq!(verdict.mime, mime);
        let (_, shown) = cleaned(&small.bytes);
        assert_eq!(shown.full_size(), (width, height));
    }
}

/// Red above, blue below, however it is read.
#[test]
fn thumbnails_show_the_picture() {
    let half = |colour: [u8; 3]| colour.repeat(1400 * 700);
    let pixels = [half([250, 0, 0]), half([0, 0, 250])].concat();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 1400, 1400);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    let mut jpeg = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
    encoder.encode(&pixels, 1400, 1400, image::ExtendedColorType::Rgb8).unwrap();
    let mut webp = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut webp);
    encoder.encode(&pixels, 1400, 1400, image_webp::ColorType::Rgb8).unwrap();
    for sent in [png, jpeg, webp] {
        let (_, picture) = cleaned(&sent);
        let small = picture.thumbnail(Size::Within(64)).unwrap();
        let pixels = jpeg_decoder::Decoder::new(small.bytes.as_slice()).decode().unwrap();
        let at = |x: usize, y: usize| &pixels[(y * 64 + x) * 3..][..3];
        assert!(at(32, 8)[0] > 230 && at(32, 8)[2] < 25, "{:?}", at(32, 8));
        assert!(at(32, 56)[2] > 230 && at(32, 56)[0] < 25, "{:?}", at(32, 56));
    }
}

#[test]
fn a_video_forgets_where_it_was_made_and_music_keeps_its_title() {
    let folder = Folder::new();
    let sent = make::mp4(*b"isom");
    let path = folder.write(&sent);
    let (_, examined) = take(&path, &folder.out(), Some("video/mp4"), "").unwrap();
    assert_eq!(examined.facts.duration, Some(Duration::from_millis(2500)));
    assert_eq!(examined.facts.width.zip(examined.facts.height), Some((360, 640)), "upright");
    assert!(examined.rewritten);
    let kept = fs::read(folder.out()).unwrap();
    assert_eq!(kept.len(), sent.len(), "nothing moves");
    assert!(kept.windows(4).all(|part| part != b"\xa9xyz" && part != b"+52."));
    let (_, examined) = take(&path, &folder.out(), Some("audio/mp4"), "").unwrap();
    assert!(!examined.rewritten && examined.facts.width.is_none());
}
