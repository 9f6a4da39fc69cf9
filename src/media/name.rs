//! Names of files: what is kept of the sent one, and how it is told in a header.
//!
//! A name is for people to see. It never becomes part of a path or a key, here or in the store; the
//! browser that saves the file makes its own of it.

use std::fmt::Write as _;

/// What most file systems take.
pub const MAX_NAME_BYTES: usize = 255;

/// An extension longer than this is no extension.
const MAX_EXTENSION_BYTES: usize = 16;

const NAMELESS: &str = "file";

/// How a browser is to treat what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Inline,
    Attachment,
}

/// What is kept of a name: its last part, without what cannot be seen or turns the writing round,
/// and no longer than [`MAX_NAME_BYTES`]; the extension stays.
pub fn display_name(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|c| !is_hidden(*c)).collect();
    // Leading points hide a file, trailing ones are cut off by some systems.
    let name = seen.trim_matches(|c: char| c.is_whitespace() || c == '.');
    // A name that is all extension, such as ".png", loses its point like others.
    if name.is_empty() {
        return NAMELESS.to_owned();
    }
    shorten(name)
}

/// The value of `Content-Disposition` (RFC 6266): the name for old clients in plain ASCII, and as it
/// is for all others (RFC 8187).
pub fn content_disposition(disposition: Disposition, name: &str) -> String {
    let word = match disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    };
    let name = display_name(name);
    let mut value = format!("{word}; filename=\"{}\"", ascii_fallback(&name));
    value.push_str("; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            write!(value, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    value
}

/// The name in characters that need no quoting in a header; percent signs are read in two ways.
fn ascii_fallback(name: &str) -> String {
    let plain = |c: char| {
        let is_plain = c == ' ' || (c.is_ascii_graphic() && !"\"\\%;".contains(c));
        if is_plain { c } else { '_' }
    };
    name.chars().map(plain).collect()
}

/// Controls, what turns the direction of writing, and what has no width. The joiners stay: scripts
/// and emojis are built with them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e001f}')
}

fn shorten(name: &str) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |point| &name[point..]);
    let extension = if extension.len() > MAX_EXTENSION_BYTES { "" } else { extension };
    let mut end = MAX_NAME_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// F51.
    #[test]
    fn only_what_people_see_of_a_name_is_kept() {
        let long = "ä".repeat(2048) + ".png";
        let table = [
            ("photo.jpg", "photo.jpg"),
            ("Über uns – 日本語 👩‍👩‍👧.pdf", "Über uns – 日本語 👩‍👩‍👧.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.txt", "a.txt"),
            ("a\r\nSet-Cookie: x=1", "aSet-Cookie: x=1"),
            ("gpj.\u{202e}exe.png", "gpj.exe.png"),
            ("zero\u{200b}width\u{feff}.txt", "zerowidth.txt"),
            ("nul\0byte.txt", "nulbyte.txt"),
            ("", "file"),
            ("..", "file"),
            ("a/", "file"),
            (" \t ", "file"),
            (".htaccess", "htaccess"),
            ("trailing. . ", "trailing"),
        ];
        for (sent, kept) in table {
            assert_eq!(display_name(sent), kept, "{sent:?}");
        }
        let kept = display_name(&long);
        assert!(kept.len() <= MAX_NAME_BYTES && kept.ends_with("ä.png"), "{kept}");
        assert_eq!(display_name(&"x".repeat(4096)).len(), MAX_NAME_BYTES);
    }

    #[test]
    fn headers_tell_a_name_twice() {
        let told = |name| content_disposition(Disposition::Attachment, name);
        assert_eq!(
            told("naïve \"plan\"; 50%.txt"),
            "attachment; filename=\"na_ve _plan__ 50_.txt\"; \
             filename*=UTF-8''na%C3%AFve%20%22plan%22%3B%2050%25.txt"
        );
        assert_eq!(
            content_disposition(Disposition::Inline, "a.png"),
            "inline; filename=\"a.png\"; filename*=UTF-8''a.png"
        );
    }

    proptest! {
        /// Whatever the name, the header stays one header with one name.
        #[test]
        fn no_name_breaks_a_header(name in "\\PC*|(?s).{0,64}") {
            let value = content_disposition(Disposition::Attachment, &name);
            prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(value.matches('"').count(), 2);
            prop_assert!(!value.contains('\\'));
            prop_assert!(display_name(&name).len() <= MAX_NAME_BYTES);
        }
    }
}
