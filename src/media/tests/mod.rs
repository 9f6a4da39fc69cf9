//! Files of all sorts against the rules.

mod cleaning;
mod corpus;
mod hostile;
mod make;
mod memory;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Examined, Refused, SNIFF_BYTES, Verdict, examine, judge};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("chat-media-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.join("sent");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.0.join("cleaned")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What an upload goes through.
fn take(path: &Path, out: &Path, declared: Option<&str>, name: &str) -> Taken {
    let bytes = fs::read(path).unwrap();
    let verdict = judge(&bytes[..bytes.len().min(SNIFF_BYTES)], declared, name)?;
    Ok((verdict, examine(path, &verdict, out)?))
}

type Taken = Result<(Verdict, Examined), Refused>;
