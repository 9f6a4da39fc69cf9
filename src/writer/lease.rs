//! Who should own a partition: a key with a life, renewed while its holder lives.
//!
//! Only a hint, and what makes an idle stale owner notice. A holder counts its leases' life on its
//! monotonic clock, from before the renewal was sent, so it never believes in one for longer than
//! Redis does (but for a jump of Redis's clock, against which only the fence helps).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fred::error::Error;
use fred::interfaces::KeysInterface;
use fred::types::{Expiration, SetOptions};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cluster::registry::Registry;
use crate::log::keys::Keys;
use crate::log::partition::place;
use crate::log::shard::Shard;
use crate::metrics::{Metrics, RedisCall};

/// Looks at the leases this often within a lease's life.
const TICKS_PER_LIFE: u32 = 6;

/// This node's leases on one shard.
pub struct Leases {
    shard: Shard,
    keys: Arc<Keys>,
    registry: Registry,
    name: String,
    /// What stands in a lease of ours: `name/boot`.
    value: String,
    partitions: u16,
    life: Duration,
    metrics: Arc<Metrics>,
    held: Mutex<HashMap<u16, Held>>,
    changed: Notify,
}

#[derive(Clone, Copy)]
struct Held {
    until: Instant,
    /// Another node should have it: to be given up after the present batch.
    leaving: bool,
}

impl Leases {
    pub fn new(
        shard: Shard,
        keys: Arc<Keys>,
        node: (&str, &str),
        (partitions, life): (u16, Duration),
        metrics: Arc<Metrics>,
    ) -> Self {
        let (name, boot) = node;
        Self {
            registry: Registry::new(shard.clone(), Arc::clone(&keys), name, boot, life),
            shard,
            keys,
            name: name.to_owned(),
            value: format!("{name}/{boot}"),
            partitions,
            life,
            metrics,
            held: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Renews, takes and gives up until `stop`; then says that the node leaves, and lets the lane
    /// give up what it still holds.
    pub async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.life / TICKS_PER_LIFE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, shard = self.shard.index, "the leases could not be renewed");
            }
        }
        self.registry.leave().await.ok();
        self.lock().values_mut().for_each(|held| held.leaving = true);
        self.changed.notify_one();
    }

    /// The partitions that the lane may write for now.
    pub fn valid(&self) -> Vec<u16> {
        let now = Instant::now();
        let held = self.lock();
        let mut valid: Vec<u16> = held
            .iter()
            .filter(|(_, held)| held.until > now && !held.leaving)
            .map(|(partition, _)| *partition)
            .collect();
        valid.sort_unstable();
        valid
    }

    /// Waits until the leases may have changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Lets go of a partition whose term has ended, so that the next owner need not wait.
    pub async fn release(&self, partition: u16) {
        let held = self.lock().remove(&partition);
        if held.is_some_and(|held| held.leaving && held.until > Instant::now()) {
            self.shard.client.del::<(), _>(self.keys.lease(partition)).await.ok();
        }
    }

    async fn tick(&self) -> Result<(), Error> {
        let began = Instant::now();
        let renewed = self.renew_all().await;
        self.metrics.redis.took(RedisCall::Leases, began, renewed.is_ok());
        renewed
    }

    async fn renew_all(&self) -> Result<(), Error> {
        self.registry.renew().await?;
        let living = self.registry.living().await?;
        let owners = place(self.partitions, &living);
        let mine = |partition: u16| owners.get(usize::from(partition)) == Some(&self.name.as_str());
        let checks = self.shard.partitions.iter().map(|partition| self.check(*partition, mine));
        join_all(checks).await.into_iter().collect()
    }

    async fn check(&self, partition: u16, mine: impl Fn(u16) -> bool) -> Result<(), Error> {
        let wanted = mine(partition);
        let held = self.lock().get(&partition).copied();
        match held {
            Some(held) if held.leaving => Ok(()),
            Some(_) => self.renew(partition, wanted).await,
            None if wanted => self.acquire(partition).await,
            None => Ok(()),
        }
    }

    async fn renew(&self, partition: u16, wanted: bool) -> Result<(), Error> {
        let sent = Instant::now();
        let key = self.keys.lease(partition);
        let holder: Option<String> = self.shard.client.get(key.as_str()).await?;
        // Between the two commands the lease may expire and become another's; lengthening that
        // one by a life does no harm.
        let renewed = holder.as_deref() == Some(self.value.as_str())
            && self.shard.client.pexpire::<bool, _>(key, self.life_millis(), None).await?;
        let mut all = self.lock();
        match all.get_mut(&partition) {
            Some(held) if renewed => {
                held.until = sent + self.life;
                held.leaving = !wanted;
            }
            _ => {
                all.remove(&partition);
            }
        }
        drop(all);
        if !renewed || !wanted {
            self.changed.notify_one();
        }
        Ok(())
    }

    async fn acquire(&self, partition: u16) -> Result<(), Error> {
        let sent = Instant::now();
        let key = self.keys.lease(partition);
        if !self.set(&key, Some(SetOptions::NX)).await? {
            let holder: Option<String> = self.shard.client.get(key.as_str()).await?;
            // Ours, though we had given up on it; or a former process's of this name, which is gone
            // (if it is not, the fence stops it).
            let ours = holder
                .as_deref()
                .and_then(|holder| holder.rsplit_once('/'))
                .is_some_and(|(name, _)| name == self.name);
            if !ours || !self.set(&key, None).await? {
                return Ok(());
            }
        }
        self.lock().insert(partition, Held { until: sent + self.life, leaving: false });
        self.changed.notify_one();
        Ok(())
    }

    async fn set(&self, key: &str, condition: Option<SetOptions>) -> Result<bool, Error> {
        let life = Some(Expiration::PX(self.life_millis()));
        let answer: Option<String> =
            self.shard.client.set(key, self.value.as_str(), life, condition, false).await?;
        Ok(answer.is_some())
    }

    fn life_millis(&self) -> i64 {
        i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u16, Held>> {
        self.held.lock().expect("nothing panics while the lock is held")
    }
}
