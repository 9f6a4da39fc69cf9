//! A lane: reads the `in` streams of the partitions that this node owns on one shard, and carries
//! every batch through deciding, committing and publishing.
//!
//! Order: batch k is published while batch k+1 is read; k+1 is committed only when k is out. So an
//! entry is never overtaken, and at most one batch is committed but not published.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::commit::{Incoming, commit};
use super::dead_letter::set_aside;
use super::decide::Decision;
use super::indexer::Indexer;
use super::lag::Standing;
use super::lease::Leases;
use super::publish::{Entry, publish, repeated};
use super::term::{TakeoverError, Term};
use crate::config;
use crate::log::append::COMMANDS;
use crate::log::command::{pack, unpack};
use crate::log::entry::Refusal;
use crate::log::shard::{Shard, Shards};
use crate::log::stream::{self, Reader, StreamId, is_stale_id};
use crate::metrics::Metrics;
use crate::model::id::ChatId;
use crate::store::{self, Pool};

/// Entries of one stream that a read brings; each packs at most 64 commands.
const READ_COUNT: u64 = 16;

/// How long a read waits; a partition that comes new is read after this at the latest.
const READ_BLOCK: Duration = Duration::from_millis(200);

/// From one read to the next, at the least: at some hundred commands a second a transaction costs
/// far more than a command, so a few are gathered. The first command after silence does not wait.
const READ_INTERVAL: Duration = Duration::from_millis(3);

/// After an error, before the partitions are taken over again.
const RETRY: Duration = Duration::from_millis(200);

/// `in` is trimmed with every so many-th entry of a partition.
const TRIM_EVERY: u64 = 32;

/// Connections that write batches: one for the lane, one for making repeated events.
const CONNECTIONS: u32 = 2;

/// Connections for writers, with plans fit for large batches: the planner takes an unnested array
/// for a few rows and would choose plans that are quadratic in it.
pub fn connect_pool(settings: &config::Postgres) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())?
        .application_name(store::WRITER)
        .options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ]);
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(3))
        .connect_lazy_with(options))
}

pub struct Lane {
    pub shards: Shards,
    pub shard: Shard,
    pub reader: Reader,
    pub leases: Arc<Leases>,
    pub pool: Pool,
    pub settings: config::Log,
    pub node: String,
    /// Told of the chats that are to be indexed.
    pub indexer: Indexer,
    pub metrics: Arc<Metrics>,
    /// For whoever asks how far the lane is behind.
    pub standing: Standing,
}

/// The lane's state between two reads.
#[derive(Default)]
struct State {
    terms: BTreeMap<u16, Term>,
    /// Committed, to be published while the next batch is read.
    outgoing: Vec<Entry>,
    /// When to read again.
    next_read: Option<tokio::time::Instant>,
    /// How many terms the metric counts of this lane.
    noted: u32,
}

/// An `in` entry and its partition; never cut.
struct Work {
    partition: u16,
    id: StreamId,
    commands: Vec<Incoming>,
}

