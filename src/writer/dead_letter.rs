//! Commands that cannot be read or stored: set aside, so that the partition goes on.

use bytes::Bytes;
use fred::interfaces::StreamsInterface;

use crate::log::shard::Shards;
use crate::metrics::Metrics;

/// Dead letters kept of a partition, at the least.
const KEPT: i64 = 10_000;

pub(super) async fn set_aside(
    shards: &Shards,
    metrics: &Metrics,
    partition: u16,
    bytes: Bytes,
    reason: &str,
) {
    metrics.dead_letters.increment(1);
    tracing::error!(partition, reason, size = bytes.len(), "a command was set aside");
    let fields = vec![("c", bytes), ("reason", Bytes::copy_from_slice(reason.as_bytes()))];
    let cap = ("MAXLEN", "~", KEPT);
    let key = shards.keys.dead(partition);
    let added: Result<(), _> = shards.of(partition).client.xadd(key, false, cap, "*", fields).await;
    if let Err(error) = added {
        tracing::error!(%error, partition, "a dead letter could not be kept");
    }
}
