//! Which processes live, as one Redis shard's heartbeats tell this node.
//!
//! A user is online where a process that lives says so. So a process's death takes its users
//! offline all at once, and nobody has to write for each of them.
//!
//! # Doubt
//! Heartbeats are lost with Redis's data, and end while nobody can renew them. Then their absence
//! says nothing: whoever lived before is given a whole life to be heard of again. Meanwhile nobody
//! is believed to be offline on the ground of what is *not* in Redis ([`View::is_settled`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct View {
    life: Duration,
    processes: HashMap<Arc<str>, Seen>,
}

/// A process, `<node>/<boot>`, as Redis has it.
pub(super) struct Beat {
    pub(super) process: String,
    /// Its last beat, in ms of its own clock.
    pub(super) at: i64,
    /// Whether all its users are written.
    pub(super) is_whole: bool,
    /// Whether its heartbeat has not run out.
    pub(super) is_present: bool,
}

struct Seen {
    at: i64,
    is_alive: bool,
    /// When it was heard of last, by this node's clock.
    heard: Instant,
    /// Set while only memory speaks for it, or it has not written all its users yet.
    is_doubted: bool,
    gone_since: Option<Instant>,
}

impl View {
    pub(super) fn new(life: Duration) -> Self {
        Self { life, processes: HashMap::new() }
    }

    /// Takes over what was read from Redis from `began` on. Returns the processes that died, with
    /// their last beat.
    pub(super) fn refresh(&mut self, began: Instant, beats: Vec<Beat>) -> Vec<(Arc<str>, i64)> {
        let mut named: HashMap<Arc<str>, Beat> =
            beats.into_iter().map(|beat| (Arc::from(beat.process.as_str()), beat)).collect();
        let mut died = Vec::new();
        let replaced: Vec<(String, String)> = named
            .values()
            .filter(|beat| beat.is_present)
            .filter_map(|beat| beat.process.rsplit_once('/'))
            .map(|(name, boot)| (name.to_owned(), boot.to_owned()))
            .collect();
        let is_replaced = |process: &str| {
            process.rsplit_once('/').is_some_and(|(name, boot)| {
                replaced.iter().any(|(other, newer)| other == name && newer.as_str() > boot)
            })
        };
        let life = self.life;
        self.processes.retain(|process, seen| {
            let beat = named.remove(process);
            if let Some(beat) = &beat {
                seen.at = seen.at.max(beat.at);
            }
            let is_present = beat.as_ref().is_some_and(|beat| beat.is_present);
            if is_present {
                seen.heard = seen.heard.max(began);
                seen.is_doubted &= !beat.as_ref().is_some_and(|beat| beat.is_whole);
            }
            let is_remembered = seen.is_doubted && began < seen.heard + life;
            // What was heard while this was read is newer than it.
            let lives = is_present || is_remembered || seen.heard > began;
            if lives && !is_replaced(process) {
                (seen.is_alive, seen.gone_since) = (true, None);
                return true;
            }
            if seen.is_alive {
                died.push((Arc::clone(process), seen.at));
            }
            (seen.is_alive, seen.is_doubted) = (false, false);
            seen.gone_since.get_or_insert(began);
            // One that is not in Redis any more was cleaned up after.
            beat.is_some()
        });
        for (process, beat) in named {
            let is_alive = beat.is_present && !is_replaced(&process);
            let gone_since = (!is_alive).then_some(began);
            let seen = Seen { at: beat.at, is_alive, heard: began, is_doubted: false, gone_since };
            self.processes.insert(process, seen);
        }
        died
    }

    /// Something came from a process: it lives. `false` where a newer one has its name.
    pub(super) fn heard(&mut self, now: Instant, process: &str) -> Option<Arc<str>> {
        let (name, boot) = process.rsplit_once('/')?;
        let is_replaced = self.processes.iter().any(|(other, seen)| {
            let newer =
                other.rsplit_once('/').filter(|(other, newer)| *other == name && *newer > boot);
            newer.is_some() && seen.is_alive
        });
        if is_replaced {
            return None;
        }
        let process: Arc<str> = match self.processes.get_key_value(process) {
            Some((process, _)) => Arc::clone(process),
            None => Arc::from(process),
        };
        let seen = self.processes.entry(Arc::clone(&process)).or_insert(Seen {
            at: 0,
            is_alive: true,
            heard: now,
            is_doubted: false,
            gone_since: None,
        });
        (seen.is_alive, seen.heard, seen.gone_since) = (true, now, None);
        Some(process)
    }

