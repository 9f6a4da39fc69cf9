//! Keeps the search index behind the lanes, without ever holding one up.
//!
//! A lane notes which chats got, changed or lost messages, once those are published. The indexer
//! reads what changed in them and writes it down, many chats at a time. It knows nothing that is not
//! in Postgres as well: at each takeover it looks through the partition's chats for those whose index
//! is behind. So whatever dies, and also where the index is new, everything is found in the end.
//!
//! # Invariants
//! - A note costs a lane a lock that is never held across a wait.
//! - What is noted goes before what a look through a partition has found.
//! - A chat's messages and its progress are written as one.
//!
//! # Failure
//! Without Postgres what is noted waits, up to [`NOTED`] chats, and is tried again, ever less often up
//! to each [`RETRY_MOST`]. Beyond the bound nothing is noted, and the partition is looked through again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::id::ChatId;
use crate::store::Pool;
use crate::store::search;

/// From one round to the next, at the least: what comes meanwhile is written together.
const PAUSE: Duration = Duration::from_millis(100);
/// Messages of a round, about, and of one chat in it, at the most.
const ROUND: i64 = 500;
const OF_A_CHAT: i64 = 500;
/// Chats of a round, at the most.
const CHATS: usize = 250;
/// Chats that wait, at the most.
const NOTED: usize = 100_000;
/// Chats of a partition that one statement looks at.
const LOOK: i64 = 2_000;
/// After an error; doubled with each further one.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// A connection for the indexer, with plans fit for large batches; see [`super::connect_pool`].
pub fn connect_pool(settings: &config::Postgres) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())?
        .application_name("chat-service search")
        .options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
            ("statement_timeout", "15s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ]);
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(3))
        .connect_lazy_with(options))
}

/// A chat that waits to be indexed: from which seq up to which, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    from_seq: i64,
    to_seq: i64,
    since: Instant,
}

impl Waiting {
    /// Both at once.
    fn join(&mut self, other: Self) {
        self.from_seq = self.from_seq.min(other.from_seq);
        self.to_seq = self.to_seq.max(other.to_seq);
        self.since = self.since.min(other.since);
    }

    fn behind(&self) -> i64 {
        (self.to_seq - self.from_seq).max(1)
    }
}

/// Chats that wait, the longest first.
#[derive(Default)]
struct Queue {
    chats: HashMap<ChatId, Waiting>,
    order: VecDeque<ChatId>,
}

impl Queue {
    fn put(&mut self, chat: ChatId, waiting: Waiting) {
        if let Some(known) = self.chats.get_mut(&chat) {
            known.join(waiting);
        } else {
            self.chats.insert(chat, waiting);
            self.order.push_back(chat);
        }
    }

    fn take(&mut self) -> Option<(ChatId, Waiting)> {
        let chat = self.order.pop_front()?;
        self.chats.remove(&chat).map(|waiting| (chat, waiting))
    }

    fn first(&self) -> Option<&Waiting> {
        self.order.front().and_then(|chat| self.chats.get(chat))
    }
}

#[derive(Default)]
struct State {
    /// What lanes have noted.
    noted: Queue,
    /// What looks through partitions have found.
    found: Queue,
    /// Partitions to look through.
    to_look: BTreeSet<u16>,
    /// The one that is being looked through, and behind which chat to go on.
    looking: Option<(u16, Option<ChatId>)>,
    /// What is being written, for the lag.
    at_work: Vec<(ChatId, Waiting)>,
}

/// Hands changed chats to a node's indexer. Cheap to clone.
#[derive(Clone, Default)]
pub struct Indexer {
    state: Arc<Mutex<State>>,
    noted: Arc<Notify>,
}

impl Indexer {
    /// Notes that messages of these chats were made, changed or deleted, by the seqs of the events.
    pub(super) fn note(&self, partition: u16, changed: &[(ChatId, i64)]) {
        if changed.is_empty() {
            return;
        }
        let since = Instant::now();
        let mut state = self.lock();
        for (chat, seq) in changed {
            if state.noted.chats.len() >= NOTED && !state.noted.chats.contains_key(chat) {
                state.to_look.insert(partition);
                continue;
            }
            state.noted.put(*chat, Waiting { from_seq: seq - 1, to_seq: *seq, since });
        }
        drop(state);
        self.noted.notify_one();
    }

