//! Counting in Redis: what has come since the last round trip goes into one call of one script.
//!
//! # Failure
//! A shard that does not answer counts as away for a second; until then, and for what was waiting,
//! nodes count on their own ([`super::share`]).

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fred::types::scripts::Script;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Class, Inner, Left, Refusal, Standing, Subject};
use crate::log::shard::Shard;
use crate::metrics::RedisCall;

/// Charges that wait for a shard; for one more the node counts on its own.
pub(super) const QUEUE: usize = 8_192;
/// Subjects of one call.
const BATCH: usize = 256;
/// What nobody waits for gathers for this long.
const LINGER: Duration = Duration::from_millis(5);
/// How long Redis may take, since requests wait for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long a shard that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(1);

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("take.lua")));

/// Something to be counted.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) class: Class,
    pub(super) subject: Subject,
    /// Used already; below zero it is given back.
    pub(super) owed: i32,
    /// Permits to be leased, beside the one that somebody waits for.
    pub(super) wanted: u32,
    /// Told whether it passes; `None` where Redis did not say.
    pub(super) waiting: Option<oneshot::Sender<Option<Result<Standing, Refusal>>>>,
}

/// Counts on one shard until `stop`.
pub(super) async fn run(
    inner: &Inner,
    shard: &Shard,
    mut queue: mpsc::Receiver<Charge>,
    stop: &CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        if batch.iter().all(|charge| charge.waiting.is_none()) {
            tokio::time::sleep(LINGER).await;
            while batch.len() < BATCH
                && let Ok(charge) = queue.try_recv()
            {
                batch.push(charge);
            }
        }
        count(inner, shard, std::mem::take(&mut batch)).await;
    }
}

async fn count(inner: &Inner, shard: &Shard, batch: Vec<Charge>) {
    let (mut keys, mut numbers) = (Vec::with_capacity(batch.len()), Vec::new());
    for charge in &batch {
        let quotas = inner.quotas(charge.class);
        let key = &charge.subject.to_string();
        keys.push(inner.shards.keys.limit(shard.index, charge.class.name(), key));
        let wanted = charge.wanted + u32::from(charge.waiting.is_some());
        numbers.extend([i64::from(charge.owed), i64::from(wanted)]);
        numbers.push(i64::try_from(quotas.len()).unwrap_or(0));
        for quota in quotas {
            numbers.extend([micros(quota.interval()), micros(quota.period)]);
        }
    }
    inner.metrics.limit_charges.increment(batch.len() as u64);
    let asking = TAKE.evalsha_with_reload::<Vec<i64>, _, _>(&shard.client, keys, numbers);
    let began = Instant::now();
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    inner.metrics.redis.took(RedisCall::Limits, began, matches!(asked, Ok(Ok(_))));
    let reply = match asked {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return lose(inner, shard, batch, &error.to_string()),
        Err(_) => return lose(inner, shard, batch, "no answer in time"),
    };
    inner.away()[shard.index] = None;
    let (mut reply, now) = (reply.into_iter(), Instant::now());
    for charge in batch {
        let granted = small(reply.next());
        let mut standing = Standing::default();
        for (left, _) in standing.0.iter_mut().zip(inner.quotas(charge.class)) {
            let count = small(reply.next());
            let next = Duration::from_millis(small(reply.next()).into());
            *left = Some(Left { count, next });
        }
        settle(inner, charge, granted, standing, now);
    }
}

fn settle(inner: &Inner, charge: Charge, granted: u32, standing: Standing, now: Instant) {
    let waits = charge.waiting.is_some();
    let permits = granted.saturating_sub(u32::from(waits));
    if let Some(tab) = inner.tabs(charge.subject).get_mut(&(charge.class, charge.subject)) {
        tab.settled(charge.owed.max(0).unsigned_abs(), permits, standing, now);
    }
    if let Some(waiting) = charge.waiting {
        let passes = granted > 0;
        let retry_after = standing.dry_for().unwrap_or(Duration::from_secs(1));
        let outcome = if passes { Ok(standing) } else { Err(Refusal { retry_after, standing }) };
        // Who waited may have gone; then one was counted for nothing.
        let _ = waiting.send(Some(outcome));
    }
}

/// Redis did not count these: who waits is told, so as to be counted here.
fn lose(inner: &Inner, shard: &Shard, batch: Vec<Charge>, error: &str) {
    let now = Instant::now();
    let before = inner.away()[shard.index].replace(now + AWAY);
    if before.is_none() {
        tracing::warn!(error, shard = shard.index, "each node counts limits alone for now");
    }
    for charge in batch {
        if charge.owed > 0 {
            let (of, quotas) = ((charge.class, charge.subject), inner.quotas(charge.class));
            // It has passed already; what is left of the share is less by it.
            inner.shares.take(of, quotas, inner.nodes(), now).ok();
        }
        if let Some(tab) = inner.tabs(charge.subject).get_mut(&(charge.class, charge.subject)) {
            tab.lost(charge.owed.max(0).unsigned_abs());
        }
        if let Some(waiting) = charge.waiting {
            let _ = waiting.send(None);
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn small(number: Option<i64>) -> u32 {
    u32::try_from(number.unwrap_or(0).max(0)).unwrap_or(u32::MAX)
}
