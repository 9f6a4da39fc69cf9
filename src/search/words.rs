//! Words out of a text, in their order.
//!
//! A word is a run of letters and digits. Scripts that are written without spaces (Chinese,
//! Japanese, Thai and their like; Korean, too, whose words grow endings) give pairs of neighbours
//! instead, one for each place of the run, and its last character alone. So every part of such a run
//! is found, and nobody needs a dictionary.
//!
//! Each word takes one place: that of its number among the words of the text. Neighbours in the text
//! are neighbours here, whatever stands between them that is no letter.

use unicode_script::{Script, UnicodeScript};
use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold;

/// Characters of a word that count; two longer ones that begin alike are one.
pub(super) const WORD_CHARS: usize = 40;

/// Characters of one that is drawn as one; what marks lie beyond does not count.
const CLUSTER_CHARS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a script with spaces.
    Word,
    /// Two neighbours of a script without.
    Pair,
    /// The last of such a run.
    Last,
    /// All of such a run.
    Alone,
}

/// A word as it is compared, and where it stands in the text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub term: String,
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

pub fn words(text: &str) -> Vec<Word> {
    if text.is_ascii() { ascii(text) } else { of_any_script(text) }
}

/// The same as for any script, many times faster.
fn ascii(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if length > 0 {
            let term = text[at..at + length.min(WORD_CHARS)].to_ascii_lowercase();
            words.push(Word { term, kind: Kind::Word, start: at, end: at + length });
        }
        at += length.max(1);
    }
    words
}

/// A character, as it is drawn, of a run in a script without spaces.
struct Cluster<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

pub(super) fn of_any_script(text: &str) -> Vec<Word> {
    let folded = fold(text);
    let mut words = Vec::new();
    let mut run: Vec<Cluster<'_>> = Vec::new();
    let mut word: Option<Word> = None;
    for (offset, cluster) in folded.text.grapheme_indices(true) {
        let first = cluster.chars().next().unwrap_or(' ');
        let is_letter = first.is_alphanumeric();
        let is_spaceless = is_letter && is_spaceless(first);
        if !is_letter || is_spaceless {
            words.extend(word.take());
        }
        if !is_spaceless {
            pairs(&mut words, &mut run);
        }
        if !is_letter {
            continue;
        }
        let (start, end) = folded.origin(offset, offset + cluster.len());
        if is_spaceless {
            run.push(Cluster { text: head(cluster), start, end });
        } else {
            let new = || Word { term: String::new(), kind: Kind::Word, start, end };
            let word = word.get_or_insert_with(new);
            word.end = end;
            let room = WORD_CHARS.saturating_sub(word.term.chars().count());
            word.term.extend(cluster.chars().take(room));
        }
    }
    words.extend(word);
    pairs(&mut words, &mut run);
    words
}

fn head(cluster: &str) -> &str {
    cluster.char_indices().nth(CLUSTER_CHARS).map_or(cluster, |(at, _)| &cluster[..at])
}

/// Ends a run.
fn pairs(words: &mut Vec<Word>, run: &mut Vec<Cluster<'_>>) {
    words.extend(run.windows(2).map(|pair| Word {
        term: [pair[0].text, pair[1].text].concat(),
        kind: Kind::Pair,
        start: pair[0].start,
        end: pair[1].end,
    }));
    if let Some(last) = run.last() {
        let kind = if run.len() == 1 { Kind::Alone } else { Kind::Last };
        let term = last.text.to_owned();
        words.push(Word { term, kind, start: last.start, end: last.end });
    }
    run.clear();
}

/// Of a script whose words are not told apart by spaces alone.
fn is_spaceless(c: char) -> bool {
    // The marks of repetition and length belong to no script.
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}' | '\u{303b}' | '\u{303c}' | 'ー')
        || matches!(
            c.script(),
            Script::Han
                | Script::Hiragana
                | Script::Katakana
                | Script::Bopomofo
                | Script::Hangul
                | Script::Yi
                | Script::Thai
                | Script::Lao
                | Script::Khmer
                | Script::Myanmar
                | Script::Tibetan
                | Script::Javanese
                | Script::Balinese
                | Script::Tai_Le
                | Script::New_Tai_Lue
                | Script::Tai_Tham
                | Script::Tai_Viet
        )
}
