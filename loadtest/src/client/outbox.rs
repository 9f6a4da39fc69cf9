//! The sends of one account that have no final answer yet, in their original order.
//!
//! A send goes out again, under the same `clientId`, after a reconnect, after a refusal that the
//! server calls passing, and after 15 s without any answer. While a refusal's delay runs, later
//! sends wait too, so that a retry is overtaken as rarely as possible.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::world::SendKey;

/// Sends on the way per account; what exceeds it waits in the seat's queue.
const CAPACITY: usize = 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Pending>,
    waiting: usize,
    held_until: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    key: SendKey,
    /// `None` while it waits to be written.
    written: Option<Instant>,
}

impl Outbox {
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < CAPACITY
    }

    pub(crate) fn push(&mut self, key: SendKey) {
        self.queue.push_back(Pending { key, written: None });
        self.waiting += 1;
    }

    /// What is to be written now, in order; it counts as written from here on.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<SendKey> {
        if self.held_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        self.held_until = None;
        let is_due = |pending: &Pending| {
            pending.written.is_none_or(|at| now.duration_since(at) >= ANSWER_WITHIN)
        };
        // The oldest written one decides whether a look at the whole queue is worth it.
        if self.waiting == 0 && !self.queue.front().is_some_and(is_due) {
            return Vec::new();
        }
        self.waiting = 0;
        let due = self.queue.iter_mut().filter(|pending| is_due(pending));
        due.map(|pending| {
            pending.written = Some(now);
            pending.key
        })
        .collect()
    }

    /// A final answer came. False if it had come before.
    pub(crate) fn finish(&mut self, key: SendKey) -> bool {
        let Some(place) = self.queue.iter().position(|pending| pending.key == key) else {
            return false;
        };
        if let Some(pending) = self.queue.remove(place) {
            self.waiting -= usize::from(pending.written.is_none());
        }
        true
    }

    /// A passing refusal: this one again, and nothing else before it, after `delay`.
    pub(crate) fn refused_for_now(&mut self, key: SendKey, now: Instant, delay: Duration) {
        if let Some(pending) = self.queue.iter_mut().find(|pending| pending.key == key) {
            self.waiting += usize::from(pending.written.take().is_some());
            let until = now + delay;
            self.held_until = Some(self.held_until.map_or(until, |known| known.max(until)));
        }
    }

    /// The connection is gone, and with it every answer that was on its way.
    pub(crate) fn disconnected(&mut self) {
        for pending in &mut self.queue {
            pending.written = None;
        }
        self.waiting = self.queue.len();
        self.held_until = None;
    }

    /// When `take_due` is worth calling next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.waiting > 0 {
            return self.held_until;
        }
        self.queue.front().and_then(|pending| Some(pending.written? + ANSWER_WITHIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> SendKey {
        SendKey { room: 0, index }
    }

    fn filled(now: Instant) -> Outbox {
        let mut outbox = Outbox::default();
        (0..4).for_each(|index| outbox.push(key(index)));
        assert_eq!(outbox.take_due(now), [0, 1, 2, 3].map(key));
        assert!(outbox.take_due(now).is_empty());
        outbox
    }

    #[test]
    fn after_a_reconnect_the_unanswered_go_out_again_in_order() {
        let now = Instant::now();
        let mut outbox = filled(now);
        assert!(outbox.finish(key(1)));
        assert!(!outbox.finish(key(1)));
        outbox.disconnected();
        outbox.push(key(4));
        assert_eq!(outbox.take_due(now), [0, 2, 3, 4].map(key));
    }

    #[test]
    fn a_passing_refusal_holds_back_what_comes_later() {
        let now = Instant::now();
        let mut outbox = filled(now);
        outbox.refused_for_now(key(2), now, Duration::from_secs(1));
        outbox.push(key(4));
        assert!(outbox.take_due(now).is_empty());
        let later = now + Duration::from_secs(1);
        assert_eq!(outbox.deadline(), Some(later));
        assert_eq!(outbox.take_due(later), [2, 4].map(key));
    }

    #[test]
    fn silence_for_fifteen_seconds_is_answered_by_sending_again() {
        let now = Instant::now();
        let mut outbox = filled(now);
        outbox.finish(key(0));
        assert!(outbox.take_due(now + Duration::from_secs(14)).is_empty());
        let later = outbox.deadline().expect("something is unanswered");
        assert_eq!(outbox.take_due(later), [1, 2, 3].map(key));
    }

    #[test]
    fn room_is_bounded() {
        let mut outbox = Outbox::default();
        (0..CAPACITY as u32).for_each(|index| outbox.push(key(index)));
        assert!(!outbox.has_room());
    }
}
