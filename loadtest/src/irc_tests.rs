//! The IRC formats, with the odd lines that real days have.

use super::*;

const RAW: &str = "[11:22] <frenkel> Linuturk: i'm willing to seed \n\
=== sangria [n=jaime@core.fluendo.com]  has left #ubuntu [\"Leaving\"] \n\
[11:22]  * genii ponders <b>\n\
[11:23] <Ttech>\n\
[11:23] <a|b[x]>  two spaces > and <tags>\n\
garbage\n\
[00:01] <frenkel> après\n";

fn raw() -> Day {
    parse_day("day", RAW.as_bytes(), "0 0 -\n2 0 -\n4 1 -\n0 4 -\n2 4 -\n3 6 -\n6 4 - \n", 99)
}

#[test]
fn texts_are_kept_byte_for_byte() {
    let day = raw();
    let said: Vec<_> = day.lines.iter().map(|l| (l.nick.as_str(), l.text.as_str())).collect();
    assert_eq!(
        said,
        [
            ("frenkel", "Linuturk: i'm willing to seed "),
            ("genii", "ponders <b>"),
            ("a|b[x]", " two spaces > and <tags>"),
            ("frenkel", "après"),
        ]
    );
    assert_eq!((day.empty, day.system), (1, 2));
}

#[test]
fn the_larger_line_answers_the_smaller_and_the_nearest_parent_wins() {
    let answers: Vec<_> = raw().lines.iter().map(|line| line.answers).collect();
    // File lines 0, 2, 4, 6 are messages 0, 1, 2, 3. `0 0` starts a conversation; line 1 is a
    // system line and line 3 is empty, so their links are dropped.
    assert_eq!(answers, [None, Some(0), Some(1), Some(2)]);
}

#[test]
fn time_goes_over_midnight_and_lines_of_one_minute_are_spread() {
    let at: Vec<_> = raw().lines.iter().map(|line| line.at.as_secs()).collect();
    assert_eq!(at, [0, 30, 60, 12 * 3600 + 39 * 60]);
}

#[test]
fn the_second_format_has_seconds_tabs_and_actions() {
    let text = "mediawiki 2013-01-26 [15:04:04] <wikibugs>\t 03(mod) x  \n\
                mediawiki 2013-01-26 [15:04:14] * Isarra  mutters.  \n\
                mediawiki 2007-09-14 [15:04:15] *hojjat \tpokes  \n";
    let day = parse_day("m", text.as_bytes(), "", 99);
    assert_eq!(day.lines[0].text, " 03(mod) x  ");
    assert_eq!((day.lines[1].nick.as_str(), day.lines[1].text.as_str()), ("Isarra", " mutters.  "));
    assert_eq!((day.lines[2].nick.as_str(), day.lines[2].text.as_str()), ("hojjat", "\tpokes  "));
    assert_eq!(day.lines[1].at, Duration::from_secs(10));
}

#[test]
fn bytes_that_are_not_utf8_are_decoded_once() {
    let day = parse_day("x", b"[01:02] <n> caf\xe9\n", "", 99);
    assert_eq!(day.lines[0].text, "caf\u{fffd}");
}

#[test]
fn the_limit_counts_messages() {
    assert_eq!(parse_day("day", RAW.as_bytes(), "", 2).lines.len(), 2);
}