    /// Has the chats of a partition looked through that this node has just taken over.
    pub(super) fn look_through(&self, partition: u16) {
        self.lock().to_look.insert(partition);
        self.noted.notify_one();
    }

    /// Works until `stop`; a round that is under way is finished first.
    pub async fn run(self, pool: Pool, metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut retry = RETRY;
        while !stop.is_cancelled() {
            let worked = self.round(&pool, &metrics).await;
            self.tell_lag(&metrics);
            let pause = match worked {
                Ok(true) => {
                    retry = RETRY;
                    if self.is_pressed() { Duration::ZERO } else { PAUSE }
                }
                Ok(false) => {
                    tokio::select! {
                        () = self.noted.notified() => {}
                        () = stop.cancelled() => {}
                    }
                    PAUSE
                }
                Err(error) => {
                    metrics.search_failures.increment(1);
                    tracing::warn!(%error, "chats could not be indexed; they are tried again");
                    let pause = retry;
                    retry = (retry * 2).min(RETRY_MOST);
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Indexes some of what waits; false where nothing does.
    async fn round(&self, pool: &Pool, metrics: &Metrics) -> Result<bool> {
        let looked = self.look(pool).await?;
        let chats = self.take();
        if chats.is_empty() {
            return Ok(looked);
        }
        let started = Instant::now();
        let written = index(pool, &chats).await;
        let indexed = match written {
            Ok(indexed) => indexed,
            Err(error) => {
                self.give_back();
                return Err(error);
            }
        };
        metrics.search_index_seconds.record(started.elapsed());
        metrics.search_indexed.increment(u64::try_from(indexed.messages).unwrap_or(0));
        self.done(&indexed);
        Ok(true)
    }

    /// Looks at some more chats of a partition that is to be looked through, once all that was found
    /// before is done; tells whether there was any to look at.
    async fn look(&self, pool: &Pool) -> Result<bool> {
        let (partition, after) = {
            let mut state = self.lock();
            if !state.found.chats.is_empty() {
                return Ok(true);
            }
            if state.looking.is_none() {
                state.looking = state.to_look.pop_first().map(|partition| (partition, None));
            }
            let Some(looking) = state.looking else { return Ok(false) };
            looking
        };
        let (behind, next) = search::behind(pool, partition.cast_signed(), after, LOOK).await?;
        let since = Instant::now();
        let mut state = self.lock();
        for chat in behind {
            let waiting = Waiting { from_seq: chat.from_seq, to_seq: chat.last_seq, since };
            if !state.noted.chats.contains_key(&chat.id) {
                state.found.put(chat.id, waiting);
            }
        }
        state.looking = next.map(|next| (partition, Some(next)));
        Ok(true)
    }

    /// The chats of the next round: those noted first.
    fn take(&self) -> Vec<ChatId> {
        let mut state = self.lock();
        let state = &mut *state;
        let mut messages = 0;
        for queue in [&mut state.noted, &mut state.found] {
            while messages < ROUND && state.at_work.len() < CHATS {
                let Some((chat, waiting)) = queue.take() else { break };
                messages += waiting.behind().min(OF_A_CHAT);
                // One that was left over, and noted again meanwhile, waits in both.
                match state.at_work.iter_mut().find(|(known, _)| *known == chat) {
                    Some((_, known)) => known.join(waiting),
                    None => state.at_work.push((chat, waiting)),
                }
            }
        }
        state.at_work.iter().map(|(chat, _)| *chat).collect()
    }

    fn give_back(&self) {
        let mut state = self.lock();
        for (chat, waiting) in std::mem::take(&mut state.at_work) {
            state.noted.put(chat, waiting);
        }
    }

    /// What was read is done up to where it was read; the rest waits on, behind the others.
    fn done(&self, indexed: &Indexed) {
        let mut state = self.lock();
        for (chat, waiting) in std::mem::take(&mut state.at_work) {
            let from_seq = indexed.reached.get(&chat).copied().unwrap_or(waiting.to_seq);
            if from_seq < waiting.to_seq {
                state.found.put(chat, Waiting { from_seq, ..waiting });
            }
        }
    }

    /// Whether more was noted meanwhile than a round takes.
    fn is_pressed(&self) -> bool {
        let state = self.lock();
        let noted = state.noted.chats.values();
        noted.len() >= CHATS || noted.map(Waiting::behind).sum::<i64>() >= ROUND
    }

    fn tell_lag(&self, metrics: &Metrics) {
        let state = self.lock();
        let queued = state.noted.chats.values().chain(state.found.chats.values());
        let all = queued.chain(state.at_work.iter().map(|(_, waiting)| waiting));
        let behind: i64 = all.map(Waiting::behind).sum();
        let firsts = [state.noted.first(), state.found.first()].into_iter().flatten();
        let oldest = firsts.chain(state.at_work.iter().map(|(_, waiting)| waiting));
        let longest = oldest.map(|waiting| waiting.since.elapsed()).max().unwrap_or_default();
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        metrics.search_lag_messages.set(f64::from(behind));
        metrics.search_lag_seconds.set(longest.as_secs_f64());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }
}

/// What a round came to.
#[derive(Default)]
struct Indexed {
    messages: usize,
    /// Up to where the chats are indexed that were read.
    reached: HashMap<ChatId, i64>,
}

/// Reads what changed in these chats, and writes it down.
async fn index(pool: &Pool, chats: &[ChatId]) -> Result<Indexed> {
    let mut db = pool.acquire().await?;
    let mut changed = search::changed(&mut *db, chats, OF_A_CHAT).await?;
    let mut indexed = Indexed::default();
    indexed.reached.extend(changed.iter().map(|chat| (chat.chat, chat.from_seq)));
    changed.retain(|chat| chat.from_seq < chat.to_seq);
    if !changed.is_empty() {
        let written = search::write(&mut *db, &changed).await?;
        // Where another follower was here meanwhile, it is not known how far it got.
        for chat in changed.iter().filter(|chat| written.contains(&chat.chat)) {
            indexed.messages += chat.messages();
            indexed.reached.insert(chat.chat, chat.to_seq);
        }
    }
    Ok(indexed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(indexer: &Indexer) -> (usize, usize) {
        let state = indexer.lock();
        (state.noted.chats.len(), state.found.chats.len())
    }

    #[test]
    fn what_is_noted_twice_waits_once_and_goes_before_what_was_found() {
        let indexer = Indexer::default();
        let (a, b, c) = (ChatId::new(), ChatId::new(), ChatId::new());
        let since = Instant::now();
        let waits = Waiting { from_seq: 0, to_seq: 9, since };
        indexer.lock().found.put(c, waits);
        indexer.note(1, &[(a, 3), (b, 1), (a, 4)]);
        assert_eq!(waiting(&indexer), (2, 1));
        assert_eq!(indexer.lock().noted.chats[&a].behind(), 2);
        assert_eq!(indexer.take(), [a, b, c]);
        indexer.give_back();
        assert_eq!(waiting(&indexer), (3, 0));
    }

    #[test]
    fn a_round_is_bounded_and_what_is_left_waits_behind() {
        let indexer = Indexer::default();
        let chats: Vec<ChatId> = (0..3).map(|_| ChatId::new()).collect();
        let since = Instant::now();
        for chat in &chats {
            indexer.lock().found.put(*chat, Waiting { from_seq: 0, to_seq: 400, since });
        }
        assert_eq!(indexer.take(), chats[..2]);
        indexer.done(&Indexed::default());
        assert_eq!(indexer.take(), chats[2..]);
    }

    #[test]
    fn a_chat_that_waits_twice_is_taken_once() {
        let indexer = Indexer::default();
        let chat = ChatId::new();
        let since = Instant::now();
        indexer.lock().found.put(chat, Waiting { from_seq: 3, to_seq: 9, since });
        indexer.note(1, &[(chat, 11)]);
        assert_eq!(indexer.take(), [chat]);
        let expected = Waiting { from_seq: 3, to_seq: 11, since };
        assert_eq!(indexer.lock().at_work, [(chat, expected)]);
    }

    #[test]
    fn where_too_many_wait_the_partition_is_looked_through() {
        let indexer = Indexer::default();
        let many: Vec<(ChatId, i64)> = (0..=NOTED).map(|_| (ChatId::new(), 1)).collect();
        indexer.note(7, &many);
        assert_eq!(waiting(&indexer).0, NOTED);
        assert_eq!(indexer.lock().to_look.iter().copied().collect::<Vec<_>>(), [7]);
    }
}
