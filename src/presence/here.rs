//! Who has a socket on this node, and what of that still has to be written to Redis.
//!
//! Kept by state, not by event: what is to be written follows from who is here when it is, so a
//! user who comes and goes ten times in a moment costs one write, and a write that failed is made
//! again. Bounded by the node's sockets.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::id::UserId;

/// How long a user without a socket still counts as there: who reconnects within it, here or at
/// another node, was never away. With all that follows it stays below the 2 s that are promised.
pub(super) const LINGER: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Here {
    users: HashMap<UserId, Stay>,
    /// Users that may have to be written as there.
    coming: VecDeque<UserId>,
    /// Users whose last socket closed, and until when they linger; the earliest first.
    leaving: VecDeque<(Instant, UserId)>,
}

struct Stay {
    sockets: u32,
    /// When they came, in ms.
    since: i64,
    left: Option<Left>,
    is_written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Left {
    until: Instant,
    /// When their last socket closed, in ms.
    at: i64,
}

/// What one round writes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Users that are here, and since when.
    pub(super) came: Vec<(UserId, i64)>,
    /// Users that went, and when.
    pub(super) went: Vec<(UserId, i64)>,
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }
}

impl Here {
    /// One more socket of a user, at `at` (ms). `true` where it is the first.
    pub(super) fn enter(&mut self, user: UserId, at: i64) -> bool {
        if let Some(stay) = self.users.get_mut(&user) {
            stay.sockets += 1;
            stay.left = None;
            return false;
        }
        self.users.insert(user, Stay { sockets: 1, since: at, left: None, is_written: false });
        self.coming.push_back(user);
        true
    }

    /// One socket less. `true` where it was the last.
    pub(super) fn leave(&mut self, user: UserId, now: Instant, at: i64) -> bool {
        let Some(stay) = self.users.get_mut(&user) else { return false };
        stay.sockets = stay.sockets.saturating_sub(1);
        if stay.sockets == 0 {
            let until = now + LINGER;
            stay.left = Some(Left { until, at });
            self.leaving.push_back((until, user));
        }
        stay.sockets == 0
    }

    /// What there is to write by `now`, at most `most` users.
    pub(super) fn due(&mut self, now: Instant, most: usize) -> Round {
        let mut round = Round::default();
        while round.went.len() < most
            && let Some((until, user)) = self.leaving.front().copied()
            && until <= now
        {
            self.leaving.pop_front();
            let left = self.users.get(&user).and_then(|stay| stay.left);
            if let Some(left) = left.filter(|left| left.until == until) {
                round.went.push((user, left.at));
            }
        }
        while round.came.len() + round.went.len() < most
            && let Some(user) = self.coming.pop_front()
        {
            let stay = self.users.get(&user).filter(|stay| !stay.is_written);
            let is_leaving = round.went.iter().any(|(other, _)| *other == user);
            if let Some(stay) = stay.filter(|_| !is_leaving) {
                round.came.push((user, stay.since));
            }
        }
        round
    }

    /// A round was written. Returns how many are not here any more.
    pub(super) fn wrote(&mut self, round: &Round) -> usize {
        let before = self.users.len();
        for (user, _) in &round.came {
            if let Some(stay) = self.users.get_mut(user) {
                stay.is_written = true;
            }
        }
        for (user, at) in &round.went {
            let left = self.users.get(user).and_then(|stay| stay.left);
            if left.is_some_and(|left| left.at == *at) {
                self.users.remove(user);
            } else if let Some(stay) = self.users.get_mut(user) {
                // They came back while it was written that they went.
                stay.is_written = false;
                self.coming.push_back(*user);
            }
        }
        before - self.users.len()
    }

    /// A round may have been written, or not, or in part: it is made again.
    pub(super) fn failed(&mut self, round: &Round) {
        self.coming.extend(round.came.iter().map(|(user, _)| *user));
        for (user, at) in round.went.iter().rev() {
            let Some(stay) = self.users.get_mut(user) else { continue };
            match stay.left {
                Some(left) if left.at == *at => self.leaving.push_front((left.until, *user)),
                _ => {
                    stay.is_written = false;
                    self.coming.push_back(*user);
                }
            }
        }
    }

