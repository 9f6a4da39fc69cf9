//! What one member knows of one chat: a print for each `seq`, eight bytes each, so that
//! 30,000 messages × 300 members stay below 100 MB and every difference can still be named.

use crate::wire::Print;

/// Nothing known of this `seq`.
const NOTHING: Print = 0;
/// A sync said that this `seq` is covered, without a message at it.
pub(crate) const COVERED: Print = 1;
/// More than any run sends: a larger `seq` is the server's mistake, not a reason to allocate.
const MAX_SEQ: u64 = 1 << 26;

#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    /// `marks[seq - 1]`.
    marks: Vec<Print>,
    base: u64,
    contiguous: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Again,
    /// Another event was seen at the same `seq` before.
    Conflict,
    /// Zero, or beyond anything plausible.
    Absurd,
}

impl Journal {
    /// `base` is the first `seq` that the member is entitled to: 1, or that of their joining.
    pub(crate) fn starting_at(base: u64) -> Self {
        let base = base.clamp(1, MAX_SEQ);
        Self { marks: Vec::new(), base, contiguous: base - 1 }
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Everything up to here, from `base` on, is known.
    pub(crate) fn contiguous(&self) -> u64 {
        self.contiguous
    }

    /// The highest `seq` of which anything is known.
    pub(crate) fn top(&self) -> u64 {
        self.marks.len() as u64
    }

    pub(crate) fn mark(&self, seq: u64) -> Print {
        let index = usize::try_from(seq.wrapping_sub(1)).unwrap_or(usize::MAX);
        self.marks.get(index).copied().unwrap_or(NOTHING)
    }

    pub(crate) fn is_known(&self, seq: u64) -> bool {
        self.mark(seq) != NOTHING
    }

    pub(crate) fn see(&mut self, seq: u64, print: Print) -> Seen {
        if seq == 0 || seq > MAX_SEQ {
            return Seen::Absurd;
        }
        let mark = self.slot(seq);
        let seen = match *mark {
            // A sync pages by what changed last, so a message may follow behind its own place.
            NOTHING | COVERED => Seen::New,
            known if known == print => return Seen::Again,
            _ => return Seen::Conflict,
        };
        *mark = print;
        self.advance();
        seen
    }

    /// A sync answered for everything behind `after` up to `to`.
    pub(crate) fn cover(&mut self, after: u64, to: u64) {
        for seq in after + 1..=to.min(MAX_SEQ) {
            let mark = self.slot(seq);
            if *mark == NOTHING {
                *mark = COVERED;
            }
        }
        self.advance();
    }

    fn slot(&mut self, seq: u64) -> &mut Print {
        let index = usize::try_from(seq - 1).unwrap_or(usize::MAX);
        if self.marks.len() <= index {
            self.marks.resize(index + 1, NOTHING);
        }
        &mut self.marks[index]
    }

    fn advance(&mut self) {
        while self.is_known(self.contiguous + 1) {
            self.contiguous += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_waits_for_holes_to_fill() {
        let mut journal = Journal::starting_at(1);
        assert_eq!(journal.see(1, 10), Seen::New);
        assert_eq!(journal.see(4, 40), Seen::New);
        assert_eq!(journal.contiguous(), 1);
        journal.cover(1, 3);
        assert_eq!(journal.contiguous(), 4);
        assert_eq!(journal.see(2, 20), Seen::New);
        assert_eq!(journal.see(2, 20), Seen::Again);
        assert_eq!(journal.see(4, 41), Seen::Conflict);
        assert_eq!(journal.see(u64::MAX, 9), Seen::Absurd);
        assert_eq!(journal.see(0, 9), Seen::Absurd);
    }

    #[test]
    fn a_later_member_starts_at_their_joining() {
        let mut journal = Journal::starting_at(7);
        assert_eq!(journal.contiguous(), 6);
        journal.see(7, 70);
        assert_eq!((journal.base(), journal.contiguous(), journal.top()), (7, 7, 7));
    }
}
