//! A decoded image, reduced to what thumbnails are made of.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageEncoder as _, imageops};
use image_webp::{ColorType, WebPEncoder};

use super::{Refused, Verdict, images, unbroken};
use crate::model::file::FileKind;

/// Good enough to look at, and some 100 KiB at the largest size.
const JPEG_QUALITY: u8 = 82;

/// A photograph with some alpha is no good for lossless packing: it is laid on white instead.
const MAX_WEBP_BYTES: usize = 512 << 10;

const FAILED: Refused = Refused::Broken("the picture has no thumbnail");

/// How large a thumbnail is. None is larger than its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The whole picture, its longer edge no longer than this.
    Within(u32),
    /// The middle of it, as a square with edges of this.
    Square(u32),
}

/// JPEG, or lossless WebP where something shines through and is not too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    pub bytes: Vec<u8>,
    pub mime: &'static str,
    pub width: u32,
    pub height: u32,
}

/// An image after decoding: upright, and reduced so far that thumbnails of up to 1280 pixels, and
/// squares of up to 512, lose nothing. Has nothing of the file but pixels.
#[derive(Debug)]
pub struct Picture {
    image: DynamicImage,
    full_size: (u32, u32),
    orientation: Orientation,
    /// In which its colours are to be seen, where that is not sRGB.
    profile: Option<&'static [u8]>,
}

impl Picture {
    /// Decodes an image. Blocks.
    ///
    /// # Errors
    /// As [`super::examine`]; `Unsupported` for what is no image.
    pub fn open(path: &Path, verdict: &Verdict) -> Result<Self, Refused> {
        if verdict.kind != FileKind::Image {
            return Err(Refused::Unsupported("this is no image"));
        }
        unbroken(|| images::open(path, verdict.mime))
    }

    pub(super) fn new(
        image: DynamicImage,
        full_size: (u32, u32),
        orientation: Orientation,
    ) -> Self {
        Self { image, full_size, orientation, profile: None }
    }

    /// Where what was decoded was smaller already.
    pub(super) fn with_full_size(self, width: u32, height: u32) -> Self {
        Self { full_size: (width, height), ..self }
    }

    pub(super) fn with_profile(self, profile: &'static [u8]) -> Self {
        Self { profile: Some(profile), ..self }
    }

    /// Width and height of the original, upright.
    pub fn full_size(&self) -> (u32, u32) {
        let (width, height) = self.full_size;
        if turns(self.orientation) { (height, width) } else { (width, height) }
    }

    /// A small picture of this one. Blocks for some milliseconds.
    ///
    /// # Errors
    /// None that a picture can cause.
    pub fn thumbnail(&self, size: Size) -> Result<Thumbnail, Refused> {
        let mut small = match size {
            Size::Within(edge) => self.within(edge),
            Size::Square(edge) => self.square(edge),
        };
        small.apply_orientation(self.orientation);
        let (width, height) = (small.width(), small.height());
        let mut bytes = Vec::new();
        let shines_through = match &small {
            DynamicImage::ImageRgba8(pixels) => pixels.pixels().any(|pixel| pixel.0[3] < 255),
            _ => false,
        };
        if shines_through {
            let pixels = small.as_bytes();
            let encoder = WebPEncoder::new(&mut bytes);
            encoder.encode(pixels, width, height, ColorType::Rgba8).map_err(|_| FAILED)?;
            if bytes.len() <= MAX_WEBP_BYTES {
                return Ok(Thumbnail { bytes, mime: "image/webp", width, height });
            }
            bytes.clear();
            lay_on_white(&mut small);
        }
        let small = DynamicImage::ImageRgb8(small.into_rgb8());
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        if let Some(profile) = self.profile {
            encoder.set_icc_profile(profile.to_vec()).map_err(|_| FAILED)?;
        }
        encoder
            .write_image(small.as_bytes(), width, height, image::ExtendedColorType::Rgb8)
            .map_err(|_| FAILED)?;
        Ok(Thumbnail { bytes, mime: "image/jpeg", width, height })
    }

    fn within(&self, edge: u32) -> DynamicImage {
        let (width, height) = (self.image.width(), self.image.height());
        let longer = width.max(height);
        let edge = edge.clamp(1, longer);
        let scaled = |side: u32| {
            let scaled = u64::from(side) * u64::from(edge) / u64::from(longer);
            u32::try_from(scaled).unwrap_or(edge).max(1)
        };
        resize(&self.image, scaled(width), scaled(height))
    }

    fn square(&self, edge: u32) -> DynamicImage {
        let (width, height) = (self.image.width(), self.image.height());
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        let edge = edge.clamp(1, side);
        match &self.image {
            DynamicImage::ImageRgba8(pixels) => {
                let middle = imageops::crop_imm(pixels, left, top, side, side);
                DynamicImage::ImageRgba8(imageops::thumbnail(&*middle, edge, edge))
            }
            other => resize(&other.crop_imm(left, top, side, side), edge, edge),
        }
    }
}

fn resize(image: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    if (width, height) == (image.width(), image.height()) {
        return image.clone();
    }
    image.thumbnail_exact(width, height)
}

fn lay_on_white(image: &mut DynamicImage) {
    let DynamicImage::ImageRgba8(pixels) = image else { return };
    for pixel in pixels.pixels_mut() {
        let alpha = u16::from(pixel.0[3]);
        for colour in &mut pixel.0[..3] {
            let mixed = (u16::from(*colour) * alpha + 255 * (255 - alpha)) / 255;
            *colour = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
}

/// Whether width and height change places.
fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
