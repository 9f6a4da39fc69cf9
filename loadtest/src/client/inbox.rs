//! What arrives on one connection: pushes into the member's journals, answers into the book of
//! sends, and the wish to `sync` where a push tells that something was missed.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use serde::Deserialize;
use uuid::Uuid;

use super::journal::{Journal, Seen};
use super::outbox::Outbox;
use super::sync::Syncs;
use super::view::{ChatView, Pushed};
use crate::oracle::tally::Kind;
use crate::wire::{Ack, Durable, Frame, GoingAway, Message, Resync, WireError, is_durable};
use crate::world::{SendKey, World, bump};

/// Where the server refuses for now without saying for how long.
pub(super) const DEFAULT_DELAY: Duration = Duration::from_millis(500);

/// A connection's state beside the socket itself.
pub(crate) struct Inbox<'w> {
    pub(super) world: &'w World,
    pub(super) seat: u32,
    pub(super) views: HashMap<Uuid, ChatView>,
    pub(super) syncs: Syncs,
    pub leave_at: Option<Instant>,
}

impl<'w> Inbox<'w> {
    pub(crate) fn new(world: &'w World, seat: u32, is_first: bool) -> Self {
        let wanted = if is_first {
            BTreeSet::new()
        } else {
            world.seat(seat).ledger().keys().copied().collect()
        };
        Self {
            world,
            seat,
            views: HashMap::new(),
            syncs: Syncs::new(wanted, !is_first),
            leave_at: None,
        }
    }

