//! How far a lane is behind its partitions' `in`, for whoever asks.
//!
//! Both ends of what an entry has waited are on Redis's clock: the id that it made, and its time now.
//! Where Redis does not answer, nobody knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::StreamsInterface;
use futures_util::future::try_join_all;

use crate::log::keys::Keys;
use crate::log::shard::Shard;
use crate::log::stream::{StreamId, clock, oldest_behind};

/// How long Redis may take to say how things stand.
const PATIENCE: Duration = Duration::from_secs(1);

/// Up to where a lane has read each partition that it owns. Cheap to clone.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<BTreeMap<u16, StreamId>>>);

impl Standing {
    /// Notes the lane's partitions and positions.
    pub(super) fn set(&self, terms: impl Iterator<Item = (u16, StreamId)>) {
        let mut positions = self.lock();
        positions.clear();
        positions.extend(terms);
    }

    pub fn owned(&self) -> Vec<u16> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, StreamId>> {
        self.0.lock().expect("nothing panics while the lock is held")
    }
}

/// A lane, as one looks at it.
pub struct Lag {
    pub shard: Shard,
    pub keys: Arc<Keys>,
    pub standing: Standing,
}

/// How a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    pub partition: u16,
    /// Of `in`, where any of them waits: some that are done are still among them.
    pub entries: u64,
    /// How long the oldest that waits has done so.
    pub waited: Duration,
}

impl Lag {
    /// How each partition of the lane stands; none where Redis does not answer.
    pub async fn look(&self) -> Vec<Behind> {
        match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(Ok(all)) => all,
            _ => Vec::new(),
        }
    }

    async fn ask(&self) -> Result<Vec<Behind>, Error> {
        let positions = self.standing.lock().clone();
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let asking =
            positions.into_iter().map(|(partition, position)| self.of(partition, position));
        // The clock last: nothing is younger than no time.
        let waiting = try_join_all(asking).await?;
        let now = clock(&self.shard.client).await?;
        let behind = |(partition, waiting): (u16, Option<(StreamId, u64)>)| match waiting {
            Some((oldest, entries)) => {
                let waited = Duration::from_millis(now.saturating_sub(oldest.high));
                Behind { partition, entries, waited }
            }
            None => Behind { partition, entries: 0, waited: Duration::ZERO },
        };
        Ok(waiting.into_iter().map(behind).collect())
    }

    /// The oldest entry that waits, and the length of the stream.
    async fn of(
        &self,
        partition: u16,
        position: StreamId,
    ) -> Result<(u16, Option<(StreamId, u64)>), Error> {
        let (client, key) = (&self.shard.client, self.keys.input(partition));
        let Some(oldest) = oldest_behind(client, &key, position).await? else {
            return Ok((partition, None));
        };
        Ok((partition, Some((oldest, client.xlen(key).await?))))
    }
}
