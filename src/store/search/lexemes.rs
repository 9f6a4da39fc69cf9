//! Words as Postgres keeps them and looks for them: the text forms of `tsvector` and `tsquery`.
//!
//! They are made here of words that were taken apart before, each in quotes. Nothing that anybody
//! typed is ever read as a language.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::model::id::{ChatId, UserId};
use crate::search::{Phrase, Query, words};

/// Places that Postgres can count up to, and keeps of one word.
const MAX_PLACE: usize = 16_383;
const MAX_PLACES: usize = 255;

/// What stands for a message in the index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) terms: String,
    pub(super) has_places: bool,
}

/// What to look for in a chat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// All words.
    pub(super) words: String,
    /// The words in their places, where that says more.
    pub(super) phrases: Option<String>,
}

/// The short name of a chat, or a user: its last bytes, which are random. Where two are the same, the
/// whole id tells them apart.
fn short(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(&id.as_bytes()[10..])
}

/// No word begins like these two.
fn sender_lexeme(chat: &str, sender: UserId) -> String {
    format!("{chat}@{}", short(sender.0))
}

fn file_lexeme(chat: &str) -> String {
    format!("{chat}#")
}

/// In quotes, whatever is in it.
fn put(text: &mut String, lexeme: &str) {
    text.push('\'');
    for c in lexeme.chars() {
        if matches!(c, '\'' | '\\') {
            text.push(c);
        }
        text.push(c);
    }
    text.push('\'');
}

pub(super) fn document(chat: ChatId, sender: UserId, has_file: bool, body: &str) -> Document {
    let chat = short(chat.0);
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, word) in words(body).into_iter().enumerate() {
        places.entry(word.term).or_default().push(index + 1);
    }
    let mut terms = String::new();
    put(&mut terms, &sender_lexeme(&chat, sender));
    if has_file {
        terms.push(' ');
        put(&mut terms, &file_lexeme(&chat));
    }
    let mut has_places = true;
    for (term, places) in places {
        terms.push(' ');
        put(&mut terms, &format!("{chat}{term}"));
        has_places &= places.len() <= MAX_PLACES && places.iter().all(|place| *place <= MAX_PLACE);
        let kept = places.into_iter().filter(|place| *place <= MAX_PLACE).take(MAX_PLACES);
        for (nth, place) in kept.enumerate() {
            let sign = if nth == 0 { ':' } else { ',' };
            write!(terms, "{sign}{place}").expect("a string takes all");
        }
    }
    Document { terms, has_places }
}

pub(super) fn lookup(query: &Query, chat: ChatId, from: Option<UserId>, has_file: bool) -> Lookup {
    let chat = short(chat.0);
    let mut rest = String::new();
    for lexeme in from
        .map(|sender| sender_lexeme(&chat, sender))
        .into_iter()
        .chain(has_file.then(|| file_lexeme(&chat)))
    {
        rest.push_str(" & ");
        put(&mut rest, &lexeme);
    }
    let phrases = query.phrases();
    let all = |sign: fn(usize) -> String| {
        let parts: Vec<String> = phrases.iter().map(|phrase| joined(&chat, phrase, sign)).collect();
        parts.join(" & ")
    };
    let is_plain = phrases.iter().all(|Phrase(wanted)| wanted.len() == 1);
    Lookup {
        words: format!("({}{rest})", all(|_| " & ".to_owned())),
        phrases: (!is_plain).then(|| format!("({})", all(|places| format!(" <{places}> ")))),
    }
}

/// A phrase's words, with a sign between them that may say how many places they are apart.
fn joined(chat: &str, Phrase(wanted): &Phrase, sign: fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut before = 0;
    for (index, one) in wanted.iter().enumerate() {
        if index > 0 {
            text.push_str(&sign(one.offset - before));
        }
        before = one.offset;
        put(&mut text, &format!("{chat}{}", one.term));
        if one.is_prefix {
            text.push_str(":*");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: ChatId = ChatId(Uuid::nil());
    const USER: UserId = UserId(Uuid::max());

    #[test]
    fn a_message_is_its_words_behind_the_name_of_its_chat() {
        let document = document(CHAT, USER, false, "To be, or not to BE");
        let terms =
            "'AAAAAAAA@________' 'AAAAAAAAbe':2,6 'AAAAAAAAnot':4 'AAAAAAAAor':3 'AAAAAAAAto':1,5";
        assert_eq!(document, Document { terms: terms.to_owned(), has_places: true });
        let file = super::document(CHAT, USER, true, "");
        assert_eq!(file.terms, "'AAAAAAAA@________' 'AAAAAAAA#'");
    }

    #[test]
    fn more_places_than_postgres_keeps_are_owned_up_to() {
        assert!(super::document(CHAT, USER, false, &"a ".repeat(255)).has_places);
        assert!(!super::document(CHAT, USER, false, &"a ".repeat(256)).has_places);
        let many: Vec<String> = (0..16_384).map(|n| n.to_string()).collect();
        assert!(!super::document(CHAT, USER, false, &many.join(" ")).has_places);
    }

    #[test]
    fn a_query_is_made_of_quoted_words() {
        let query = Query::parse("\"to be\" no").unwrap();
        let found = lookup(&query, CHAT, Some(USER), true);
        let words =
            "('AAAAAAAAto' & 'AAAAAAAAbe' & 'AAAAAAAAno':* & 'AAAAAAAA@________' & 'AAAAAAAA#')";
        assert_eq!(found.words, words);
        assert_eq!(
            found.phrases.as_deref(),
            Some("('AAAAAAAAto' <1> 'AAAAAAAAbe' & 'AAAAAAAAno':*)")
        );
        let query = Query::parse("\"東京 大学\"").unwrap();
        let found = lookup(&query, CHAT, None, false);
        assert_eq!(found.phrases.as_deref(), Some("('AAAAAAAA東京' <2> 'AAAAAAAA大学')"));
        assert_eq!(lookup(&Query::parse("a").unwrap(), CHAT, None, false).phrases, None);
        let mut quoted = String::new();
        put(&mut quoted, r"a'b\c");
        assert_eq!(quoted, r"'a''b\\c'");
    }
}
