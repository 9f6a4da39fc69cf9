//! One form for what people take as the same: without regard to case, width and compatibility forms
//! (NFKC), nor to marks that are optional in writing.
//!
//! Those are accents in Latin and Greek, stress marks and the dots of `ё` in Cyrillic, the vowel
//! points of Hebrew and Arabic, and characters that are not seen. A mark that makes another letter
//! (the voiced signs of Japanese, the vowels of Thai and Hindi, `й`) stays.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_segmentation::UnicodeSegmentation;

/// A folded text, and where each byte of it comes from.
pub(super) struct Folded {
    pub(super) text: String,
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Folded {
    /// What a part of the folded text was in the original.
    pub(super) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        (self.starts[start], self.ends[end - 1])
    }
}

/// Folds what belongs together at a time, so that every part knows its origin.
pub(super) fn fold(text: &str) -> Folded {
    let mut folded = Folded { text: String::new(), starts: Vec::new(), ends: Vec::new() };
    let mut bare = String::new();
    for (start, cluster) in text.grapheme_indices(true) {
        bare.clear();
        let mut letter = None;
        for c in cluster.nfkd().filter(|c| !is_unseen(*c)) {
            if !is_combining_mark(c) {
                letter = Some(c);
            } else if letter.is_some_and(|letter| is_optional(c, letter)) {
                continue;
            }
            // Upwards first: it joins the two small sigmas, and opens the sharp s.
            bare.extend(c.to_uppercase().flat_map(char::to_lowercase));
        }
        let from = folded.text.len();
        folded.text.extend(bare.nfkc());
        if is_several(&folded.text[from..]) {
            folded.text.insert(from, ' ');
            folded.text.push(' ');
        }
        folded.starts.resize(folded.text.len(), start);
        folded.ends.resize(folded.text.len(), start + cluster.len());
    }
    folded
}

/// Whether one character has become several words, such as `½`: they are none with their neighbours.
fn is_several(folded: &str) -> bool {
    let mut chars = folded.chars();
    chars.next().is_some_and(char::is_alphanumeric)
        && chars.any(|c| !c.is_alphanumeric() && !is_combining_mark(c))
}

fn is_optional(mark: char, base: char) -> bool {
    match mark {
        '\u{300}'..='\u{36f}' => match base.script() {
            Script::Latin | Script::Greek => true,
            Script::Cyrillic => {
                matches!(mark, '\u{300}' | '\u{301}')
                    || (mark == '\u{308}' && matches!(base, 'е' | 'Е'))
            }
            _ => false,
        },
        '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{652}' | '\u{670}' => true,
        _ => false,
    }
}

/// Characters that only steer how others are shown, or where lines break.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{640}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
    )
}
