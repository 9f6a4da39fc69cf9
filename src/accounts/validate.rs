//! What a user may be called and say of themselves. All problems are collected, so that a form can
//! show them at once.

use crate::error::{Error, FieldError, Result};
use crate::model::session::Device;

#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FieldError>);

impl Problems {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(FieldError { path: path.to_owned(), message: message.into() });
    }

    pub(super) fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.add(path, message);
        }
    }

    /// # Errors
    /// `Invalid` with everything that was added.
    pub(super) fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

pub(super) fn username(problems: &mut Problems, path: &str, name: &str) {
    let known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    problems.require(
        (3..=32).contains(&name.len()) && name.chars().all(known),
        path,
        "3 to 32 characters: letters, digits, `_`, `.`, `-`",
    );
}

/// Plausible is enough: only a mail that arrives proves an address.
pub(super) fn email(problems: &mut Problems, path: &str, address: &str) {
    problems.require(is_plausible(address), path, "an e-mail address, at most 254 characters");
}

pub(super) fn is_plausible(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let good = |c: char| !c.is_control() && !c.is_whitespace() && !"@<>()[],;:\\\"".contains(c);
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    address.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(good)
        && local.split('.').all(|part| !part.is_empty())
        && domain.contains('.')
        && domain.split('.').all(label)
}

pub(super) fn display_name(problems: &mut Problems, path: &str, name: &str) {
    text(problems, path, name, 64);
    problems.require(!name.trim().is_empty(), path, "not empty");
}

/// May be empty, and have several lines.
pub(super) fn bio(problems: &mut Problems, path: &str, bio: &str) {
    text(problems, path, &bio.replace('\n', " "), 500);
}

pub(super) fn device(problems: &mut Problems, device: &Device) {
    let fields = [("device.id", &device.id, 128), ("device.name", &device.name, 128)];
    let platform = ("device.platform", &device.platform, 64);
    for (path, value, limit) in fields.into_iter().chain([platform]) {
        if let Some(value) = value {
            text(problems, path, value, limit);
        }
    }
    problems.require(device.id.as_deref() != Some(""), "device.id", "not empty");
}

/// A line of text: no control characters (Postgres cannot store NUL), no bidirectional overrides,
/// which make a name read as another.
fn text(problems: &mut Problems, path: &str, value: &str, max_chars: usize) {
    problems.require(
        value.chars().count() <= max_chars,
        path,
        &format!("at most {max_chars} characters"),
    );
    let overrides = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    problems.require(
        !value.chars().any(|c| c.is_control() || overrides(c)),
        path,
        "no control characters",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(check: fn(&mut Problems, &str, &str), value: &str) -> bool {
        let mut problems = Problems::default();
        check(&mut problems, "x", value);
        problems.finish().is_ok()
    }

    #[test]
    fn usernames() {
        for good in ["ann", "Ann_B.c-9", &"a".repeat(32)] {
            assert!(accepted(username, good), "{good:?} was refused");
        }
        for bad in ["", "ab", "a b c", "ann@home", "änne", "ann\0", &"a".repeat(33)] {
            assert!(!accepted(username, bad), "{bad:?} was accepted");
        }
    }

    #[test]
    fn addresses() {
        for good in ["a@b.cd", "Ann.B+tag@mail.example.org", "ann@bücher.example"] {
            assert!(accepted(email, good), "{good:?} was refused");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let bad = [
            "",
            "ann",
            "@b.cd",
            "ann@",
            "ann@home",
            "a b@c.de",
            "a@b@c.de",
            "a\0@b.cd",
            "a@-b.cd",
            "a@b..cd",
            ".a@b.cd",
            "<a>@b.cd",
            "a@b.cd\r\nBcc: c@d.ef",
            &long,
        ];
        for bad in bad {
            assert!(!accepted(email, bad), "{bad:?} was accepted");
        }
    }

    #[test]
    fn display_names() {
        for good in ["A", "Änne B. 🙂", &"é".repeat(64)] {
            assert!(accepted(display_name, good), "{good:?} was refused");
        }
        for bad in ["", "  ", "a\0b", "a\nb", "a\u{202e}b", &"é".repeat(65)] {
            assert!(!accepted(display_name, bad), "{bad:?} was accepted");
        }
    }
}
