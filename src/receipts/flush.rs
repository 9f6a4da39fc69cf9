//! Storing marks: once a second the owner of a partition takes those that moved to Postgres.
//!
//! Beside the writer's lanes, on a connection of its own; a mark whose row a writer holds at that
//! moment is left for the next round. Who owns a partition is a hint here: two who store the same
//! marks do no harm.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::marks::{Due, Marks};
use crate::error::Result;
use crate::log::partition::Partitioner;
use crate::log::shard::Shards;
use crate::metrics::Metrics;
use crate::model::time::Timestamp;
use crate::store::{Pool, receipts};

/// What the loss of Redis with all its data costs, at the most.
const EVERY: Duration = Duration::from_secs(1);
/// Marks of a partition and statement, and statements of a partition in one round: the rest waits
/// for the next one.
const BATCH: usize = 500;
const BATCHES: usize = 40;
/// How long the last round may take.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// What stores marks; of a node that owns partitions.
pub struct Flush {
    pool: Pool,
    marks: Marks,
    metrics: Arc<Metrics>,
}

impl Flush {
    /// `pool` has one connection, which nobody else uses.
    pub fn new(
        pool: Pool,
        shards: Shards,
        partitioner: Partitioner,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { pool, marks: Marks::new(shards, partitioner), metrics }
    }

    /// Stores what moves in the partitions that `owned` names, until `stop`; then once more, since
    /// the next owner may come late, or Redis end too.
    pub async fn run(self, owned: impl Fn() -> Vec<u16>, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut partitions = Vec::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            partitions = owned();
            self.round(&partitions).await;
        }
        if timeout(END_TIMEOUT, self.round(&partitions)).await.is_err() {
            tracing::warn!("the last marks were not stored in time; the next owner stores them");
        }
    }

    async fn round(&self, partitions: &[u16]) {
        let lags = join_all(partitions.iter().map(|partition| self.store_all(*partition))).await;
        let lag = lags.into_iter().max().unwrap_or_default();
        self.metrics.receipts_lag_seconds.set(lag.as_secs_f64());
    }

    /// Stores what has moved in a partition. Returns for how long the first of it had waited.
    async fn store_all(&self, partition: u16) -> Duration {
        let mut lag = Duration::ZERO;
        for _ in 0..BATCHES {
            let due = match self.marks.due(partition, BATCH).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(%error, partition, "marks could not be read");
                    break;
                }
            };
            lag = lag.max(due.lag);
            let count = due.marks.len();
            if count == 0 {
                break;
            }
            match self.store(partition, due).await {
                Ok(stored) if stored == BATCH => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, partition, "marks could not be stored");
                    break;
                }
            }
        }
        lag
    }

    /// Stores a batch; returns how many of it are stored.
    async fn store(&self, partition: u16, due: Due) -> Result<usize> {
        let marks: Vec<receipts::Mark> = due
            .marks
            .iter()
            .map(|((chat, user), moved)| receipts::Mark {
                chat: *chat,
                user: *user,
                seq: moved.seq,
                count: moved.count,
                at: Timestamp::from_unix_millis(moved.at).to_datetime(),
            })
            .collect();
        let done = receipts::advance(&self.pool, &marks).await?;
        self.metrics.receipts_flushed.increment(done.len() as u64);
        let stored: Vec<_> =
            done.iter().map(|place| (due.marks[*place].0, due.marks[*place].1.seq)).collect();
        if let Err(error) = self.marks.settle(partition, &stored).await {
            // They are stored once more, which does nothing.
            tracing::debug!(%error, partition, "stored marks could not be noted");
            return Ok(0);
        }
        Ok(done.len())
    }
}
