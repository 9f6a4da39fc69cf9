//! A piece of a text with what was found in it, in parts: whoever shows them need not count
//! characters, nor mark anything up.

use std::ops::Range;

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

/// Characters, as they are drawn, of an excerpt; and before the first of what was found.
const EXCERPT: usize = 160;
const BEFORE: usize = 40;

/// A piece of the message's text around the first thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Highlight {
    /// Put together they are the piece, exactly as it stands in the text.
    pub parts: Vec<Part>,
    /// Whether the text begins before it, and goes on behind it.
    pub cut_before: bool,
    pub cut_after: bool,
}

/// A part of a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Part {
    pub text: String,
    /// Whether this is what was searched for.
    pub hit: bool,
}

impl Highlight {
    /// `found` is ascending, and within the text.
    pub fn of(text: &str, found: &[Range<usize>]) -> Self {
        let window = window(text, found.first().map_or(0, |first| first.start));
        let mut parts = Vec::new();
        let mut at = window.start;
        for range in found {
            let (start, end) = (range.start.max(at), range.end.min(window.end));
            if start >= end {
                continue;
            }
            push(&mut parts, &text[at..start], false);
            push(&mut parts, &text[start..end], true);
            at = end;
        }
        push(&mut parts, &text[at..window.end], false);
        Self { parts, cut_before: window.start > 0, cut_after: window.end < text.len() }
    }
}

fn push(parts: &mut Vec<Part>, text: &str, hit: bool) {
    if !text.is_empty() {
        parts.push(Part { text: text.to_owned(), hit });
    }
}

/// A piece around `first` that cuts no character, and begins with a word where it can.
fn window(text: &str, first: usize) -> Range<usize> {
    let clusters: Vec<(usize, &str)> = text.grapheme_indices(true).collect();
    let hit = clusters.partition_point(|(at, _)| *at < first);
    let mut begin = hit.saturating_sub(BEFORE);
    if begin > 0 {
        let is_space = |(_, cluster): &(usize, &str)| cluster.chars().all(char::is_whitespace);
        let space = clusters[begin..hit].iter().position(is_space);
        begin += space.map_or(0, |space| space + 1);
    }
    let start = clusters.get(begin).map_or(0, |(at, _)| *at);
    let end = clusters.get(begin + EXCERPT).map_or(text.len(), |(at, _)| *at);
    start..end
}
