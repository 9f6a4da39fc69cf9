//! What waits to be written to one socket.
//!
//! Bounded in bytes: a reader that lets more than the limit wait is closed with 4408 and resumes by
//! `sync`, rather than slowing others or growing the node. Answers do not count: a connection asks
//! for them one at a time. Ephemera are dropped from half the limit on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::model::id::ChatId;
use crate::protocol::close::Close;
use crate::protocol::push::Wanted;

pub struct Outbox {
    limit: usize,
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    frames: VecDeque<Frame>,
    /// When the first of the frames came that have waited since the outbox was empty.
    waiting_since: Option<Instant>,
    /// Bytes of the pushes that wait, here and behind gates.
    push_bytes: usize,
    gates: Vec<(ChatId, Gate)>,
    wanted: Wanted,
    closing: Option<Close>,
    /// Commands of this socket whose answers are still to come.
    unanswered: usize,
}

struct Frame {
    bytes: Bytes,
    counted: bool,
}

/// How a chat's pushes stand to a `sync` of this connection.
enum Gate {
    /// The answer is being made: pushes wait, so that they come behind it. `before` is how the
    /// chat stood until then, which holds on where the answer says nothing of it.
    Held { before: Before, waiting: Vec<(i64, Bytes)> },
    /// The answer covered the chat up to this seq: a push of it is not sent again.
    Covered(i64),
    /// The answer was only a part. The client asks for the rest, which will cover whatever comes
    /// until then, since it is committed before it is pushed.
    Incomplete,
}

/// How a chat stood before its pushes were held.
#[derive(Clone, Copy)]
enum Before {
    Open,
    Covered(i64),
    Incomplete,
}

/// How far an answer went that pushes were held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// There was none, or nothing had changed.
    Nothing,
    UpTo(i64),
    /// Only a part: the client must ask again before it gets pushes of the chat.
    InPart,
}

/// What is to be done about an outbox now.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// Why to close, once nothing is left.
    pub closing: Option<Close>,
    /// Since when the first frame taken has waited, be it behind others; nothing where none was.
    pub waiting_since: Option<Instant>,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// Not for this connection, or not any more.
    Skipped,
    /// The bound was reached; the socket is being closed.
    TooSlow,
}

impl State {
    fn queue(&mut self, frame: Frame) {
        if self.frames.is_empty() {
            self.waiting_since = Some(Instant::now());
        }
        self.frames.push_back(frame);
    }
}

impl Outbox {
    pub fn new(limit: usize) -> Self {
        let state = State {
            frames: VecDeque::new(),
            waiting_since: None,
            push_bytes: 0,
            gates: Vec::new(),
            wanted: Wanted::ALL,
            closing: None,
            unanswered: 0,
        };
        Self { limit, state: Mutex::new(state), wake: Notify::new() }
    }

    /// Queues a durable event.
    pub fn push(&self, name: &str, chat: ChatId, seq: i64, bytes: &Bytes) -> Pushed {
        let mut state = self.lock();
        if state.closing.is_some() || !state.wanted.has(name) {
            return Pushed::Skipped;
        }
        if state.push_bytes + bytes.len() > self.limit {
            self.close_state(&mut state, Close::TooSlow);
            return Pushed::TooSlow;
        }
        if let Some(index) = state.gates.iter().position(|(gated, _)| *gated == chat) {
            match &mut state.gates[index].1 {
                Gate::Held { waiting, .. } => {
                    waiting.push((seq, bytes.clone()));
                    state.push_bytes += bytes.len();
                    return Pushed::Queued;
                }
                Gate::Incomplete => return Pushed::Skipped,
                Gate::Covered(covered) if seq <= *covered => return Pushed::Skipped,
                Gate::Covered(_) => {
                    state.gates.swap_remove(index);
                }
            }
        }
        state.push_bytes += bytes.len();
        state.queue(Frame { bytes: bytes.clone(), counted: true });
        drop(state);
        self.wake.notify_one();
        Pushed::Queued
    }