impl Lane {
    /// Runs until `stop` and all terms are given up.
    pub async fn run(self, stop: CancellationToken) {
        let mut state = State::default();
        loop {
            self.adjust_terms(&mut state).await;
            self.note_owned(&mut state);
            if state.terms.is_empty() {
                if stop.is_cancelled() {
                    return self.reader.close().await;
                }
                tokio::select! {
                    () = self.leases.changed() => {}
                    () = tokio::time::sleep(READ_BLOCK) => {}
                }
                continue;
            }
            if !self.step(&mut state).await {
                state.terms.clear();
                state.outgoing.clear();
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// The node has a lane a shard, so each only adds what changed.
    fn note_owned(&self, state: &mut State) {
        let owned = u32::try_from(state.terms.len()).unwrap_or(0);
        self.metrics.partitions_owned.increment(f64::from(owned) - f64::from(state.noted));
        state.noted = owned;
        self.standing.set(state.terms.values().map(|term| (term.partition, term.position)));
    }

    /// Ends terms without a lease, begins those with one.
    async fn adjust_terms(&self, state: &mut State) {
        let valid: BTreeSet<u16> = self.leases.valid().into_iter().collect();
        let ended: Vec<u16> =
            state.terms.keys().filter(|partition| !valid.contains(partition)).copied().collect();
        if !ended.is_empty() {
            // What is committed must be out before another may go on behind it at once.
            let entries = std::mem::take(&mut state.outgoing);
            self.publish_all(state, entries).await;
        }
        for partition in ended {
            state.terms.remove(&partition);
            self.leases.release(partition).await;
        }
        for partition in valid {
            if state.terms.contains_key(&partition) {
                continue;
            }
            let began = Instant::now();
            match Term::begin(&self.pool, &self.shards, partition, &self.node).await {
                Ok(term) => {
                    self.metrics.takeover_seconds.record(began.elapsed());
                    self.metrics.takeovers.increment(1);
                    self.indexer.look_through(partition);
                    state.terms.insert(partition, term);
                }
                Err(TakeoverError::Lost) => self.metrics.fence_rejected_redis.increment(1),
                Err(error) => {
                    tracing::warn!(%error, partition, "a partition could not be taken over");
                    return;
                }
            }
        }
    }

    /// Publishes the last batch, reads the next, commits it. `false` where all terms must end.
    async fn step(&self, state: &mut State) -> bool {
        let entries = std::mem::take(&mut state.outgoing);
        let streams: Vec<(String, StreamId)> = state
            .terms
            .values()
            .map(|term| (self.shards.keys.input(term.partition), term.position))
            .collect();
        let partitions: Vec<u16> = state.terms.keys().copied().collect();
        let pause = state.next_read.take();
        let reading = async {
            if let Some(next_read) = pause {
                tokio::time::sleep_until(next_read).await;
            }
            self.reader.read(&streams, READ_COUNT, READ_BLOCK).await
        };
        let publishing = self.publish_all(state, entries);
        let (read, published) = tokio::join!(reading, publishing);
        let read = match read {
            Ok(read) if published => read,
            Ok(_) => return false,
            Err(error) => {
                tracing::warn!(%error, shard = self.shard.index, "in could not be read");
                return false;
            }
        };
        if read.is_empty() {
            return true;
        }
        state.next_read = Some(tokio::time::Instant::now() + READ_INTERVAL);
        let mut works = Vec::new();
        for (index, entries) in read {
            for entry in entries {
                works.push(self.work(partitions[index], &entry).await);
            }
        }
        self.process(state, works).await
    }

    async fn work(&self, partition: u16, entry: &stream::Entry) -> Work {
        let packed = entry.field(COMMANDS).cloned().unwrap_or_default();
        let mut commands = Vec::new();
        for command in unpack(packed) {
            match command {
                Ok(command) => commands.push(Incoming { partition, command }),
                Err(bad) => {
                    set_aside(&self.shards, &self.metrics, partition, bad.bytes, &bad.reason).await;
                }
            }
        }
        Work { partition, id: entry.id, commands }
    }

    /// Commits in batches of at most the limit; all but the last are published here.
    async fn process(&self, state: &mut State, works: Vec<Work>) -> bool {
        let mut works = works.into_iter().peekable();
        while works.peek().is_some() {
            let mut batch = Vec::new();
            let mut covers = BTreeMap::new();
            while let Some(work) = works.next_if(|next| {
                batch.is_empty() || batch.len() + next.commands.len() <= self.settings.batch_limit
            }) {
                covers.insert(work.partition, work.id);
                batch.extend(work.commands);
            }
            let previous = std::mem::take(&mut state.outgoing);
            if !previous.is_empty() && !self.publish_all(state, previous).await {
                return false;
            }
            if !self.commit_batch(state, batch, &covers).await {
                return false;
            }
        }
        true
    }

    /// Commits a batch and lays its entries ready.
    async fn commit_batch(
        &self,
        state: &mut State,
        batch: Vec<Incoming>,
        covers: &BTreeMap<u16, StreamId>,
    ) -> bool {
        let held = |partition: &u16| state.terms.contains_key(partition);
        // A term can end between two batches of one read.
        let batch: Vec<Incoming> =
            batch.into_iter().filter(|incoming| held(&incoming.partition)).collect();
        let terms: Vec<(i16, i64)> = covers
            .keys()
            .filter_map(|partition| state.terms.get(partition))
            .map(|term| (term.partition.cast_signed(), term.fence))
            .collect();
        let started = Instant::now();
        let decisions = match commit(&self.pool, &terms, &batch).await {
            Ok(decisions) => decisions,
            Err(error) if is_about_data(&error) => {
                tracing::error!(%error, "a batch could not be stored; trying one by one");
                match self.commit_singly(&terms, &batch).await {
                    Some(decisions) => decisions,
                    None => return false,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a batch was not committed, or it is unknown whether");
                self.metrics.commit_failed.increment(1);
                return false;
            }
        };
        if !batch.is_empty() {
            self.metrics.commit_seconds.record(started.elapsed());
            self.metrics.batch_commands.record(count(batch.len()));
        }
        self.lay_ready(state, &batch, decisions, covers).await
    }

    /// One transaction a command: the one that cannot be stored is set aside.
    async fn commit_singly(
        &self,
        terms: &[(i16, i64)],
        batch: &[Incoming],
    ) -> Option<Vec<Decision>> {
        let mut decisions = Vec::with_capacity(batch.len());
        for incoming in batch {
            match commit(&self.pool, terms, std::slice::from_ref(incoming)).await {
                Ok(decided) => decisions.extend(decided),
                Err(error) if is_about_data(&error) => {
                    let mut bytes = BytesMut::new();
                    pack(&mut bytes, &incoming.command);
                    let reason = error.to_string();
                    let partition = incoming.partition;
                    set_aside(&self.shards, &self.metrics, partition, bytes.freeze(), &reason)
                        .await;
                    decisions.push(Decision::Refused(Refusal::Poisoned));
                }
                Err(error) => {
                    tracing::warn!(%error, "a command was not committed");
                    return None;
                }
            }
        }
        Some(decisions)
    }

    /// Turns decisions into the entries that go out next.
    async fn lay_ready(
        &self,
        state: &mut State,
        batch: &[Incoming],
        decisions: Vec<Decision>,
        covers: &BTreeMap<u16, StreamId>,
    ) -> bool {
        for (incoming, decision) in batch.iter().zip(&decisions) {
            if matches!(decision, Decision::FenceLost)
                && state.terms.remove(&incoming.partition).is_some()
            {
                tracing::warn!(partition = incoming.partition, "the fence has moved on");
                self.metrics.fence_rejected_postgres.increment(1);
            }
        }
        let mut entries = BTreeMap::new();
        for (partition, covered) in covers {
            let Some(term) = state.terms.get_mut(partition) else { continue };
            entries.insert(*partition, next_entry(term, *covered));
        }
        let mut again: Vec<(ChatId, i64)> = Vec::new();
        for (incoming, decision) in batch.iter().zip(decisions) {
            self.count(&decision);
            let Some(entry) = entries.get_mut(&incoming.partition) else { continue };
            if let Some((chat, seqs)) = entry.add(&incoming.command, decision) {
                again.extend(seqs.map(|seq| (chat, seq)));
            }
        }
        if !again.is_empty() && !self.add_repeated(&mut entries, batch, &again).await {
            return false;
        }
        state.outgoing = entries.into_values().collect();
        true
    }

    async fn add_repeated(
        &self,
        entries: &mut BTreeMap<u16, Entry>,
        batch: &[Incoming],
        again: &[(ChatId, i64)],
    ) -> bool {
        let partition_of: BTreeMap<ChatId, u16> =
            batch.iter().map(|incoming| (incoming.command.chat, incoming.partition)).collect();
        let events = match repeated(&self.pool, again).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "repeated events could not be read");
                return false;
            }
        };
        for event in events {
            let entry = partition_of.get(&event.chat).and_then(|at| entries.get_mut(at));
            if let Some(entry) = entry {
                event.encode(&mut entry.events);
            }
        }
        true
    }

    /// Publishes; `false` where a term must end, since it is unknown what is out.
    async fn publish_all(&self, state: &mut State, mut entries: Vec<Entry>) -> bool {
        if entries.is_empty() {
            return true;
        }
        let changed: Vec<(u16, Vec<(ChatId, i64)>)> = entries
            .iter_mut()
            .map(|entry| (entry.partition, std::mem::take(&mut entry.changed)))
            .collect();
        let started = Instant::now();
        let mut all_out = true;
        for (partition, _, outcome) in publish(&self.shards, self.settings.out_tail, entries).await
        {
            match outcome {
                Ok(()) => {}
                Err(error) if is_stale_id(&error) => {
                    tracing::warn!(partition, "another owner has published; the term ends");
                    self.metrics.fence_rejected_redis.increment(1);
                    state.terms.remove(&partition);
                }
                Err(error) => {
                    tracing::warn!(%error, partition, "events could not be published");
                    self.metrics.publish_failed.increment(1);
                    all_out = false;
                }
            }
        }
        self.metrics.publish_seconds.record(started.elapsed());
        // Committed they are in any case.
        for (partition, changed) in changed {
            self.indexer.note(partition, &changed);
        }
        all_out
    }

    fn count(&self, decision: &Decision) {
        match decision {
            Decision::New(..) => self.metrics.commands_done.increment(1),
            Decision::Again(..) | Decision::Nothing(_) => {
                self.metrics.commands_repeated.increment(1);
            }
            Decision::Refused(_) => self.metrics.commands_refused.increment(1),
            Decision::FenceLost => {}
        }
    }
}

fn next_entry(term: &mut Term, covers: StreamId) -> Entry {
    let before = std::mem::replace(&mut term.position, covers);
    term.published += 1;
    let fence = u64::try_from(term.fence).expect("fences count upwards from 0");
    Entry {
        partition: term.partition,
        id: StreamId { high: fence, low: term.published },
        covers,
        events: BytesMut::new(),
        answers: BytesMut::new(),
        changed: Vec::new(),
        trim_to: term.published.is_multiple_of(TRIM_EVERY).then_some(before),
    }
}

/// Errors of the data itself, which come again however often it is tried.
fn is_about_data(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            ["22", "23", "42", "P0"].iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