    /// Redis may have lost all that was written.
    pub(super) fn write_all_again(&mut self) {
        for stay in self.users.values_mut() {
            stay.is_written = false;
        }
        self.coming = self.users.keys().copied().collect();
    }

    /// Lets nobody linger any more, nor stay: the node ends.
    pub(super) fn send_away(&mut self, now: Instant, at: i64) {
        self.leaving.clear();
        for (user, stay) in &mut self.users {
            stay.sockets = 0;
            let left = stay.left.map_or(at, |left| left.at);
            stay.left = Some(Left { until: now, at: left });
            self.leaving.push_back((now, *user));
        }
    }

    /// Whether all who are here are written as such, but for those of rounds under way.
    pub(super) fn is_whole(&self) -> bool {
        self.coming.is_empty()
    }

    /// When the next one who lingers goes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.leaving.front().map(|(until, _)| *until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn went(user: UserId, at: i64) -> Round {
        Round { came: vec![], went: vec![(user, at)] }
    }

    fn came(user: UserId, since: i64) -> Round {
        Round { came: vec![(user, since)], went: vec![] }
    }

    #[test]
    fn only_the_first_socket_and_the_last_are_written() {
        let (mut here, user, now) = (Here::default(), UserId::new(), Instant::now());
        assert!(here.enter(user, 1));
        assert!(!here.enter(user, 2));
        let round = here.due(now, 10);
        assert_eq!(round, came(user, 1));
        here.wrote(&round);
        here.leave(user, now, 3);
        assert!(here.due(now + LINGER, 10).is_empty(), "one socket is left");
        here.leave(user, now, 4);
        assert!(here.due(now, 10).is_empty(), "they linger");
        let round = here.due(now + LINGER, 10);
        assert_eq!(round, went(user, 4));
        here.wrote(&round);
        assert!(here.is_empty());
    }

    #[test]
    fn who_comes_back_at_once_was_never_away() {
        let (mut here, user, now) = (Here::default(), UserId::new(), Instant::now());
        here.enter(user, 1);
        let round = here.due(now, 10);
        here.wrote(&round);
        for n in 0..5 {
            here.leave(user, now, n);
            here.enter(user, n);
        }
        assert!(here.due(now + LINGER * 2, 10).is_empty());
        assert!(!here.is_empty());
    }

    #[test]
    fn who_comes_back_while_their_going_is_written_is_written_again() {
        let (mut here, user, now) = (Here::default(), UserId::new(), Instant::now());
        here.enter(user, 1);
        let round = here.due(now, 10);
        here.wrote(&round);
        here.leave(user, now, 2);
        let round = here.due(now + LINGER, 10);
        here.enter(user, 3);
        here.wrote(&round);
        assert_eq!(here.due(now + LINGER, 10), came(user, 1));
    }

    #[test]
    fn a_round_that_failed_is_made_again() {
        let (mut here, user, now) = (Here::default(), UserId::new(), Instant::now());
        here.enter(user, 1);
        let round = here.due(now, 10);
        here.failed(&round);
        assert_eq!(here.due(now, 10), came(user, 1));
        here.leave(user, now, 2);
        let round = here.due(now + LINGER, 10);
        assert_eq!(round, went(user, 2));
        here.failed(&round);
        assert_eq!(here.due(now + LINGER, 10), round, "also where they were never written");
        here.failed(&round);
        here.enter(user, 3);
        assert_eq!(here.due(now + LINGER, 10).went, []);
    }

    #[test]
    fn after_a_loss_all_are_written_again_at_the_pace_of_rounds() {
        let (mut here, now) = (Here::default(), Instant::now());
        for _ in 0..5 {
            here.enter(UserId::new(), 1);
        }
        let round = here.due(now, 10);
        here.wrote(&round);
        assert!(here.is_whole());
        here.write_all_again();
        assert!(!here.is_whole());
        let (first, rest) = (here.due(now, 3), here.due(now, 3));
        assert_eq!((first.came.len(), rest.came.len()), (3, 2));
    }
}
