//! What one connection may still be sent of one chat: guarantee 3 of the contract, as a state
//! machine without any input or output.
//!
//! Pushes ascend without repeat. Behind a complete `sync` (or the first push) they also ascend
//! without a hole, unless `resyncRequired` was sent. Pushes from before the answer to a `sync` may
//! lie in its range; after it, nothing in its range is pushed again.

/// Beyond this many holes the connection is broken anyway.
const MAX_HOLES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct ChatView {
    /// The highest pushed `seq`; 0 before the first push.
    pushed: u64,
    /// What a `sync` answer on this connection covered.
    covered: u64,
    /// The next `seq` is known, so that a hole can be told.
    settled: bool,
    resync: bool,
    holes: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    InOrder,
    /// Over a hole: the client has to `sync`. `announced` if `resyncRequired` came first.
    Over {
        from: u64,
        announced: bool,
    },
    /// Behind a higher one on the same connection.
    Late,
    /// For the second time on the same connection, or after a `sync` that had covered it.
    Again,
}

impl ChatView {
    pub(crate) fn push(&mut self, seq: u64) -> Pushed {
        if seq <= self.covered {
            return Pushed::Again;
        }
        if seq <= self.pushed {
            let is_late = self.holes.iter().any(|&(from, to)| (from..=to).contains(&seq));
            return if is_late { Pushed::Late } else { Pushed::Again };
        }
        let next = self.pushed.max(self.covered) + 1;
        let is_over = self.settled && seq > next;
        if is_over && self.holes.len() < MAX_HOLES {
            self.holes.push((next, seq - 1));
        }
        self.pushed = seq;
        self.settled = true;
        if is_over { Pushed::Over { from: next, announced: self.resync } } else { Pushed::InOrder }
    }

    pub(crate) fn resync_required(&mut self) {
        self.resync = true;
    }

    /// A `sync` answered for everything up to `to`.
    pub(crate) fn synced(&mut self, to: u64, complete: bool) {
        self.covered = self.covered.max(to);
        if complete {
            self.settled = true;
            self.resync = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_all(view: &mut ChatView, seqs: &[u64]) {
        for &seq in seqs {
            assert_eq!(view.push(seq), Pushed::InOrder, "seq {seq}");
        }
    }

    #[test]
    fn a_repeat_a_late_one_and_a_jump_are_told_apart() {
        let mut view = ChatView::default();
        push_all(&mut view, &[1, 2]);
        assert_eq!(view.push(2), Pushed::Again);
        assert_eq!(view.push(5), Pushed::Over { from: 3, announced: false });
        assert_eq!(view.push(4), Pushed::Late);
        assert_eq!(view.push(1), Pushed::Again);
        push_all(&mut view, &[6]);
    }

    #[test]
    fn pushes_before_the_answer_to_a_sync_may_lie_in_its_range_but_none_after() {
        let mut view = ChatView::default();
        // After a reconnect the first push may be anything; the sync fills what lies before.
        push_all(&mut view, &[50, 51]);
        view.synced(52, true);
        assert_eq!(view.push(52), Pushed::Again);
        push_all(&mut view, &[53]);
    }

    #[test]
    fn pages_of_a_long_sync_do_not_look_like_jumps() {
        let mut view = ChatView::default();
        view.synced(600, false);
        push_all(&mut view, &[1001]);
        view.synced(1000, true);
        push_all(&mut view, &[1002]);
    }

    #[test]
    fn behind_a_complete_sync_nothing_may_be_missing() {
        let mut view = ChatView::default();
        view.synced(10, true);
        assert_eq!(view.push(12), Pushed::Over { from: 11, announced: false });
    }

    #[test]
    fn an_announced_jump_is_no_fault_until_the_sync_is_done() {
        let mut view = ChatView::default();
        push_all(&mut view, &[1]);
        view.resync_required();
        assert_eq!(view.push(9), Pushed::Over { from: 2, announced: true });
        view.synced(9, true);
        assert_eq!(view.push(12), Pushed::Over { from: 10, announced: false });
    }
}
