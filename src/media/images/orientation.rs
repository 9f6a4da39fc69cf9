//! How a picture is to be turned: the only thing that is kept of what a camera wrote.

use image::metadata::Orientation;

/// An EXIF block with this as its only entry: big-endian TIFF with one short.
pub(super) fn exif(orientation: Orientation) -> [u8; 26] {
    let mut block = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    block[19] = orientation.to_exif();
    block
}

/// What a block of EXIF says of it; one that cannot be read says nothing.
pub(super) fn of_exif(block: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(block).unwrap_or(Orientation::NoTransforms)
}

pub(super) fn is_upright(orientation: Orientation) -> bool {
    orientation == Orientation::NoTransforms
}
