//! The edge's way into the log: commands to `in`, in the order in which they were handed over.
//!
//! One appender a shard packs all that has come since its last round trip into one entry a
//! partition, so batches grow with the load by themselves. What an appender could not write, it
//! answers `unavailable`: it never repeats a write by itself, since a repetition could overtake a
//! later command of the same sender.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fred::interfaces::StreamsInterface;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::command::{Action, AnswerTo, Command, pack};
use super::entry::Answer;
use super::partition::Partitioner;
use super::pending::{Done, Pending};
use super::shard::{Shard, Shards};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::id::{ChatId, CommandId, UserId};

/// Commands that wait for a shard's appender; one more is answered `unavailable`.
const QUEUE: usize = 8_192;

/// Commands and bytes of one entry, at the most. Owners never cut an entry.
const ENTRY_COMMANDS: usize = 64;
const ENTRY_BYTES: usize = 256 * 1024;

/// The field of an `in` entry.
pub const COMMANDS: &str = "c";

/// How often the length of `in` is looked at, and waiters' deadlines.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(1);
const EXPIRE_INTERVAL: Duration = Duration::from_millis(250);

/// What somebody wants done.
pub struct Request {
    pub id: CommandId,
    pub chat: ChatId,
    pub actor: UserId,
    pub action: Action,
}

/// The log as an edge sees it. Cheap to clone.
#[derive(Clone)]
pub struct ChatLog {
    inner: Arc<Inner>,
}

struct Inner {
    /// Drawn at start: answers to a former process of the same name are not ours.
    node: u64,
    partitioner: Partitioner,
    shards: Shards,
    pending: Pending,
    queues: Vec<mpsc::Sender<Queued>>,
    /// By partition: `in` is too long, because its owner cannot keep up or cannot commit.
    backlogged: Vec<AtomicBool>,
    in_limit: u64,
    metrics: Arc<Metrics>,
}

struct Queued {
    partition: u16,
    request: u64,
    command: Bytes,
}

/// The appenders' ends of the queues, to be run by [`ChatLog::run`].
pub struct Appenders(Vec<mpsc::Receiver<Queued>>);

impl ChatLog {
    pub fn new(
        shards: Shards,
        settings: &crate::config::Log,
        metrics: Arc<Metrics>,
    ) -> (Self, Appenders) {
        let (queues, receivers) = shards.all().iter().map(|_| mpsc::channel(QUEUE)).unzip();
        let inner = Inner {
            node: rand::random(),
            partitioner: Partitioner::new(settings.partitions),
            pending: Pending::new(settings.answer_timeout),
            backlogged: (0..settings.partitions).map(|_| AtomicBool::new(false)).collect(),
            in_limit: settings.in_limit,
            queues,
            shards,
            metrics,
        };
        (Self { inner: Arc::new(inner) }, Appenders(receivers))
    }

    /// Runs the appenders until `stop`; what is queued by then is still written.
    pub async fn run(self, appenders: Appenders, stop: CancellationToken) {
        let appending = self.inner.shards.all().iter().zip(appenders.0).map(|(shard, queue)| {
            append_all(Arc::clone(&self.inner), shard.clone(), queue, stop.clone())
        });
        tokio::select! {
            _ = join_all(appending) => {}
            () = watch_backlog(&self.inner) => {}
            () = expire(&self.inner) => {}
        }
    }

    pub fn partition_of(&self, chat: ChatId) -> u16 {
        self.inner.partitioner.of(chat)
    }

    pub fn node(&self) -> u64 {
        self.inner.node
    }

    pub fn pending(&self) -> &Pending {
        &self.inner.pending
    }

    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Partitions whose commands are refused for now, since their `in` is too long.
    pub fn backlogged(&self) -> usize {
        self.inner.backlogged.iter().filter(|flag| flag.load(Ordering::Relaxed)).count()
    }

    pub fn shards(&self) -> &Shards {
        &self.inner.shards
    }

    /// Hands a command over. Calls in order are written in order. `done` is called once, here
    /// already where the command cannot be taken.
    pub fn submit(&self, request: Request, done: Done) {
        let partition = self.partition_of(request.chat);
        if self.inner.backlogged[usize::from(partition)].load(Ordering::Relaxed) {
            done(Err(Error::Unavailable { part: "the log", retry_after: Duration::from_secs(1) }));
            return;
        }
        let number = match self.inner.pending.add(partition, done) {
            Ok(number) => number,
            Err(done) => return done(Err(Error::unavailable("the log"))),
        };
        let command = Command {
            id: request.id,
            chat: request.chat,
            actor: request.actor,
            answer_to: AnswerTo { node: self.inner.node, request: number },
            action: request.action,
        };
        let mut packed = BytesMut::new();
        pack(&mut packed, &command);
        let queued = Queued { partition, request: number, command: packed.freeze() };
        let queue = &self.inner.queues[self.inner.shards.of(partition).index];
        if queue.try_send(queued).is_err() {
            self.inner.pending.answer(number, Err(Error::unavailable("the log")));
        }
    }

