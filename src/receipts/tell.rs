//! Telling of marks: those who have the chat open, and the user's own other sockets.
//!
//! What is heard within a moment is one push: of a member's marks only the furthest is told. A socket
//! that reads slowly gets none, as with typing. One's own sockets are told the present state, read
//! when it is told: what changes a pin, a mute and a mark at once comes out as it is in the end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::marks::News;
use super::{Receipts, advance};
use crate::fanout::hub::Hub;
use crate::metrics::Metrics;
use crate::model::id::{ChatId, ConnectionId, UserId};
use crate::protocol::push::{self, ChatState, Notice, ReadReceipt};
use crate::store::receipts::{self, State};

/// Between two rounds of pushes: what comes within it is one push. The first one does not wait.
const COALESCE: Duration = Duration::from_millis(100);

/// Members who wait to be told of, and sockets' owners who wait to be told; of more nobody is.
const WAITING: usize = 100_000;

/// States that are read at once, and receipts that are told without a break.
const PORTION: usize = 500;

type Member = (ChatId, UserId);

#[derive(Default)]
struct Waiting {
    receipts: HashMap<Member, i64>,
    /// With the socket that knows already, where it is one.
    states: HashMap<Member, Option<ConnectionId>>,
}

pub(super) struct Tell {
    hub: Hub,
    metrics: Arc<Metrics>,
    waiting: Mutex<Waiting>,
    work: Notify,
}

impl Tell {
    pub(super) fn new(hub: Hub, metrics: Arc<Metrics>) -> Self {
        Self { hub, metrics, waiting: Mutex::default(), work: Notify::new() }
    }

    /// Takes what concerns anybody here.
    pub(super) fn note(&self, news: &News) {
        let member = (news.chat, news.user);
        let has_readers = news.is_told && news.seq > 0 && self.hub.is_open(news.chat, news.user);
        let is_origin = |id| news.from == Some(id);
        let has_others =
            self.hub.connections_of(news.user).iter().any(|connection| !is_origin(connection.id));
        if !has_readers && !has_others {
            return;
        }
        let mut waiting = self.waiting();
        let mut dropped = 0;
        if has_readers {
            if waiting.receipts.len() < WAITING {
                let told = waiting.receipts.entry(member).or_insert(news.seq);
                *told = news.seq.max(*told);
            } else {
                dropped += 1;
            }
        }
        if has_others {
            let is_full = waiting.states.len() >= WAITING;
            match waiting.states.entry(member) {
                // Two did something: each is to hear of the other's.
                Entry::Occupied(mut known) if *known.get() != news.from => {
                    known.insert(None);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(place) if !is_full => {
                    place.insert(news.from);
                }
                Entry::Vacant(_) => dropped += 1,
            }
        }
        drop(waiting);
        self.metrics.receipts_dropped.increment(dropped);
        self.work.notify_one();
    }

    fn tell_receipts(&self, receipts: Vec<(Member, i64)>) {
        for ((chat_id, user_id), read_seq) in receipts {
            let data = ReadReceipt { chat_id, user_id, read_seq };
            let bytes = push::frame(Notice::ReadReceipt, data);
            let name = Notice::ReadReceipt.name();
            let (pushed, dropped) = self.hub.ephemeral(chat_id, user_id, name, &bytes);
            self.metrics.receipts_pushed.increment(pushed);
            self.metrics.receipts_dropped.increment(dropped);
        }
    }

    fn tell_state(&self, state: &State, knows: Option<ConnectionId>) {
        let data = ChatState {
            chat_id: state.chat_id,
            read_seq: state.read_seq,
            unread_count: state.message_count - state.read_count,
            pinned: state.pinned,
            muted_until: state.muted_until.map(Into::into),
        };
        let bytes = push::frame(Notice::ChatStateChanged, data);
        for connection in self.hub.connections_of(state.user_id) {
            let name = Notice::ChatStateChanged.name();
            if Some(connection.id) != knows
                && !connection.outbox.push_ephemeral(name, bytes.clone())
            {
                self.metrics.receipts_dropped.increment(1);
            }
        }
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while the lock is held")
    }
}

/// Tells for ever.
pub(super) async fn run(receipts: &Receipts) {
    let tell = &receipts.inner.tell;
    loop {
        tell.work.notified().await;
        let Waiting { receipts: marks, states } = tell.take();
        let marks: Vec<(Member, i64)> = marks.into_iter().collect();
        for portion in marks.chunks(PORTION) {
            tell.tell_receipts(portion.to_vec());
            tokio::task::yield_now().await;
        }
        let members: Vec<Member> = states.keys().copied().collect();
        for portion in members.chunks(PORTION) {
            tell_states(receipts, portion, &states).await;
        }
        tokio::time::sleep(COALESCE).await;
    }
}

/// Reads how chats stand for these members, as they would be shown, and tells them.
async fn tell_states(
    receipts: &Receipts,
    members: &[Member],
    knows: &HashMap<Member, Option<ConnectionId>>,
) {
    let Receipts { inner } = receipts;
    let states = match receipts::states(&inner.pool, members).await {
        Ok(states) => states,
        Err(error) => {
            tracing::debug!(%error, "how chats stand could not be told");
            inner.metrics.receipts_dropped.increment(members.len() as u64);
            return;
        }
    };
    let marks = receipts.of(members).await;
    for mut state in states {
        let member = (state.chat_id, state.user_id);
        if let Some(mark) = marks.get(&member) {
            let end = (state.last_seq, state.message_count);
            advance((&mut state.read_seq, &mut state.read_count), *mark, end);
        }
        inner.tell.tell_state(&state, knows.get(&member).copied().flatten());
    }
}
