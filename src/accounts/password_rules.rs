//! Which passwords may be chosen: long enough, not what everybody tries first, not one that has
//! leaked, and without the words that stand beside it. No rule on its composition, since those make
//! passwords worse.
//!
//! The list of common passwords holds words. What people do to a word so that it passes for a
//! password is undone before it is looked up: capitals, digits and signs before and after it, signs
//! in place of letters, writing it twice.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::breached::Breached;
use super::validate::Problems;

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 256;
/// Shorter words of the user's own stand in too many good passwords by chance.
const MIN_CONTEXT_CHARS: usize = 4;
/// Shorter pieces of a row of keys are words, too.
const MIN_WALK_CHARS: usize = 4;

/// What everybody tries first, a line each, in lower case.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| listed(include_str!("common_passwords.txt")).collect());

/// Rows of keys, on the keyboards of several countries.
const ROWS: [&str; 6] =
    ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm"];

/// Lines without headings, which begin with `# `.
fn listed(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// The rules, with what was loaded at the start.
#[derive(Default)]
pub(super) struct PasswordRules {
    breached: Option<Breached>,
}

impl PasswordRules {
    pub(super) fn new(breached: Option<Breached>) -> Self {
        Self { breached }
    }

    /// Notes what is wrong with a password. `context` are names that it must not contain.
    pub(super) fn check(
        &self,
        problems: &mut Problems,
        path: &str,
        password: &str,
        context: &[&str],
    ) {
        let chars = password.chars().count();
        if chars < MIN_CHARS {
            return problems.add(path, format!("at least {MIN_CHARS} characters"));
        }
        if chars > MAX_CHARS {
            return problems.add(path, format!("at most {MAX_CHARS} characters"));
        }
        let lower = password.to_lowercase();
        if is_common(&lower) {
            return problems.add(path, "one of the passwords that are tried first");
        }
        if self.breached.as_ref().is_some_and(|breached| breached.contains(password)) {
            return problems.add(path, "a password that has leaked somewhere");
        }
        let names = ["chat-service", "chatservice"];
        let told = context.iter().copied().chain(names).map(str::to_lowercase).any(|word| {
            word == lower || (word.chars().count() >= MIN_CONTEXT_CHARS && lower.contains(&word))
        });
        if told {
            problems.add(path, "contains the name of the user or of the service");
        }
    }
}

/// `password` is in lower case.
fn is_common(password: &str) -> bool {
    [password, repeated(password)].into_iter().flat_map(cores).any(|core| {
        [core, &with_letters(core, 'i'), &with_letters(core, 'l')].into_iter().any(is_worthless)
    })
}

/// A password without what stands before and after its word. Digits alone come off first: the sign
/// before them may stand for a letter (`acces$1`).
fn cores(password: &str) -> [&str; 5] {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_sign = |c: char| !c.is_alphabetic();
    [
        password,
        password.trim_end_matches(is_digit),
        password.trim_matches(is_digit),
        password.trim_end_matches(is_sign),
        password.trim_matches(is_sign),
    ]
}

/// Nothing, a listed word, a run, or a walk over the keys.
fn is_worthless(word: &str) -> bool {
    word.is_empty() || COMMON.contains(word) || is_monotonous(word) || is_walk(word)
}

/// With signs and digits put back into the letters that they look like. `one` is what `1`, `!` and
/// `|` stand for.
fn with_letters(word: &str, one: char) -> String {
    let letter = |c| match c {
        '@' | '4' => 'a',
        '8' => 'b',
        '(' => 'c',
        '3' | '€' => 'e',
        '6' | '9' => 'g',
        '1' | '!' | '|' => one,
        '0' => 'o',
        '$' | '5' => 's',
        '7' | '+' => 't',
        '2' => 'z',
        other => other,
    };
    word.chars().map(letter).collect()
}

/// What a word repeats, or the word itself.
fn repeated(word: &str) -> &str {
    let lengths = (1..=word.len() / 2).filter(|length| word.len().is_multiple_of(*length));
    let mut units = lengths.filter_map(|length| word.get(..length));
    units.find(|unit| unit.repeat(word.len() / unit.len()) == word).unwrap_or(word)
}

/// One character over and over, or a run such as `abcdefgh` and `87654321`.
fn is_monotonous(password: &str) -> bool {
    let steps: Vec<i64> = password
        .chars()
        .zip(password.chars().skip(1))
        .map(|(one, next)| i64::from(u32::from(next)) - i64::from(u32::from(one)))
        .collect();
    steps.first().is_some_and(|first| (-1..=1).contains(first) && steps.iter().all(|s| s == first))
}

/// A piece of a row of keys, in either direction.
fn is_walk(word: &str) -> bool {
    let backwards: String = word.chars().rev().collect();
    word.chars().count() >= MIN_WALK_CHARS
        && ROWS.iter().any(|row| row.contains(word) || row.contains(&backwards))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str) -> bool {
        let mut problems = Problems::default();
        let context = ["annabel", "anna.b", "bo"];
        PasswordRules::default().check(&mut problems, "password", password, &context);
        problems.finish().is_err()
    }

    /// R-AU-2.
    #[test]
    fn what_may_be_chosen() {
        let good = [
            "correct horse",
            "пароль-длинный",
            "bobsleigh on ice",
            "a horse of course",
            "battery staple",
            "kT9#vLq2",
            "zebra7lamp",
            "9 lives of a cat",
            "dragon rider 77",
            &"x1".repeat(100),
        ];
        for password in good {
            assert!(!refused(password), "{password:?} was refused");
        }
        let bad = [
            "short77",
            "password",
            "PassWord",
            "iloveyou",
            "qwertyuiop",
            "ANNABEL-in-spring",
            "my anna.b login",
            "chat-service-2026",
            "ChatService!",
            "",
        ];
        for password in bad {
            assert!(refused(password), "{password:?} was accepted");
        }
        assert!(refused(&"ab".repeat(129)), "257 characters were accepted");
    }

    /// R-AU-2: what is done to a word does not make it a password.
    #[test]
    fn a_common_word_in_disguise_is_refused() {
        let disguised = [
            "P@ssw0rd2024!",
            "Pa$$w0rd123",
            "p4ssw0rd1",
            "Password!!",
            "!!password!!",
            "2024password",
            "DRAGON2024!",
            "dr4g0n99",
            "Monkey1234",
            "m0nk3y!!",
            "1loveyou!",
            "1L0v3You1",
            "Sunsh1ne77",
            "@dm1n123",
            "Adm1n!str4tor",
            "l3tm31n99",
            "Welcome@123",
            "W3lc0me1!",
            "Qwerty2024",
            "qwer!1234",
            "asdfgh123!",
            "poiuyt99",
            "Zxcvbn!23",
            "dragondragon",
            "Dragon!dragon!",
            "abcabcabc",
            "abcdefgh1!",
            "12345678",
            "87654321",
            "aaaaaaaa",
            "abcdefgh",
            "31.12.1999",
            "2024-11-23",
            "!!!!!!!!!!",
            "555-0199-77",
            "Acces$123",
            "Liverpool1892",
            "Michael1985!",
            "Summer2025!",
            "Berlin2024",
        ];
        for password in disguised {
            assert!(refused(password), "{password:?} was accepted");
        }
    }

    /// R-AU-3.
    #[test]
    fn a_leaked_password_is_refused() {
        let path = std::env::temp_dir().join(format!("leaked-{}", uuid::Uuid::now_v7()));
        // The SHA-1 of "zebra7lamp".
        let hash = "a61d572ebde9ca020a912939edb29692353624b6";
        std::fs::write(&path, format!("{hash}:7\n")).unwrap();
        let rules = PasswordRules::new(Some(Breached::load(&path).unwrap()));
        std::fs::remove_file(&path).unwrap();
        let outcome = |password: &str| {
            let mut problems = Problems::default();
            rules.check(&mut problems, "password", password, &[]);
            problems.finish()
        };
        assert!(outcome("zebra7lamp").is_err());
        assert!(outcome("zebra7lamps").is_ok(), "only that one");
    }

    #[test]
    fn the_list_is_what_it_says() {
        let words: Vec<&str> = listed(include_str!("common_passwords.txt")).collect();
        for word in &words {
            assert_eq!(*word, word.trim().to_lowercase(), "in lower case, a line each");
        }
        assert_eq!(words.len(), COMMON.len(), "a word stands twice");
        assert!(words.len() >= 1_500, "{} words", words.len());
    }
}