    /// Queues what may as well be lost. `false` where it was.
    pub fn push_ephemeral(&self, name: &str, bytes: Bytes) -> bool {
        let mut state = self.lock();
        if state.closing.is_some() || !state.wanted.has(name) {
            return true;
        }
        if state.push_bytes + bytes.len() > self.limit / 2 {
            return false;
        }
        state.push_bytes += bytes.len();
        state.queue(Frame { bytes, counted: true });
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Queues an answer, or a push about the connection itself.
    pub fn answer(&self, bytes: Bytes) {
        let mut state = self.lock();
        if state.closing.is_none() {
            state.queue(Frame { bytes, counted: false });
            drop(state);
            self.wake.notify_one();
        }
    }

    /// The same, before all else.
    pub fn answer_first(&self, bytes: Bytes) {
        let mut state = self.lock();
        state.waiting_since.get_or_insert_with(Instant::now);
        state.frames.push_front(Frame { bytes, counted: false });
        drop(state);
        self.wake.notify_one();
    }

    pub fn want(&self, wanted: Wanted) {
        self.lock().wanted = wanted;
    }

    /// Counts a command whose answer comes later.
    pub fn expect_answer(&self) {
        self.lock().unanswered += 1;
    }

    /// Queues the answer of such a command; none where the client asked for none.
    pub fn late_answer(&self, bytes: Option<Bytes>) {
        let mut state = self.lock();
        state.unanswered = state.unanswered.saturating_sub(1);
        if let (Some(bytes), None) = (bytes, state.closing) {
            state.queue(Frame { bytes, counted: false });
        }
        drop(state);
        self.wake.notify_one();
    }

    pub fn unanswered(&self) -> usize {
        self.lock().unanswered
    }

    /// Lets the pushes of a chat wait until [`Self::release`].
    pub fn hold(&self, chat: ChatId) {
        let mut state = self.lock();
        let index = state.gates.iter().position(|(gated, _)| *gated == chat);
        let before = match index.map(|index| state.gates.swap_remove(index).1) {
            None => Before::Open,
            Some(Gate::Covered(seq)) => Before::Covered(seq),
            Some(Gate::Incomplete) => Before::Incomplete,
            // Named twice in one request.
            Some(held @ Gate::Held { .. }) => return state.gates.push((chat, held)),
        };
        state.gates.push((chat, Gate::Held { before, waiting: Vec::new() }));
    }

    /// Lets them go on, but for those that an answer covers that was queued before this call.
    pub fn release(&self, chat: ChatId, covered: Covered) {
        let mut state = self.lock();
        let Some(index) = state.gates.iter().position(|(gated, _)| *gated == chat) else { return };
        let (_, gate) = state.gates.swap_remove(index);
        let Gate::Held { before, waiting } = gate else { return state.gates.push((chat, gate)) };
        let after = match (covered, before) {
            (Covered::UpTo(seq), _) => Before::Covered(seq),
            (Covered::InPart, _) => Before::Incomplete,
            // A former answer may be ahead of the pushes still, or wait for its other part.
            (Covered::Nothing, before) => before,
        };
        let mut newest = match after {
            Before::Open => 0,
            Before::Covered(seq) => seq,
            Before::Incomplete => i64::MAX,
        };
        for (seq, bytes) in waiting {
            // A room that went back for somebody else may have brought one twice.
            if seq <= newest {
                state.push_bytes -= bytes.len();
            } else {
                newest = seq;
                state.queue(Frame { bytes, counted: true });
            }
        }
        match after {
            Before::Open => {}
            Before::Covered(_) => state.gates.push((chat, Gate::Covered(newest))),
            Before::Incomplete => state.gates.push((chat, Gate::Incomplete)),
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Leaves out what comes of a chat up to `seq`: the connection has it.
    pub fn skip_to(&self, chat: ChatId, seq: i64) {
        let mut state = self.lock();
        match state.gates.iter_mut().find(|(gated, _)| *gated == chat) {
            Some((_, Gate::Covered(covered))) => *covered = seq.max(*covered),
            Some((_, Gate::Held { .. } | Gate::Incomplete)) => {}
            None => state.gates.push((chat, Gate::Covered(seq))),
        }
    }

    /// Has the socket closed as soon as what waits is written; at once for a slow reader.
    pub fn close(&self, why: Close) {
        self.close_state(&mut self.lock(), why);
    }

    /// Has the socket closed because its session is over: pushes that wait are not for it any more,
    /// what is left are answers and then `notice`.
    pub fn revoke(&self, notice: Bytes) {
        let mut state = self.lock();
        if state.closing.is_none() {
            state.frames.retain(|frame| !frame.counted);
            state.queue(Frame { bytes: notice, counted: false });
            self.close_state(&mut state, Close::SessionRevoked);
        }
    }

    fn close_state(&self, state: &mut State, why: Close) {
        if state.closing.is_some() {
            return;
        }
        state.closing = Some(why);
        if why == Close::TooSlow {
            state.frames = VecDeque::new();
        }
        state.gates = Vec::new();
        state.push_bytes = 0;
        self.wake.notify_one();
    }

    pub fn closing(&self) -> Option<Close> {
        self.lock().closing
    }

    /// Moves frames of about `max_bytes` into `into`.
    pub fn take(&self, max_bytes: usize, into: &mut Vec<Bytes>) -> Taking {
        let mut state = self.lock();
        let waiting_since = state.waiting_since.take();
        let mut taken = 0;
        while taken < max_bytes {
            let Some(frame) = state.frames.pop_front() else { break };
            taken += frame.bytes.len();
            if frame.counted {
                state.push_bytes = state.push_bytes.saturating_sub(frame.bytes.len());
            }
            into.push(frame.bytes);
        }
        if state.frames.is_empty() {
            // An idle connection keeps no buffer.
            if state.frames.capacity() > 64 {
                state.frames = VecDeque::new();
            }
            let closing = state.closing.filter(|_| into.is_empty());
            return Taking { closing, waiting_since };
        }
        // More is left: come again.
        state.waiting_since = waiting_since;
        self.wake.notify_one();
        Taking { closing: None, waiting_since }
    }

    /// Frames that wait, and the bytes of those that count.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.frames.len(), state.push_bytes)
    }

    /// Waits until there may be something to take.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "messageCreated";

    fn taken(outbox: &Outbox) -> Vec<String> {
        let mut frames = Vec::new();
        outbox.take(usize::MAX, &mut frames);
        frames.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
    }

    fn push(outbox: &Outbox, chat: ChatId, seq: i64) -> Pushed {
        outbox.push(EVENT, chat, seq, &Bytes::from(seq.to_string()))
    }

    /// R-SE-10: who is out hears nothing more of what waited for them.
    #[test]
    fn a_revoked_outbox_keeps_answers_and_the_notice_alone() {
        let outbox = Outbox::new(1_000);
        let chat = ChatId::new();
        outbox.push(EVENT, chat, 1, &Bytes::from_static(b"event"));
        outbox.answer(Bytes::from_static(b"answer"));
        outbox.push_ephemeral("typing", Bytes::from_static(b"typing"));
        outbox.hold(chat);
        outbox.push(EVENT, chat, 2, &Bytes::from_static(b"held"));
        outbox.revoke(Bytes::from_static(b"revoked"));
        outbox.release(chat, Covered::Nothing);
        assert_eq!(outbox.push(EVENT, chat, 3, &Bytes::from_static(b"late")), Pushed::Skipped);
        outbox.revoke(Bytes::from_static(b"again"));
        assert_eq!(taken(&outbox), ["answer", "revoked"]);
        assert_eq!(outbox.closing(), Some(Close::SessionRevoked));
    }

    #[test]
    fn a_reader_that_is_too_slow_is_closed_and_its_queue_is_dropped() {
        let (outbox, chat) = (Outbox::new(10), ChatId::new());
        for seq in 1..=9 {
            assert_eq!(push(&outbox, chat, seq), Pushed::Queued);
        }
        assert!(!outbox.push_ephemeral("typing", Bytes::from("t")), "half the bound is passed");
        assert_eq!(push(&outbox, chat, 10), Pushed::TooSlow);
        assert_eq!(push(&outbox, chat, 11), Pushed::Skipped);
        let mut frames = Vec::new();
        assert_eq!(outbox.take(100, &mut frames).closing, Some(Close::TooSlow));
        assert!(frames.is_empty());
    }

    #[test]
    fn reading_makes_room_again() {
        let (outbox, chat) = (Outbox::new(4), ChatId::new());
        for seq in 1..=9 {
            assert_eq!(push(&outbox, chat, seq), Pushed::Queued);
            assert_eq!(taken(&outbox), [seq.to_string()]);
        }
    }

    #[test]
    fn pushes_come_behind_the_sync_and_not_twice() {
        let (outbox, chat, other) = (Outbox::new(1_000), ChatId::new(), ChatId::new());
        push(&outbox, chat, 1);
        outbox.hold(chat);
        push(&outbox, chat, 2);
        push(&outbox, chat, 3);
        push(&outbox, other, 7);
        outbox.answer(Bytes::from("sync to 2"));
        outbox.release(chat, Covered::UpTo(2));
        push(&outbox, chat, 4);
        assert_eq!(taken(&outbox), ["1", "7", "sync to 2", "3", "4"]);
    }

    #[test]
    fn a_sync_that_is_ahead_of_the_pushes_silences_them_until_they_are_past_it() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        outbox.hold(chat);
        outbox.answer(Bytes::from("sync to 5"));
        outbox.release(chat, Covered::UpTo(5));
        for seq in 3..=7 {
            push(&outbox, chat, seq);
        }
        assert_eq!(taken(&outbox), ["sync to 5", "6", "7"]);
    }

    #[test]
    fn after_a_part_of_a_sync_pushes_wait_for_the_rest() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        outbox.hold(chat);
        push(&outbox, chat, 8);
        outbox.answer(Bytes::from("sync to 5"));
        outbox.release(chat, Covered::InPart);
        push(&outbox, chat, 9);
        outbox.hold(chat);
        push(&outbox, chat, 10);
        outbox.answer(Bytes::from("sync to 9"));
        outbox.release(chat, Covered::UpTo(9));
        assert_eq!(taken(&outbox), ["sync to 5", "sync to 9", "10"]);
    }

