//! A time with a unit: `30s`, `15m`, `1h`, `30d`.

use std::str::FromStr;
use std::time::Duration;

/// A duration with a unit, as the seed writes `JWT_EXPIRE`.
pub(super) struct Life(pub(super) Duration);

impl FromStr for Life {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let count: u64 = digits.parse().map_err(|_| ())?;
        let unit = match &text[digits.len()..] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(()),
        };
        let seconds = count.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or(())?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}