    /// Redis may have lost the heartbeats: absence says nothing for a life.
    pub(super) fn doubt(&mut self, now: Instant) {
        for seen in self.processes.values_mut().filter(|seen| seen.is_alive) {
            (seen.is_doubted, seen.heard) = (true, now);
        }
    }

    /// Whether who is in no hash is offline indeed.
    pub(super) fn is_settled(&self) -> bool {
        !self.processes.values().any(|seen| seen.is_alive && seen.is_doubted)
    }

    /// The process, where it is known, and whether it lives.
    pub(super) fn get(&self, process: &str) -> Option<(Arc<str>, bool, i64)> {
        let (process, seen) = self.processes.get_key_value(process)?;
        Some((Arc::clone(process), seen.is_alive, seen.at))
    }

    /// The dead to clean up after: those that have been for a whole life, so that one that only
    /// was late, or whose heartbeat went with Redis, is back by then.
    pub(super) fn to_sweep(&self, now: Instant) -> Vec<(Arc<str>, i64)> {
        let long_gone = |seen: &Seen| seen.gone_since.is_some_and(|since| since + self.life <= now);
        let dead = self.processes.iter().filter(|(_, seen)| !seen.is_alive && long_gone(seen));
        dead.map(|(process, seen)| (Arc::clone(process), seen.at)).collect()
    }

    /// Forgets one that was cleaned up after.
    pub(super) fn swept(&mut self, process: &str) {
        self.processes.remove(process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(20);

    fn beat(process: &str, is_present: bool) -> Beat {
        Beat { process: process.into(), at: 5, is_whole: true, is_present }
    }

    fn is_alive(view: &View, process: &str) -> Option<bool> {
        view.get(process).map(|(_, is_alive, _)| is_alive)
    }

    fn names(died: &[(Arc<str>, i64)]) -> Vec<&str> {
        died.iter().map(|(process, _)| &**process).collect()
    }

    #[test]
    fn a_process_without_a_heartbeat_is_dead_at_once_and_swept_a_life_later() {
        let (mut view, now) = (View::new(LIFE), Instant::now());
        assert!(view.refresh(now, vec![beat("a/1", true)]).is_empty());
        let died = view.refresh(now, vec![beat("a/1", false)]);
        assert_eq!(died, [(Arc::from("a/1"), 5)]);
        assert!(view.refresh(now, vec![beat("a/1", false)]).is_empty(), "it dies once");
        assert!(view.to_sweep(now).is_empty());
        assert_eq!(names(&view.to_sweep(now + LIFE)), ["a/1"]);
    }

    #[test]
    fn a_new_process_of_a_name_ends_the_old_one_and_the_old_is_not_heard_any_more() {
        let (mut view, now) = (View::new(LIFE), Instant::now());
        view.refresh(now, vec![beat("a/1", true)]);
        let died = view.refresh(now, vec![beat("a/1", false), beat("a/2", true)]);
        assert_eq!(names(&died), ["a/1"]);
        assert!(view.heard(now, "a/1").is_none());
        assert_eq!(is_alive(&view, "a/1"), Some(false));
        assert!(view.heard(now, "a/3").is_some());
    }

    #[test]
    fn in_doubt_the_absent_live_on_until_they_are_heard_of_or_a_life_has_passed() {
        let (mut view, now) = (View::new(LIFE), Instant::now());
        view.refresh(now, vec![beat("a/1", true), beat("b/1", true)]);
        assert!(view.is_settled());
        view.doubt(now);
        assert!(!view.is_settled());
        assert!(view.refresh(now, vec![]).is_empty(), "Redis was wiped");
        let half = Beat { is_whole: false, ..beat("a/1", true) };
        assert!(view.refresh(now, vec![half]).is_empty());
        assert!(!view.is_settled(), "a has not written all its users");
        view.refresh(now, vec![beat("a/1", true)]);
        assert!(!view.is_settled(), "b is missing still");
        let died = view.refresh(now + LIFE, vec![beat("a/1", true)]);
        assert_eq!(names(&died), ["b/1"]);
        assert!(view.is_settled());
    }

    /// A refresh that was read before a node's first beat undid what came from that node meanwhile.
    #[test]
    fn what_is_heard_while_the_heartbeats_are_read_is_newer_than_they() {
        let (mut view, began) = (View::new(LIFE), Instant::now());
        view.heard(began + Duration::from_millis(1), "a/1");
        assert!(view.refresh(began, vec![]).is_empty());
        assert_eq!(is_alive(&view, "a/1"), Some(true));
        let died = view.refresh(began + Duration::from_millis(2), vec![]);
        assert_eq!(names(&died), ["a/1"]);
    }
}