    #[test]
    fn a_sync_that_fails_loses_nothing() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        outbox.hold(chat);
        push(&outbox, chat, 1);
        outbox.release(chat, Covered::Nothing);
        push(&outbox, chat, 2);
        assert_eq!(taken(&outbox), ["1", "2"]);
    }

    /// A second `sync` that found nothing new let the pushes through that the first had covered.
    #[test]
    fn a_sync_without_news_does_not_undo_the_one_before() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        for (covered, answer) in [(Covered::UpTo(5), "sync to 5"), (Covered::Nothing, "no news")] {
            outbox.hold(chat);
            push(&outbox, chat, 3);
            outbox.answer(Bytes::from(answer));
            outbox.release(chat, covered);
        }
        for seq in 4..=6 {
            push(&outbox, chat, seq);
        }
        assert_eq!(taken(&outbox), ["sync to 5", "no news", "6"]);
    }

    /// A part of a `sync`, and then a `sync` that fails: pushes would leave a hole.
    #[test]
    fn a_sync_that_fails_after_a_part_still_asks_for_the_rest() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        outbox.hold(chat);
        outbox.release(chat, Covered::InPart);
        outbox.hold(chat);
        outbox.release(chat, Covered::Nothing);
        push(&outbox, chat, 9);
        assert_eq!(taken(&outbox), Vec::<String>::new());
    }

    #[test]
    fn what_waits_is_written_before_an_orderly_close() {
        let (outbox, chat) = (Outbox::new(1_000), ChatId::new());
        push(&outbox, chat, 1);
        outbox.close(Close::Restarting);
        assert_eq!(push(&outbox, chat, 2), Pushed::Skipped);
        let mut frames = Vec::new();
        assert_eq!(outbox.take(100, &mut frames).closing, None);
        assert_eq!(frames.len(), 1);
        frames.clear();
        assert_eq!(outbox.take(100, &mut frames).closing, Some(Close::Restarting));
    }
}
