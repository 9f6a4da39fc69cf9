//! Passwords that are known to have leaked, from a file: a line for each, with the SHA-1 of the
//! password in hex and perhaps `:` and a count, as such collections are handed out.
//!
//! Of each hash 64 bits are kept, sorted: 8 bytes an entry. That a good password is taken for a
//! leaked one has a chance of one in 10^11 even with all that fits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use sha1::{Digest, Sha1};

/// A larger file is refused: some 24 million passwords, 190 MiB of memory.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Of a SHA-1 in hex.
const HASH_DIGITS: usize = 40;
/// Those that are kept.
const KEPT_DIGITS: usize = 16;

/// A set of passwords; it is asked, and never printed.
pub struct Breached {
    prefixes: Box<[u64]>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BreachedError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("line {0} is not a SHA-1 in hex")]
    Line(usize),
}

impl Breached {
    /// Reads a file. It takes a second for some ten million lines, and blocks.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or has a line of another form.
    pub fn load(path: &Path) -> Result<Self, BreachedError> {
        let file = File::open(path)?;
        if file.metadata()?.len() > MAX_FILE_BYTES {
            return Err(BreachedError::TooLarge);
        }
        // What is no plain file tells no length, so what is read is counted too.
        Self::read(BufReader::new(file.take(MAX_FILE_BYTES)))
    }

    fn read(mut lines: impl BufRead) -> Result<Self, BreachedError> {
        let mut prefixes = Vec::new();
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                break;
            }
            let text = line.trim();
            if !text.is_empty() {
                prefixes.push(prefix_of(text).ok_or(BreachedError::Line(number))?);
            }
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Ok(Self { prefixes: prefixes.into_boxed_slice() })
    }

    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) fn contains(&self, password: &str) -> bool {
        let hash: [u8; 20] = Sha1::digest(password.as_bytes()).into();
        let (prefix, _) = hash.split_first_chunk().expect("a SHA-1 has 20 bytes");
        self.prefixes.binary_search(&u64::from_be_bytes(*prefix)).is_ok()
    }
}

fn prefix_of(line: &str) -> Option<u64> {
    let hash = line.split(':').next().unwrap_or_default();
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| u64::from_str_radix(&hash[..KEPT_DIGITS], 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Breached, BreachedError> {
        Breached::read(text.as_bytes())
    }

    /// R-AU-3.
    #[test]
    fn lines_of_either_case_with_or_without_a_count_are_read() {
        // "abc" and "" by FIPS 180-1; the second one twice.
        let set = read(
            "a9993e364706816aba3e25717850c26c9cd0d89d\r\n\
             DA39A3EE5E6B4B0D3255BFEF95601890AFD80709:42\n\n\
             da39a3ee5e6b4b0d3255bfef95601890afd80709\n",
        )
        .unwrap();
        assert_eq!(set.len(), 2);
        assert!(set.contains("abc") && set.contains(""));
        assert!(!set.contains("Abc") && !set.contains("abcd"));
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let good = "a9993e364706816aba3e25717850c26c9cd0d89d\n";
        for bad in ["password", "a9993e36", "+9993e364706816aba3e25717850c26c9cd0d89d", ":3"] {
            let outcome = read(&format!("{good}{bad}\n{good}"));
            assert!(matches!(outcome, Err(BreachedError::Line(2))), "{bad:?}");
        }
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        let path = std::env::temp_dir().join(format!("breached-{}", uuid::Uuid::now_v7()));
        let file = File::create(&path).unwrap();
        // Sparse: it has a length and no content.
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        let outcome = Breached::load(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(outcome, Err(BreachedError::TooLarge)));
        assert!(matches!(Breached::load(&path), Err(BreachedError::Io(_))));
    }
}
