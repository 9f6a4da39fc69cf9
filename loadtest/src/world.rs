//! Everything one run shares: the rooms with what was sent to them, the seats (accounts with a
//! socket) with what they saw, and the live figures.
//!
//! Locks are held for a few instructions and never over an await.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::client::journal::Journal;
use crate::figures::latency::Recorder;
use crate::oracle::tally::Tally;
use crate::wire::Ack;

/// Sends that wait for a client to take them. An open-loop schedule that finds it full counts the
/// message as dropped rather than waiting, since waiting would hide the delay.
pub(crate) const SEAT_QUEUE: usize = 1024;

/// One message of the input: which room, and which of the room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SendKey {
    pub room: u32,
    pub index: u32,
}

pub(crate) struct World {
    pub tag: RunTag,
    pub started: Instant,
    pub rooms: Vec<Room>,
    pub seats: Vec<Seat>,
    pub live: Live,
    pub tally: Mutex<Tally>,
}

pub(crate) struct Seat {
    pub name: String,
    pub user_id: Uuid,
    pub token: String,
    pub queue: mpsc::Sender<SendKey>,
    /// What this member saw, by chat.
    pub ledger: Mutex<HashMap<Uuid, Journal>>,
    pub connected: AtomicBool,
}

pub(crate) struct Room {
    pub name: String,
    pub chat_id: OnceLock<Uuid>,
    /// Indexes of seats; the first one owns the chat.
    pub members: Vec<u32>,
    pub texts: Texts,
    pub book: Mutex<Vec<Entry>>,
    /// The chat's `lastSeq` before the first message.
    pub setup_seq: AtomicU64,
    /// Tells the room's driver which message was answered for good.
    pub answered: mpsc::Sender<u32>,
}

/// What is known of one message of the input.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub sender: u32,
    pub reply_to: Option<u32>,
    pub intended_us: u64,
    /// When it was first written to a socket; 0 before.
    pub sent_us: u64,
    pub attempts: u32,
    pub ack: Option<Ack>,
    /// The code of a refusal that sending again would not change.
    pub refused: Option<String>,
}

pub(crate) enum Texts {
    Lines(Vec<String>),
    /// Made from the index, so that a long run needs no memory for its texts.
    Made {
        bytes: usize,
    },
}

impl Texts {
    pub(crate) fn get(&self, key: SendKey) -> Cow<'_, str> {
        match self {
            Self::Lines(lines) => Cow::Borrowed(&lines[key.index as usize]),
            Self::Made { bytes } => {
                let mut text = format!("{}.{} ", key.room, key.index);
                while text.len() < *bytes {
                    text.push(char::from(b'a' + (text.len() % 26) as u8));
                }
                Cow::Owned(text)
            }
        }
    }
}

impl World {
    pub(crate) fn now_us(&self) -> u64 {
        micros(self.started.elapsed())
    }

    pub(crate) fn room(&self, key: SendKey) -> &Room {
        &self.rooms[key.room as usize]
    }

    pub(crate) fn seat(&self, index: u32) -> &Seat {
        &self.seats[index as usize]
    }

    /// Counts a violation seen while the run goes on.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }
}

impl Room {
    pub(crate) fn book(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.book)
    }
}

impl Seat {
    pub(crate) fn ledger(&self) -> MutexGuard<'_, HashMap<Uuid, Journal>> {
        lock(&self.ledger)
    }
}

/// A panic elsewhere ends the run with a failure of its own; the data stays readable for it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Counters and latencies that grow while the run goes on.
#[derive(Default)]
pub(crate) struct Live {
    pub acks: Recorder,
    pub deliveries: Recorder,
    pub sent: AtomicU64,
    pub acked: AtomicU64,
    pub delivered: AtomicU64,
    pub delivered_by_sync: AtomicU64,
    pub late: AtomicU64,
    pub dropped: AtomicU64,
    pub reconnects: AtomicU64,
    pub syncs: AtomicU64,
    pub resyncs: AtomicU64,
    /// Only what was meant to be sent in this window counts for latencies.
    window: [AtomicU64; 2],
    pub closes: Mutex<HashMap<String, u64>>,
}

impl Live {
    pub(crate) fn open_window(&self, from_us: u64) {
        self.window[0].store(from_us, Ordering::Relaxed);
        self.window[1].store(u64::MAX, Ordering::Relaxed);
    }

    pub(crate) fn close_window(&self, until_us: u64) {
        self.window[1].store(until_us, Ordering::Relaxed);
    }

    /// Whether a message that was to be sent then counts for the latencies.
    pub(crate) fn is_measured(&self, intended_us: u64) -> bool {
        let [from, until] = &self.window;
        intended_us >= from.load(Ordering::Relaxed) && intended_us < until.load(Ordering::Relaxed)
    }

    pub(crate) fn count_close(&self, reason: &str) {
        *lock(&self.closes).entry(reason.to_owned()).or_default() += 1;
    }
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Marks this run's `clientId`s, and carries room and index in them, so that a push leads to
/// its send without a map of all sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunTag(pub u64);

impl RunTag {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0)
    }

    /// A short name for accounts and chats of this run.
    pub(crate) fn short(self) -> String {
        format!("{:06x}", self.0 >> 40)
    }

    pub(crate) fn client_id(self, key: SendKey) -> Uuid {
        let tag = self.0.to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&key.room.to_be_bytes());
        bytes[4..6].copy_from_slice(&tag[..2]);
        // Version 4 and the RFC's variant, so that a strict parser accepts it.
        bytes[6] = 0x40 | (tag[2] & 0x0f);
        bytes[7] = tag[3];
        bytes[8] = 0x80 | (tag[4] & 0x3f);
        bytes[9..12].copy_from_slice(&tag[5..8]);
        bytes[12..].copy_from_slice(&key.index.to_be_bytes());
        Uuid::from_bytes(bytes)
    }

    /// `None` where the id is not of this run.
    pub(crate) fn key(self, client_id: Uuid) -> Option<SendKey> {
        let bytes = client_id.as_bytes();
        let room = u32::from_be_bytes(bytes[..4].try_into().ok()?);
        let index = u32::from_be_bytes(bytes[12..].try_into().ok()?);
        let key = SendKey { room, index };
        (self.client_id(key) == client_id).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_leads_back_to_its_send() {
        let tag = RunTag::random();
        let key = SendKey { room: 70_000, index: 123_456_789 };
        let id = tag.client_id(key);
        assert_eq!(tag.key(id), Some(key));
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(tag.key(Uuid::new_v4()), None);
        assert_eq!(RunTag(!tag.0).key(id), None);
    }

    #[test]
    fn made_texts_differ_and_have_the_size_asked_for() {
        let texts = Texts::Made { bytes: 100 };
        let one = texts.get(SendKey { room: 1, index: 1 });
        assert_eq!(one.len(), 100);
        assert_ne!(one, texts.get(SendKey { room: 1, index: 2 }));
    }
}
