//! Colour profiles. Those of displays and scanners name the device, so none of a sender's is kept.
//! Phones take photographs in Display P3, which would look pale without one: those get ours.

use std::sync::LazyLock;

use moxcms::{ColorProfile, ToneReprCurve, Xyzd};

/// Those of phones have half a kilobyte; a larger one is something else.
const MAX_BYTES: usize = 16 << 10;

static DISPLAY_P3: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut profile = ColorProfile::new_display_p3();
    profile.cicp = None;
    let mut profile = profile.encode().expect("it is a constant");
    // When it was made: now, which would make each file another.
    profile[24..36].fill(0);
    profile
});

/// Ours, always the same bytes.
pub(super) fn display_p3() -> &'static [u8] {
    &DISPLAY_P3
}

/// Whether a profile says Display P3 in numbers.
pub(super) fn is_display_p3(profile: &[u8]) -> bool {
    if profile.len() > MAX_BYTES {
        return false;
    }
    let Ok(sent) = ColorProfile::new_from_slice(profile) else { return false };
    let ours = ColorProfile::new_display_p3();
    let is_near = |one: Xyzd, other: Xyzd| {
        let parts = [one.x - other.x, one.y - other.y, one.z - other.z];
        parts.iter().all(|part| part.abs() < 0.002)
    };
    let is_like_srgb = matches!(
        &sent.red_trc,
        Some(ToneReprCurve::Parametric(curve)) if curve.first().is_some_and(|g| (g - 2.4).abs() < 0.01)
    );
    is_like_srgb
        && is_near(sent.red_colorant, ours.red_colorant)
        && is_near(sent.green_colorant, ours.green_colorant)
        && is_near(sent.blue_colorant, ours.blue_colorant)
}
