//! Texts of many scripts, and that nothing that is in a text is missed.

use proptest::prelude::*;

use super::words::of_any_script;
use super::{Highlight, Kind, Query, words};

fn terms(text: &str) -> Vec<String> {
    words(text).into_iter().map(|word| word.term).collect()
}

fn finds(query: &str, text: &str) -> bool {
    Query::parse(query).unwrap().find(text).is_some()
}

/// What is marked in a text, with brackets.
fn marked(query: &str, text: &str) -> String {
    let found = Query::parse(query).unwrap().find(text).expect("it is found");
    let parts = Highlight::of(text, &found).parts;
    parts
        .iter()
        .map(|part| if part.hit { format!("[{}]", part.text) } else { part.text.clone() })
        .collect()
}

#[test]
fn words_are_runs_of_letters_and_digits() {
    assert_eq!(terms("Hello, world! It's 3.14"), ["hello", "world", "it", "s", "3", "14"]);
    assert_eq!(terms("see https://example.com/a_b"), ["see", "https", "example", "com", "a", "b"]);
    assert_eq!(terms("Дмитрий, привет"), ["дмитрий", "привет"]);
    assert_eq!(terms("हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
    assert_eq!(terms("🙂 — …"), [""; 0]);
}

#[test]
fn runs_without_spaces_are_pairs_of_neighbours() {
    assert_eq!(terms("東京大学"), ["東京", "京大", "大学", "学"]);
    assert_eq!(terms("iPhone手机"), ["iphone", "手机", "机"]);
    assert_eq!(words("山")[0].kind, Kind::Alone);
    assert_eq!(terms("ที่นี่"), ["ที่นี่", "นี่"], "marks stay with their letters");
}

#[test]
fn what_is_written_differently_is_the_same() {
    for (one, other) in [
        ("Ｗｉｄｅ", "wide"),
        ("café", "CAFE\u{301}"),
        ("Änne", "anne"),
        ("STRASSE", "straße"),
        ("ΣΟΦΌΣ", "σοφος"),
        ("ёлка", "елка"),
        ("ｶﾞｰﾄﾞ", "ガード"),
        ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
        ("ﬁn", "fin"),
        ("soft\u{ad}ware", "software"),
        ("مُحَمَّد", "محمد"),
        ("İstanbul", "istanbul"),
    ] {
        assert_eq!(terms(one), terms(other), "{one} {other}");
    }
    for (one, other) in [("か", "が"), ("мой", "мои"), ("हिन्दी", "हन्द")]
    {
        assert_ne!(terms(one), terms(other), "{one} {other}");
    }
}

#[test]
fn all_words_must_be_there_and_the_last_may_go_on() {
    let text = "The quick brown fox jumps over the lazy dog";
    for query in ["fox", "FOX quick", "dog the", "quick bro", "jum", "o the dog over fox qu"] {
        assert_eq!(finds(query, text), query != "o the dog over fox qu", "{query}");
    }
    assert!(!finds("qui brown", text), "only the last");
    assert!(!finds("\"quick bro\"", text), "not in quotes");
    assert!(!finds("q", text), "a letter alone is a word");
    assert!(!finds("fox cat", text));
}

#[test]
fn quotes_hold_words_together() {
    let text = "over the lazy dog, the fox";
    for query in ["\"the lazy\"", "“lazy dog”", "\"dog the\"", "\"the fox", "fox \"the lazy dog\""]
    {
        assert!(finds(query, text), "{query}");
    }
    for query in ["\"lazy the\"", "\"the dog\"", "\"fox over\""] {
        assert!(!finds(query, text), "{query}");
    }
    let text = "please look at example.com or well-known things";
    assert!(
        finds("example.com", text) && finds("well-known", text) && finds("\"known things\"", text)
    );
    assert!(!finds("com.example", text));
}

#[test]
fn any_part_of_a_run_without_spaces_is_found() {
    let text = "私は東京大学の学生です";
    for query in ["東京", "京大", "東京大学", "学生", "です", "学", "私", "す", "東京 学生"]
    {
        assert!(finds(query, text), "{query}");
    }
    for query in ["大京", "東大", "京都", "東学生"] {
        assert!(!finds(query, text), "{query}");
    }
    assert!(finds("สวัสดี", "เขาพูดว่าสวัสดีครับ") && !finds("สวัสดี", "เขาพูดว่าสบายดีครับ"));
    assert!(finds("학교", "오늘 학교에서 만나요"));
    assert!(finds("\"東京 大学\"", "東京、大学") && !finds("\"東京 大学\"", "東京の大学"));
}

#[test]
fn what_was_found_is_marked() {
    assert_eq!(marked("fox", "a Fox, a foxglove"), "a [Fox], a [foxglove]");
    assert_eq!(marked("\"lazy dog\"", "The lazy, DOG!"), "The [lazy, DOG]!");
    assert_eq!(marked("京大", "東京大学"), "東[京大]学");
    assert_eq!(marked("学", "大学の学生"), "大[学]の[学]生");
    assert_eq!(marked("cafe", "un cafe\u{301} <b>"), "un [cafe\u{301}] <b>");
    let long = format!("{} needle {}", "word ".repeat(100), "tail ".repeat(100));
    let found = Query::parse("needle").unwrap().find(&long).unwrap();
    let Highlight { parts, cut_before, cut_after } = Highlight::of(&long, &found);
    assert!(cut_before && cut_after);
    assert_eq!((parts.len(), parts[1].text.as_str(), parts[1].hit), (3, "needle", true));
    assert!(parts[0].text.starts_with("word "));
}

#[test]
fn what_cannot_be_searched_for_is_refused() {
    for bad in ["", "  ", "\"\"", "!?", "%", "🙂", "a\0b", &"a".repeat(201), &"ab ".repeat(25)] {
        assert!(Query::parse(bad).is_err(), "{bad:?}");
    }
    for good in
        ["a", "\"", "\"a", "a\" b", "a & b | !c", "a:*", "<->x", "'; drop", &"a".repeat(200)]
    {
        assert_eq!(Query::parse(good).is_ok(), good != "\"", "{good:?}");
    }
}

/// Pieces of texts in several scripts, with what tends to go wrong between them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{1,6}",
        "[àéîõüßçñÀŁøİı]{1,4}",
        "[а-яёй]{1,5}",
        "[一-丏ぁ-ねァ-ネｦ-ﾟー]{1,5}",
        // Sara am stands on a consonant: what it is taken for on a digit hangs on what is before that.
        "[\u{e01}-\u{e32}\u{e34}-\u{e3a}\u{e40}-\u{e59}]{1,6}",
        "([\u{e01}-\u{e2e}]\u{e33}[\u{e01}-\u{e2e}]?){1,3}",
        "[가-갿\u{1100}-\u{1105}\u{1161}-\u{1165}]{1,3}",
        "[\u{300}-\u{308}\u{ad}\u{200d}\u{fe0f}]{1,2}",
        "[ .,!'_/🙂①㍿½\u{2028}-]{1,3}",
    ]
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{308}' | '\u{ad}' | '\u{200d}' | '\u{fe0f}')
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_word_of_a_text_finds_it(text in text()) {
        for word in words(&text) {
            // Marks behind a word change it, and are not a part of it where a soft hyphen is between.
            if text[word.end..].starts_with(is_mark) {
                continue;
            }
            let quoted = format!("\"{}\"", &text[word.start..word.end]);
            // Marks that stood on something else before are on nothing when they stand alone.
            if let Ok(query) = Query::parse(&quoted) {
                let found = query.find(&text);
                prop_assert!(found.is_some(), "{quoted:?} in {text:?}");
            }
        }
    }

    #[test]
    fn every_row_of_words_is_found_as_a_phrase(words in proptest::collection::vec("[a-c]{1,2}|[あ-う]{1,3}", 1..8), from in 0..8usize, count in 1..4usize) {
        let text = words.join(" ");
        let from = from.min(words.len() - 1);
        let row = &words[from..(from + count).min(words.len())];
        let query = format!("\"{}\"", row.join(", "));
        prop_assert!(finds(&query, &text), "{query} in {text}");
        // And what a plain look does not find is not found.
        for other in ["a b", "c cc", "あ い", "aa"] {
            let plain = format!(" {text} ").contains(&format!(" {other} "));
            let quoted = format!("\"{other}\"");
            if other.is_ascii() {
                prop_assert_eq!(finds(&quoted, &text), plain, "{} in {}", other, text);
            } else {
                prop_assert!(finds(&quoted, &text) || !plain);
            }
        }
    }

    #[test]
    fn every_part_of_a_run_is_found_and_nothing_else(run in "[あ-お]{1,8}", part in "[あ-お]{1,4}") {
        prop_assert_eq!(finds(&part, &run), run.contains(&part), "{} in {}", part, run);
    }

    #[test]
    fn ascii_takes_the_short_way_to_the_same_words(text in "[ -~\n\t]{0,200}|[a-z]{30,60}") {
        prop_assert_eq!(words(&text), of_any_script(&text));
    }

    #[test]
    fn highlights_are_parts_of_the_text(text in text(), query in "[a-zа-я東京]{1,3}") {
        let Ok(query) = Query::parse(&query) else { return Ok(()) };
        let Some(found) = query.find(&text) else { return Ok(()) };
        let Highlight { parts, cut_before, cut_after } = Highlight::of(&text, &found);
        let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
        prop_assert!(text.contains(&whole));
        prop_assert!(cut_before || text.starts_with(&whole));
        prop_assert!(cut_after || text.ends_with(&whole));
        prop_assert!(parts.iter().any(|part| part.hit && !part.text.is_empty()));
    }

    #[test]
    fn nothing_breaks_it(query in ".{0,60}", text in ".{0,200}") {
        if let Ok(query) = Query::parse(&query) {
            let found = query.find(&text).unwrap_or_default();
            Highlight::of(&text, &found);
        }
    }
}
