//! Makes a picture smaller while its rows arrive, so that the whole of it is never held.

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};

use crate::media::Refused;
use crate::media::picture::Picture;

/// The longer edge of a reduced picture is at least this, where the original's is.
pub(super) const LONG_EDGE: u32 = 1280;
/// And the shorter one this, so that squares can be cut.
pub(super) const SHORT_EDGE: u32 = 512;
/// But no more pixels than this, however long and thin the picture: those of a square just too small
/// to be halved.
const MAX_REDUCED_PIXELS: u64 = 2560 * 2560;

/// Averages squares of pixels, of 3 (RGB) or 4 (RGBA) bytes each. The few last columns and rows
/// that make no whole square are left out.
pub(super) struct Reducer {
    full: (u32, u32),
    factor: usize,
    width: usize,
    height: usize,
    channels: usize,
    /// Of the row of squares that is being read: colours weighed by alpha, and alpha.
    sums: Vec<u32>,
    rows: usize,
    reduced: Vec<u8>,
}

fn factor(width: u32, height: u32) -> u32 {
    let (long, short) = (width.max(height), width.min(height));
    let mut factor = (long / LONG_EDGE).min(short / SHORT_EDGE).max(1);
    while u64::from(width / factor) * u64::from(height / factor) > MAX_REDUCED_PIXELS {
        factor += 1;
    }
    // A line stays a line.
    factor.min(short)
}

impl Reducer {
    pub(super) fn new(width: u32, height: u32, channels: usize) -> Self {
        let factor = factor(width, height) as usize;
        let (wide, high) = (width as usize / factor, height as usize / factor);
        let sums = if factor == 1 { 0 } else { wide * 4 };
        Self {
            full: (width, height),
            factor,
            width: wide,
            height: high,
            channels,
            sums: vec![0; sums],
            rows: 0,
            reduced: Vec::with_capacity(wide * high * channels),
        }
    }

    /// What the reduced picture will take.
    pub(super) fn bytes(width: u32, height: u32, channels: u64) -> u64 {
        let factor = factor(width, height);
        u64::from(width / factor) * u64::from(height / factor) * channels
    }

    /// Takes the next row of `width * channels` bytes.
    pub(super) fn push(&mut self, row: &[u8]) {
        if self.reduced.len() == self.width * self.height * self.channels {
            return;
        }
        if self.factor == 1 {
            self.reduced.extend_from_slice(&row[..self.width * self.channels]);
            return;
        }
        let square = self.factor * self.channels;
        for (sum, pixels) in self.sums.chunks_exact_mut(4).zip(row.chunks_exact(square)) {
            for pixel in pixels.chunks_exact(self.channels) {
                let alpha = pixel.get(3).map_or(255, |alpha| u32::from(*alpha));
                for (sum, colour) in sum.iter_mut().zip(&pixel[..3]) {
                    *sum += u32::from(*colour) * alpha;
                }
                sum[3] += alpha;
            }
        }
        self.rows += 1;
        if self.rows == self.factor {
            self.finish_row();
        }
    }

    fn finish_row(&mut self) {
        let pixels = u32::try_from(self.factor * self.factor).expect("a picture has few columns");
        for sum in self.sums.chunks_exact_mut(4) {
            let alpha = sum[3];
            let colours = sum[..3].iter().map(|sum| sum.checked_div(alpha).unwrap_or_default());
            self.reduced.extend(colours.map(saturate));
            if self.channels == 4 {
                self.reduced.push(saturate(alpha / pixels));
            }
            sum.fill(0);
        }
        self.rows = 0;
    }

    /// # Errors
    /// `Broken` where rows are missing.
    pub(super) fn finish(self, orientation: Orientation) -> Result<Picture, Refused> {
        let edge = |pixels| u32::try_from(pixels).map_err(|_| Refused::Broken("it has no size"));
        let (width, height) = (edge(self.width)?, edge(self.height)?);
        let image = if self.channels == 3 {
            ImageBuffer::from_raw(width, height, self.reduced).map(DynamicImage::ImageRgb8)
        } else {
            ImageBuffer::from_raw(width, height, self.reduced).map(DynamicImage::ImageRgba8)
        };
        let image = image.ok_or(Refused::Broken("the picture is cut off"))?;
        Ok(Picture::new(image, self.full, orientation))
    }
}

fn saturate(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}
