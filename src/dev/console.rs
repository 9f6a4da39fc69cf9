//! What the supervisor tells the person in front of it.

use std::io::Write as _;
use std::path::Path;

/// A line on standard output. A reader that has gone (`… dev | head -1`) must not end the cluster,
/// so unlike `println!` this cannot fail.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// The last lines of a log, indented, to go with the report that its part failed.
pub(super) fn tail(log: &Path) -> String {
    let Ok(text) = std::fs::read(log) else { return String::new() };
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(12)..];
    let quoted: String = last.iter().flat_map(|line| ["\n    ", line]).collect();
    format!("\n  the end of {}:{quoted}", log.display())
}
