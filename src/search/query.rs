//! What people type into a search field.
//!
//! All words must be in the text, in any order. Between quotation marks they must be neighbours, and
//! so must the parts of what was typed without a space (`example.com`, and a run of a script without
//! spaces). The last word may go on, since it may still be being typed; in quotes it is whole.
//! Nothing else has a meaning: there are no operators.

use std::ops::Range;

use super::words::{Kind, WORD_CHARS, Word, words};

/// Characters of a query, at the most.
pub const QUERY_CHARS: usize = 200;
/// Words of a query, at the most; each costs a look into the index for every chat.
pub const QUERY_WORDS: usize = 24;

/// A word of a phrase: how many places behind the phrase's first, and whether it may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub offset: usize,
    pub term: String,
    pub is_prefix: bool,
}

/// Words that must be neighbours; one alone in most cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(pub Vec<Wanted>);

/// At least one phrase, each of at least one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    phrases: Vec<Phrase>,
}

impl Query {
    /// # Errors
    /// What is wrong, for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > QUERY_CHARS {
            return Err(format!("at most {QUERY_CHARS} characters"));
        }
        if text.contains('\0') {
            return Err("must not contain NUL".to_owned());
        }
        let mut phrases = Vec::new();
        let mut may_go_on = false;
        for (index, part) in text.split(is_quotation_mark).enumerate() {
            let is_quoted = index % 2 == 1;
            let chunks: Vec<&str> =
                if is_quoted { vec![part] } else { part.split_whitespace().collect() };
            for phrase in chunks.into_iter().filter_map(phrase) {
                may_go_on = !is_quoted;
                phrases.push(phrase);
            }
        }
        if may_go_on {
            let last = phrases.last_mut().and_then(|Phrase(wanted)| wanted.last_mut());
            last.map(let_go_on);
        }
        let count: usize = phrases.iter().map(|Phrase(wanted)| wanted.len()).sum();
        match count {
            0 => Err("at least one word: letters or digits".to_owned()),
            1..=QUERY_WORDS => Ok(Self { phrases }),
            _ => Err(format!("at most {QUERY_WORDS} words")),
        }
    }

    pub fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// Where a text has what is wanted, in bytes, ascending, and none in another; none where it
    /// lacks any of it.
    pub fn find(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let words = words(text);
        let mut found = Vec::new();
        for phrase in &self.phrases {
            let before = found.len();
            found.extend((0..words.len()).filter_map(|at| phrase.at(&words, at)));
            if found.len() == before {
                return None;
            }
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        Some(apart)
    }
}

impl Phrase {
    /// Where the phrase stands, if it begins at this word.
    fn at(&self, words: &[Word], at: usize) -> Option<Range<usize>> {
        let Self(wanted) = self;
        for one in wanted {
            let word = words.get(at + one.offset)?;
            let fits = if one.is_prefix {
                word.term.starts_with(&one.term)
            } else {
                word.term == one.term
            };
            if !fits {
                return None;
            }
        }
        let last = wanted.last()?;
        let last_word = &words[at + last.offset];
        // Where one character asks for the pairs that it begins, the other is no part of it.
        let is_half = last_word.kind == Kind::Pair && last.term.len() < last_word.term.len();
        let next = words.get(at + last.offset + 1).filter(|_| is_half);
        let end = next.map_or(last_word.end, |next| next.start);
        Some(words[at].start..end)
    }
}

fn is_quotation_mark(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂')
}

/// What is typed in one piece; none where it has no letters.
fn phrase(text: &str) -> Option<Phrase> {
    let words = words(text).into_iter().enumerate();
    let wanted: Vec<Wanted> = words
        // The pairs have said it already; in a text the run may go on.
        .filter(|(_, word)| word.kind != Kind::Last)
        .map(|(offset, Word { term, kind, .. })| {
            // One character alone begins all pairs that it is in.
            Wanted { offset, term, is_prefix: kind == Kind::Alone }
        })
        .collect();
    (!wanted.is_empty()).then_some(Phrase(wanted))
}

/// A single letter is like everything, and a word of the full length cannot go on.
fn let_go_on(last: &mut Wanted) {
    let chars = last.term.chars().count();
    last.is_prefix |= (2..WORD_CHARS).contains(&chars);
}
