//! Real IRC days as input: who said what, when, and in answer to whom.
//!
//! Two line formats exist (see the data set's README): `[HH:MM] <nick> text` and
//! `channel YYYY-MM-DD [HH:MM:SS] <nick> text`. A text is what follows the nick and one separator,
//! byte for byte: blanks at the end, colour codes and tabs are part of it, since the service
//! promises to store texts exactly as sent.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub nick: String,
    pub text: String,
    /// Since the day's first line.
    pub at: Duration,
    /// The line that this one answers, as an index into [`Day::lines`]; always a smaller one.
    pub answers: Option<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Day {
    pub name: String,
    pub lines: Vec<Line>,
    /// Lines with a nick but no text.
    pub empty: usize,
    pub system: usize,
}

struct Said<'a> {
    nick: &'a str,
    text: &'a str,
    second_of_day: u64,
    /// Stamps without seconds are spread over their minute when played in real time.
    coarse: bool,
}

/// Loads every day in `folder` whose file name contains `filter`, at most `limit` lines of each.
pub(crate) fn load_folder(folder: &Path, filter: &str, limit: Option<usize>) -> Result<Vec<Day>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| stem(path).is_some_and(|_| file_name(path).contains(filter)))
        .collect();
    paths.sort();
    ensure!(!paths.is_empty(), "no IRC day matches {filter:?} in {}", folder.display());
    paths.iter().map(|path| load(path, limit)).collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The name without its ending, for files that are days of chat at all.
fn stem(path: &Path) -> Option<&str> {
    let name = file_name(path);
    name.strip_suffix(".raw.txt").or_else(|| name.strip_suffix(".ascii.txt"))
}

fn load(path: &Path, limit: Option<usize>) -> Result<Day> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = stem(path).unwrap_or_default();
    let links = path.with_file_name(format!("{name}.annotation.txt"));
    // A day without annotations is a day without replies.
    let annotation = fs::read_to_string(links).unwrap_or_default();
    Ok(parse_day(name, &bytes, &annotation, limit.unwrap_or(usize::MAX)))
}

pub(crate) fn parse_day(name: &str, bytes: &[u8], annotation: &str, limit: usize) -> Day {
    let mut day = Day { name: name.to_owned(), ..Day::default() };
    let mut index_of = HashMap::new();
    let mut clock = Clock::default();
    let mut coarse = Vec::new();
    for (number, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if day.lines.len() >= limit {
            break;
        }
        let decoded = String::from_utf8_lossy(raw);
        match parse_line(&decoded) {
            None => day.system += usize::from(!raw.is_empty()),
            Some(said) if said.text.is_empty() => day.empty += 1,
            Some(said) => {
                index_of.insert(number, day.lines.len());
                coarse.push(said.coarse);
                day.lines.push(Line {
                    nick: said.nick.to_owned(),
                    text: said.text.to_owned(),
                    at: Duration::from_secs(clock.advance(said.second_of_day)),
                    answers: None,
                });
            }
        }
    }
    link(&mut day.lines, &index_of, annotation);
    spread(&mut day.lines, &coarse);
    day
}

/// `None` for system lines and anything else that nobody said.
fn parse_line(line: &str) -> Option<Said<'_>> {
    let (head, rest) = line.split_once(']')?;
    let (channel, stamp) = head.split_once('[')?;
    if !channel.is_empty() && channel.split_whitespace().count() != 2 {
        return None;
    }
    let mut parts = stamp.split(':').map(str::parse::<u64>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let seconds = parts.next().transpose().ok()?;
    let (nick, text) = parse_speech(rest)?;
    let second_of_day = hours * 3600 + minutes * 60 + seconds.unwrap_or(0);
    Some(Said { nick, text, second_of_day, coarse: seconds.is_none() })
}

fn parse_speech(rest: &str) -> Option<(&str, &str)> {
    if let Some(speech) = rest.strip_prefix(" <") {
        let (nick, text) = speech.split_once('>')?;
        let text = text.strip_prefix([' ', '\t']).unwrap_or(text);
        return (!nick.is_empty()).then_some((nick, text));
    }
    // `  * nick`, ` * nick` and ` *nick` all occur.
    let action = rest.trim_start_matches(' ').strip_prefix('*')?;
    let action = action.strip_prefix(' ').unwrap_or(action);
    let (nick, text) = action.split_once(' ').unwrap_or((action, ""));
    (!nick.is_empty()).then_some((nick, text))
}

/// Turns times of day into seconds since the first line, over midnight too.
#[derive(Default)]
struct Clock {
    first: Option<u64>,
    last: u64,
    days: u64,
}

impl Clock {
    fn advance(&mut self, second_of_day: u64) -> u64 {
        let first = *self.first.get_or_insert(second_of_day);
        // Small steps back are disorder in the log; only a big one is another day.
        if second_of_day + HOUR < self.last {
            self.days += 1;
        }
        self.last = second_of_day;
        (self.days * DAY + second_of_day).saturating_sub(first)
    }
}

fn link(lines: &mut [Line], index_of: &HashMap<usize, usize>, annotation: &str) {
    for entry in annotation.lines() {
        let mut numbers = entry.split_whitespace().map_while(|word| word.parse::<usize>().ok());
        let (Some(one), Some(other)) = (numbers.next(), numbers.next()) else { continue };
        let (Some(&one), Some(&other)) = (index_of.get(&one), index_of.get(&other)) else {
            continue;
        };
        let (parent, child) = (one.min(other), one.max(other));
        if parent != child {
            // A line may answer several; a message has one `replyTo`, and the nearest reads best.
            let answers = &mut lines[child].answers;
            *answers = Some(answers.map_or(parent, |known| known.max(parent)));
        }
    }
}

/// Spreads lines that share a stamp without seconds evenly over that minute.
fn spread(lines: &mut [Line], coarse: &[bool]) {
    let mut start = 0;
    while start < lines.len() {
        let at = lines[start].at;
        let count = lines[start..].iter().take_while(|line| line.at == at).count();
        if coarse[start] {
            for (place, line) in lines[start..start + count].iter_mut().enumerate() {
                line.at += Duration::from_secs_f64(60.0 * place as f64 / count as f64);
            }
        }
        start += count;
    }
}

#[cfg(test)]
#[path = "irc_tests.rs"]
mod tests;
