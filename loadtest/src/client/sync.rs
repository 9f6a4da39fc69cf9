//! Catching up: which chats need a `sync`, one request at a time, and what an answer covers.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::inbox::{DEFAULT_DELAY, Inbox, delay, is_passing};
use super::journal::{Journal, Seen};
use crate::oracle::tally::Kind;
use crate::wire::{Changes, ChatRef, Frame, Message, SyncAnswer, SyncFrom};
use crate::world::bump;

/// Keeps a `sync` well below the frame limit of 64 KiB.
const CHATS_PER_SYNC: usize = 500;
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

pub(crate) struct Syncs {
    pub wanted: BTreeSet<Uuid>,
    /// After a reconnect one sync goes out even without a chat: its `added` names what was missed.
    is_due: bool,
    asked: Option<Asked>,
    held_until: Option<Instant>,
    number: u32,
}

struct Asked {
    id: String,
    chats: Vec<SyncFrom>,
    at: Instant,
}

impl Syncs {
    pub(crate) fn new(wanted: BTreeSet<Uuid>, is_due: bool) -> Self {
        Self { wanted, is_due, asked: None, held_until: None, number: 0 }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.asked {
            Some(asked) => Some(asked.at + ANSWER_WITHIN),
            None => self.held_until,
        }
    }

    fn again(&mut self, chats: &[SyncFrom]) {
        self.wanted.extend(chats.iter().map(|chat| chat.chat_id));
        self.is_due = true;
    }
}

impl Inbox<'_> {
    pub(super) fn resync(&mut self, chat_ids: Vec<Uuid>) {
        bump(&self.world.live.resyncs);
        let chat_ids = if chat_ids.is_empty() {
            self.world.seat(self.seat).ledger().keys().copied().collect()
        } else {
            chat_ids
        };
        for chat_id in chat_ids {
            self.views.entry(chat_id).or_default().resync_required();
            self.syncs.wanted.insert(chat_id);
        }
    }

    /// The next sync to be sent, with the id of its request, if one is due.
    pub(crate) fn take_sync(&mut self, now: Instant) -> Option<(String, Vec<SyncFrom>)> {
        let syncs = &mut self.syncs;
        if let Some(asked) = &syncs.asked {
            if now.duration_since(asked.at) < ANSWER_WITHIN {
                return None;
            }
            let unanswered = std::mem::take(&mut syncs.asked).map(|asked| asked.chats);
            syncs.again(&unanswered.unwrap_or_default());
        }
        let is_held = syncs.held_until.is_some_and(|until| now < until);
        if is_held || (syncs.wanted.is_empty() && !syncs.is_due) {
            return None;
        }
        let ledger = self.world.seat(self.seat).ledger();
        let after = |chat_id| ledger.get(&chat_id).map_or(0, Journal::contiguous);
        let picked = syncs.wanted.iter().take(CHATS_PER_SYNC).copied();
        let chats: Vec<SyncFrom> =
            picked.map(|chat_id| SyncFrom { chat_id, after_seq: after(chat_id) }).collect();
        for chat in &chats {
            syncs.wanted.remove(&chat.chat_id);
        }
        syncs.is_due = false;
        syncs.held_until = None;
        syncs.number += 1;
        let id = format!("sync{}", syncs.number);
        syncs.asked = Some(Asked { id: id.clone(), chats: chats.clone(), at: now });
        bump(&self.world.live.syncs);
        Some((id, chats))
    }

    pub(super) fn sync_answer(&mut self, id: &str, frame: &Frame<'_>, now: Instant) {
        // The answer to a request that was given up has nothing to say about the present one.
        let Some(asked) = self.syncs.asked.take_if(|asked| asked.id == id) else { return };
        if frame.ok != Some(true) {
            let error = frame.error.as_ref();
            if !error.is_some_and(is_passing) {
                let text = || format!("sync refused: {error:?}");
                self.world.tally().note(Kind::Refused, text);
            }
            self.syncs.again(&asked.chats);
            self.syncs.held_until = Some(now + delay(error));
            return;
        }
        let Some(answer) = self.data::<SyncAnswer<'_>>("sync", frame) else { return };
        for &chat_id in &answer.removed {
            let name = &self.world.seat(self.seat).name;
            self.world.tally().note(Kind::Lost, || format!("{name} is out of chat {chat_id}"));
        }
        self.added(&answer.added);
        let mut rest: HashSet<Uuid> = asked.chats.iter().map(|chat| chat.chat_id).collect();
        for changes in &answer.chats {
            if let Some(from) = asked.chats.iter().find(|chat| chat.chat_id == changes.chat_id) {
                rest.remove(&from.chat_id);
                self.changes(from, changes, now);
            }
        }
        // A chat that was left out has no changes behind what was asked.
        for from in asked.chats.iter().filter(|from| rest.contains(&from.chat_id)) {
            let is_settled = !self.syncs.wanted.contains(&from.chat_id);
            self.views.entry(from.chat_id).or_default().synced(from.after_seq, is_settled);
        }
    }

    fn added(&mut self, chats: &[ChatRef]) {
        let mut ledger = self.world.seat(self.seat).ledger();
        for chat in chats {
            ledger.entry(chat.id).or_insert_with(|| {
                self.syncs.wanted.insert(chat.id);
                Journal::starting_at(1)
            });
        }
    }

    fn changes(&mut self, from: &SyncFrom, changes: &Changes<'_>, now: Instant) {
        self.apply(from, &changes.messages, changes.to_seq);
        // `resyncRequired` may have come after the request, which this answer then does not settle.
        let is_settled = changes.complete && !self.syncs.wanted.contains(&from.chat_id);
        self.views.entry(from.chat_id).or_default().synced(changes.to_seq, is_settled);
        if changes.complete {
            return;
        }
        self.syncs.wanted.insert(from.chat_id);
        if changes.to_seq <= from.after_seq {
            let text = || format!("sync of {} stays at {}", from.chat_id, changes.to_seq);
            self.world.tally().note(Kind::Malformed, text);
            self.syncs.held_until = Some(now + DEFAULT_DELAY);
        }
    }

    fn apply(&self, from: &SyncFrom, messages: &[Message<'_>], to_seq: u64) {
        let seat = self.world.seat(self.seat);
        let mut ledger = seat.ledger();
        let journal = ledger.entry(from.chat_id).or_insert_with(|| Journal::starting_at(1));
        let mut misfits = Vec::new();
        for message in messages {
            match journal.see(message.seq, message.print()) {
                Seen::New if message.sender_id != seat.user_id => {
                    bump(&self.world.live.delivered_by_sync);
                }
                Seen::New | Seen::Again => {}
                Seen::Conflict | Seen::Absurd => misfits.push(message.seq),
            }
        }
        journal.cover(from.after_seq, to_seq);
        drop(ledger);
        for seq in misfits {
            let text = || format!("{}: sync of {} differs at seq {seq}", seat.name, from.chat_id);
            self.world.tally().note(Kind::Reordered, text);
        }
    }
}
