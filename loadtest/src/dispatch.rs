//! Which line of a day may be sent when: at most so many unanswered, each nick in file order, and
//! a reply only after its parent was answered.
//!
//! A reply that waits holds back its own nick alone. It cannot wait for ever: parents are smaller
//! than replies and lines are admitted in order, so the smallest unanswered line is never held.

use std::collections::{HashMap, VecDeque};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub sender: u32,
    pub parent: Option<u32>,
}

pub(crate) struct Dispatch {
    steps: Vec<Step>,
    next: usize,
    in_flight: usize,
    limit: usize,
    answered: Vec<bool>,
    /// Admitted lines of each sender that wait behind a reply.
    held: HashMap<u32, VecDeque<u32>>,
    /// By parent: the senders whose first held line waits for it.
    waiting: HashMap<u32, Vec<u32>>,
}

impl Dispatch {
    pub(crate) fn new(steps: Vec<Step>, limit: usize) -> Self {
        let answered = vec![false; steps.len()];
        Self {
            steps,
            next: 0,
            in_flight: 0,
            limit: limit.max(1),
            answered,
            held: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// The line to be admitted next, if there is one and room for it.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.next < self.steps.len() && self.in_flight < self.limit).then_some(self.next)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next == self.steps.len() && self.in_flight == 0
    }

    /// Admits the next line; returns what may be sent now.
    pub(crate) fn admit(&mut self) -> Vec<u32> {
        let Some(index) = self.next() else { return Vec::new() };
        self.next += 1;
        self.in_flight += 1;
        let sender = self.steps[index].sender;
        let held = self.held.entry(sender).or_default();
        held.push_back(u32::try_from(index).expect("a day has fewer lines"));
        // With something before it, the line waits for that one's turn.
        if held.len() > 1 { Vec::new() } else { self.release(sender) }
    }

    /// A line was answered for good; returns what may be sent now.
    pub(crate) fn answer(&mut self, index: u32) -> Vec<u32> {
        if std::mem::replace(&mut self.answered[index as usize], true) {
            return Vec::new();
        }
        self.in_flight -= 1;
        let senders = self.waiting.remove(&index).unwrap_or_default();
        senders.into_iter().flat_map(|sender| self.release(sender)).collect()
    }

    fn release(&mut self, sender: u32) -> Vec<u32> {
        let mut free = Vec::new();
        let Some(held) = self.held.get_mut(&sender) else { return free };
        while let Some(&first) = held.front() {
            match self.steps[first as usize].parent {
                Some(parent) if !self.answered[parent as usize] => {
                    self.waiting.entry(parent).or_default().push(sender);
                    break;
                }
                _ => {
                    held.pop_front();
                    free.push(first);
                }
            }
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatch(limit: usize, steps: &[(u32, Option<u32>)]) -> Dispatch {
        let steps = steps.iter().map(|&(sender, parent)| Step { sender, parent });
        Dispatch::new(steps.collect(), limit)
    }

    #[test]
    fn a_reply_waits_for_its_parent_and_holds_back_its_own_nick_alone() {
        let mut day = dispatch(9, &[(0, None), (1, Some(0)), (1, None), (2, None)]);
        assert_eq!(day.admit(), [0]);
        assert!(day.admit().is_empty());
        assert!(day.admit().is_empty());
        assert_eq!(day.admit(), [3]);
        assert!(day.answer(3).is_empty());
        assert_eq!(day.answer(0), [1, 2]);
        assert!(day.answer(0).is_empty(), "a second answer changes nothing");
        day.answer(1);
        assert!(!day.is_done());
        day.answer(2);
        assert!(day.is_done());
    }

    #[test]
    fn never_more_than_the_limit_are_unanswered() {
        let mut day = dispatch(2, &[(0, None), (0, None), (0, None)]);
        assert_eq!([day.admit(), day.admit()], [[0], [1]]);
        assert_eq!(day.next(), None);
        day.answer(1);
        assert_eq!(day.next(), Some(2));
    }

    /// Whatever the links, answering what was released gets every line through, in order by nick.
    #[test]
    fn every_day_comes_to_its_end() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let steps: Vec<_> = (0..2000_u64)
            .map(|index| {
                let parent = (index > 0 && random(2) == 0).then(|| random(index) as u32);
                (random(20) as u32, parent)
            })
            .collect();
        let mut day = dispatch(16, &steps);
        let mut sent: Vec<u32> = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        while !day.is_done() {
            while day.next().is_some() {
                open.extend(day.admit());
            }
            assert!(!open.is_empty(), "stuck after {} lines", sent.len());
            let index = open.remove(random(open.len() as u64) as usize);
            sent.push(index);
            open.extend(day.answer(index));
        }
        assert_eq!(sent.len(), steps.len());
    }
}