    /// Hands a command over and waits for what it came to; a refusal is an error here.
    pub async fn call(&self, request: Request) -> Result<Answer, Error> {
        let (tell, told) = oneshot::channel();
        self.submit(request, Box::new(move |answer| drop(tell.send(answer))));
        match told.await.unwrap_or(Err(Error::Timeout))? {
            Answer::Refused(refusal) => Err(refusal.into_error()),
            answer => Ok(answer),
        }
    }
}

async fn append_all(
    inner: Arc<Inner>,
    shard: Shard,
    mut queue: mpsc::Receiver<Queued>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batch, 1_024) => if taken == 0 { return },
            // Closing lets the queue run dry; then `recv_many` takes nothing.
            () = stop.cancelled(), if !queue.is_closed() => queue.close(),
        }
        let started = Instant::now();
        inner.metrics.append_commands.record(count(batch.len()));
        let entries = entries_of(batch.drain(..));
        let appends = entries.into_iter().map(|entry| append(&inner, &shard, entry));
        join_all(appends).await;
        inner.metrics.append_seconds.record(started.elapsed());
    }
}

#[derive(Default)]
struct NewEntry {
    partition: u16,
    requests: Vec<u64>,
    packed: BytesMut,
}

/// Entries for all partitions, each in the order of its commands.
fn entries_of(batch: impl Iterator<Item = Queued>) -> Vec<NewEntry> {
    let mut entries: Vec<NewEntry> = Vec::new();
    let mut open: BTreeMap<u16, usize> = BTreeMap::new();
    for queued in batch {
        let fits = |entry: &NewEntry| {
            entry.requests.len() < ENTRY_COMMANDS
                && entry.packed.len() + queued.command.len() <= ENTRY_BYTES
        };
        let index = match open.get(&queued.partition) {
            Some(index) if fits(&entries[*index]) => *index,
            _ => {
                entries.push(NewEntry { partition: queued.partition, ..NewEntry::default() });
                open.insert(queued.partition, entries.len() - 1);
                entries.len() - 1
            }
        };
        entries[index].requests.push(queued.request);
        entries[index].packed.extend_from_slice(&queued.command);
    }
    entries
}

async fn append(inner: &Inner, shard: &Shard, entry: NewEntry) {
    let key = inner.shards.keys.input(entry.partition);
    let field = (COMMANDS, entry.packed.freeze());
    let added: Result<(), _> = shard.client.xadd(key, false, None, "*", vec![field]).await;
    if let Err(error) = added {
        tracing::warn!(%error, partition = entry.partition, "commands could not be appended");
        inner.metrics.append_failed.increment(entry.requests.len() as u64);
        for request in entry.requests {
            inner.pending.answer(request, Err(Error::unavailable("Redis")));
        }
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Keeps an eye on the length of every `in`, while somebody waits.
async fn watch_backlog(inner: &Inner) {
    loop {
        tokio::time::sleep(BACKLOG_INTERVAL).await;
        let busy = inner.pending.count() > 0;
        for shard in inner.shards.all() {
            for partition in shard.partitions.iter() {
                let flag = &inner.backlogged[usize::from(*partition)];
                if !busy && !flag.load(Ordering::Relaxed) {
                    continue;
                }
                let key = inner.shards.keys.input(*partition);
                // Redis away: nothing can be appended anyway, and that is answered elsewhere.
                if let Ok(length) = shard.client.xlen::<u64, _>(key).await {
                    flag.store(length > inner.in_limit, Ordering::Relaxed);
                }
            }
        }
    }
}

async fn expire(inner: &Inner) {
    loop {
        tokio::time::sleep(EXPIRE_INTERVAL).await;
        inner.pending.expire(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_commands_stay_in_order_over_full_entries() {
        let queued = |n: u64| Queued {
            partition: u16::try_from(n % 2).unwrap(),
            request: n,
            command: Bytes::from(vec![0; 10]),
        };
        let entries = entries_of((0..300).map(queued));
        for partition in 0..2u16 {
            let mine = entries.iter().filter(|entry| entry.partition == partition);
            let requests: Vec<u64> = mine.flat_map(|entry| entry.requests.clone()).collect();
            let sent = (0..300).filter(|n| n % 2 == u64::from(partition));
            assert_eq!(requests, sent.collect::<Vec<_>>());
        }
        assert!(entries.iter().all(|entry| entry.requests.len() <= ENTRY_COMMANDS));
    }
}