    pub(crate) fn frame(&mut self, text: &str, outbox: &mut Outbox, now: Instant) {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            self.world.tally().note(Kind::Malformed, || format!("not a frame: {}", cut(text)));
            return;
        };
        match (frame.event, frame.id) {
            (Some(event), _) => self.push(event, &frame, now),
            (None, Some(id)) if id.starts_with("sync") => self.sync_answer(id, &frame, now),
            (None, Some(id)) => self.send_answer(id, &frame, outbox, now),
            (None, None) => {
                self.world.tally().note(Kind::Malformed, || format!("no id, no event: {text}"));
            }
        }
    }

    fn push(&mut self, event: &str, frame: &Frame<'_>, now: Instant) {
        if is_durable(event) {
            if let Some(push) = self.data::<Durable<'_>>(event, frame) {
                self.durable(event, &push);
            }
        } else if event == "resyncRequired" {
            if let Some(resync) = self.data::<Resync>(event, frame) {
                self.resync(resync.chat_ids);
            }
        } else if event == "goingAway"
            && let Some(going) = self.data::<GoingAway>(event, frame)
        {
            self.leave_at = Some(now + Duration::from_millis(going.reconnect_after_ms));
        }
    }

    fn durable(&mut self, event: &str, push: &Durable<'_>) {
        let (chat_id, seq) = (push.chat_id, push.seq);
        let seat = self.world.seat(self.seat);
        let is_beginning = event == "chatCreated"
            || (event == "memberJoined" && push.user_id == Some(seat.user_id));
        let seen = {
            let mut ledger = seat.ledger();
            let journal = ledger.entry(chat_id).or_insert_with(|| {
                if is_beginning {
                    return Journal::starting_at(seq);
                }
                // The beginning was missed, so all of it has to be asked for.
                self.syncs.wanted.insert(chat_id);
                Journal::starting_at(1)
            });
            journal.see(seq, push.print(event))
        };
        self.check_push(push, event, seen);
        if seen == Seen::New
            && let Some(message) = &push.message
        {
            self.delivered(message, event);
        }
    }

    fn check_push(&mut self, push: &Durable<'_>, event: &str, seen: Seen) {
        let (chat_id, seq) = (push.chat_id, push.seq);
        let place =
            || format!("{} in chat {chat_id} at seq {seq}", self.world.seat(self.seat).name);
        match self.views.entry(chat_id).or_default().push(seq) {
            Pushed::InOrder => {}
            Pushed::Again => {
                self.world.tally().note(Kind::Duplicated, || format!("{}: {event} again", place()));
            }
            Pushed::Late => {
                self.world.tally().note(Kind::Reordered, || format!("{}: {event} late", place()));
            }
            Pushed::Over { from, announced } => {
                if !announced {
                    let text = || format!("{}: {event} jumped over seq {from}", place());
                    self.world.tally().note(Kind::SilentJump, text);
                }
                self.syncs.wanted.insert(chat_id);
            }
        }
        if matches!(seen, Seen::Conflict | Seen::Absurd) {
            let text = || format!("{}: {event} does not fit what was seen there", place());
            self.world.tally().note(Kind::Reordered, text);
        }
    }

    fn delivered(&self, message: &Message<'_>, event: &str) {
        let Some(key) = message.client_id.and_then(|id| self.world.tag.key(id)) else { return };
        if event != "messageCreated" || message.sender_id == self.world.seat(self.seat).user_id {
            return;
        }
        let Some((sent_us, intended_us)) =
            self.world.rooms.get(key.room as usize).and_then(|room| {
                room.book().get(key.index as usize).map(|e| (e.sent_us, e.intended_us))
            })
        else {
            return;
        };
        bump(&self.world.live.delivered);
        if self.world.live.is_measured(intended_us) {
            let took = self.world.now_us().saturating_sub(sent_us);
            self.world.live.deliveries.record(self.seat, took);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.syncs.deadline(), self.leave_at].into_iter().flatten().min()
    }

    fn send_answer(&mut self, id: &str, frame: &Frame<'_>, outbox: &mut Outbox, now: Instant) {
        let Some(key) = parse_id(id) else {
            self.world.tally().note(Kind::Malformed, || format!("an answer to nothing: {id}"));
            return;
        };
        if frame.ok == Some(true) {
            if let Some(ack) = self.data::<Ack>("sendMessage", frame) {
                outbox.finish(key);
                self.acked(key, ack);
            }
            return;
        }
        match &frame.error {
            Some(error) if is_passing(error) => {
                outbox.refused_for_now(key, now, delay(Some(error)));
            }
            error => {
                if outbox.finish(key) {
                    self.refused(key, error.as_ref());
                }
            }
        }
    }

    fn acked(&self, key: SendKey, ack: Ack) {
        let room = self.world.room(key);
        let now_us = self.world.now_us();
        let mut book = room.book();
        let Some(entry) = book.get_mut(key.index as usize) else { return };
        if let Some(known) = entry.ack {
            drop(book);
            if known != ack {
                let text = || format!("{} {key:?}: {known:?}, then {ack:?}", room.name);
                self.world.tally().note(Kind::AckChanged, text);
            }
            return;
        }
        entry.ack = Some(ack);
        let intended_us = entry.intended_us;
        drop(book);
        bump(&self.world.live.acked);
        if self.world.live.is_measured(intended_us) {
            self.world.live.acks.record(self.seat, now_us.saturating_sub(intended_us));
        }
        // Full or closed means that no driver waits for it any more.
        let _ = room.answered.try_send(key.index);
    }

    fn refused(&self, key: SendKey, error: Option<&WireError>) {
        let room = self.world.room(key);
        let code = error.map_or_else(|| "no error given".to_owned(), |error| error.code.clone());
        self.world.tally().note(Kind::Refused, || {
            let detail = error.map_or("", |error| error.message.as_str());
            format!("{} {key:?}: {code}: {detail}", room.name)
        });
        if let Some(entry) = room.book().get_mut(key.index as usize) {
            entry.refused = Some(code);
        }
        let _ = room.answered.try_send(key.index);
    }

    pub(super) fn data<'f, T: Deserialize<'f>>(&self, what: &str, frame: &Frame<'f>) -> Option<T> {
        let text = frame.data.map_or("null", |data| data.get());
        match serde_json::from_str(text) {
            Ok(data) => Some(data),
            Err(error) => {
                let text = || format!("{what}: {error}: {}", cut(text));
                self.world.tally().note(Kind::Malformed, text);
                None
            }
        }
    }
}

pub(crate) fn request_id(key: SendKey) -> String {
    format!("{}:{}", key.room, key.index)
}

fn parse_id(id: &str) -> Option<SendKey> {
    let (room, index) = id.split_once(':')?;
    Some(SendKey { room: room.parse().ok()?, index: index.parse().ok()? })
}

/// Sending again later may well succeed.
pub(super) fn is_passing(error: &WireError) -> bool {
    matches!(error.code.as_str(), "unavailable" | "timeout" | "rateLimited")
}

/// What the server asked for, and up to half of it more, so that clients spread.
pub(super) fn delay(error: Option<&WireError>) -> Duration {
    let asked = error.and_then(|error| error.retry_after_ms).map(Duration::from_millis);
    let base = asked.unwrap_or(DEFAULT_DELAY);
    base + super::jitter(base / 2)
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
