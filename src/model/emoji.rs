//! Emoji, as reactions use them: one form of each.

/// Bytes of the longest emoji that there is, with room; a longer text is none.
const MOST_BYTES: usize = 64;

/// Words that stand for an emoji. It is the emoji that is stored and shown.
pub const WORDS: &[(&str, &str)] = &[
    ("like", "\u{1F44D}"),
    ("dislike", "\u{1F44E}"),
    ("love", "\u{2764}\u{FE0F}"),
    ("laugh", "\u{1F602}"),
    ("wow", "\u{1F62E}"),
    ("sad", "\u{1F622}"),
    ("angry", "\u{1F621}"),
];

/// The one emoji that `text` is, or a word for it, in the fully qualified form: with and without
/// the variation selector it is the same. `None` for whatever else: letters, two emoji, a part of
/// one, a sequence that Unicode does not recommend and that most would see as several.
pub fn read(text: &str) -> Option<&'static str> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let word = WORDS.iter().find(|(word, _)| *word == text);
    word.map(|(_, emoji)| *emoji).or_else(|| emojis::get(text).map(emojis::Emoji::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_emoji() {
        for (word, emoji) in WORDS {
            assert_eq!(read(word), Some(*emoji));
            assert_eq!(read(emoji), Some(*emoji), "{word} stands for a fully qualified one");
        }
        assert_eq!((read("Like"), read("like "), read("")), (None, None, None));
    }

    #[test]
    fn every_kind_of_sequence_is_one_emoji() {
        for emoji in [
            "\u{1F680}",
            // With a tone; a flag; a keycap; joined; of a region; joined with two tones.
            "\u{1F44D}\u{1F3FD}",
            "\u{1F1FA}\u{1F1FF}",
            "7\u{FE0F}\u{20E3}",
            "\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}",
            "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "\u{1F469}\u{1F3FB}\u{200D}\u{2764}\u{FE0F}\u{200D}\u{1F468}\u{1F3FF}",
        ] {
            assert_eq!(read(emoji), Some(emoji), "{emoji}");
        }
    }

    #[test]
    fn with_and_without_the_selector_it_is_the_same() {
        for (bare, full) in [
            ("\u{2764}", "\u{2764}\u{FE0F}"),
            ("\u{A9}", "\u{A9}\u{FE0F}"),
            ("7\u{20E3}", "7\u{FE0F}\u{20E3}"),
            ("\u{1F3F3}\u{200D}\u{1F308}", "\u{1F3F3}\u{FE0F}\u{200D}\u{1F308}"),
        ] {
            assert_eq!(read(bare), Some(full));
            assert_eq!(read(full), Some(full));
        }
    }

    #[test]
    fn whatever_else_is_none() {
        let long = "\u{1F600}".repeat(1_024);
        for text in [
            "a",
            "7",
            "#",
            "%",
            "%F0%9F%91%8D",
            ":thumbsup:",
            "\u{0}",
            "\u{1F44D}\u{0}",
            " \u{1F44D}",
            "\u{1F44D}\u{1F44D}",
            "\u{1F44D}a",
            // Parts: a joiner, a selector, a tone, half a flag, a keycap without a key, a tag.
            "\u{200D}",
            "\u{FE0F}",
            "\u{1F3FD}",
            "\u{1F1FA}",
            "\u{20E3}",
            "\u{E007F}",
            "\u{1F469}\u{200D}",
            // Joined to nothing that is recommended; a flag of no country; the text form asked for.
            "\u{1F680}\u{200D}\u{1F680}",
            "\u{1F1FD}\u{1F1FD}",
            "\u{2764}\u{FE0E}",
            &long,
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn each_emoji_has_one_form_and_fits() {
        let mut count = 0;
        for emoji in emojis::iter()
            .flat_map(|emoji| emoji.skin_tones().map_or_else(|| vec![emoji], Iterator::collect))
        {
            assert_eq!(read(emoji.as_str()), Some(emoji.as_str()));
            count += 1;
        }
        assert!(count > 3_500, "{count}");
    }
}
