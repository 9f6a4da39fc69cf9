//! When users were last seen, on its way to Postgres: in batches, and never back.
//!
//! What is on its way is lost with the process, at most [`EVERY`] and one statement. While Postgres
//! is away it waits, up to [`MOST`] users; beyond, the moments of further users are dropped and
//! counted. A later coming or going makes up for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::id::UserId;
use crate::model::time::Timestamp;
use crate::store::{self, Pool};

/// Between two statements, at the least, and after one that failed.
const EVERY: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(1);

/// Users of a statement.
const BATCH: usize = 500;

/// Users who may wait.
const MOST: usize = 100_000;

/// How long the end may take.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct LastSeen {
    pool: Pool,
    metrics: Arc<Metrics>,
    waiting: Arc<Mutex<HashMap<UserId, i64>>>,
}

impl LastSeen {
    pub(super) fn new(pool: Pool, metrics: Arc<Metrics>) -> Self {
        Self { pool, metrics, waiting: Arc::default() }
    }

    /// A user was seen at `at` (ms).
    pub(super) fn note(&self, user: UserId, at: i64) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST && !waiting.contains_key(&user) {
            drop(waiting);
            self.metrics.last_seen_dropped.increment(1);
            return;
        }
        let known = waiting.entry(user).or_insert(at);
        *known = at.max(*known);
    }

    /// When these users were last seen, in ms.
    pub(super) async fn of(&self, users: &[UserId]) -> Result<HashMap<UserId, i64>> {
        let rows = store::last_seen::of(&self.pool, users).await?;
        let mut found: HashMap<UserId, i64> =
            rows.into_iter().map(|(user, at)| (user, Timestamp::from(at).unix_millis())).collect();
        let waiting = self.waiting();
        for user in users {
            if let Some(at) = waiting.get(user) {
                let known = found.entry(*user).or_insert(*at);
                *known = (*at).max(*known);
            }
        }
        Ok(found)
    }

    /// Stores what waits, for as long as the node runs.
    pub(super) async fn run(&self) {
        loop {
            let pause = match self.store_some().await {
                Ok(_) => EVERY,
                Err(error) => {
                    tracing::debug!(%error, "who was seen could not be stored");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Stores all that waits, as far as there is time.
    pub(super) async fn end(&self) {
        let storing = async { while let Ok(true) = self.store_some().await {} };
        if tokio::time::timeout(END_TIMEOUT, storing).await.is_err() {
            tracing::warn!("who was seen last could not be stored in time");
        }
    }

    /// Stores a batch; `true` where there was one.
    async fn store_some(&self) -> Result<bool> {
        let batch: Vec<(UserId, i64)> = {
            let waiting = self.waiting();
            waiting.iter().take(BATCH).map(|(user, at)| (*user, *at)).collect()
        };
        if batch.is_empty() {
            return Ok(false);
        }
        let moments: Vec<_> = batch
            .iter()
            .map(|(user, at)| (*user, Timestamp::from_unix_millis(*at).to_datetime()))
            .collect();
        store::last_seen::advance(&self.pool, &moments).await?;
        let mut waiting = self.waiting();
        for (user, at) in batch {
            // Unless they were seen again meanwhile.
            if waiting.get(&user) == Some(&at) {
                waiting.remove(&user);
            }
        }
        Ok(true)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<UserId, i64>> {
        self.waiting.lock().expect("nothing panics while the lock is held")
    }
}
