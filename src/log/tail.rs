//! Following the `out` streams: every event and answer, once, in each partition's order.
//!
//! A follower that missed something knows it: an id's `n` jumps, or a takeover's marker names
//! another tail than the one read last. It is told so ([`Follower::missed`]) and catches up from
//! Postgres; what comes behind the gap is handed on all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::error::Error;
use tokio_util::sync::CancellationToken;

use super::append::ChatLog;
use super::entry::{ANSWERS, EVENTS, Published, TAIL_SEEN, answers, events};
use super::shard::Shard;
use super::stream::{Entry, Reader, StreamId, newest};

/// Entries of one stream that a read brings, at the most.
const COUNT: u64 = 64;
const BLOCK: Duration = Duration::from_secs(5);

/// After a read that brought something, so that under load a few events come at once: each read
/// costs wake-ups here and in Redis, whatever it brings. The first event after silence does not
/// wait.
const PAUSE: Duration = Duration::from_millis(2);

const RETRY: Duration = Duration::from_millis(100);

/// Whoever hands events on. Called in order, from one task a shard; must not block.
pub trait Follower: Send + Sync + 'static {
    fn event(&self, partition: u16, event: Published);
    /// Events of the partition were missed.
    fn missed(&self, partition: u16);
}

/// Follows all partitions of a shard until `stop`. `ready` is called once the positions are known:
/// from then on nothing is missed unseen.
pub async fn follow(
    log: ChatLog,
    shard: Shard,
    follower: Arc<impl Follower>,
    ready: impl FnOnce(),
    stop: CancellationToken,
) {
    let reader = match shard.reader().await {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, shard = shard.index, "no reader can be made");
            return;
        }
    };
    let following = async {
        let mut positions = loop {
            match positions(&log, &shard).await {
                Ok(positions) => break positions,
                Err(error) => {
                    tracing::warn!(%error, shard = shard.index, "the out streams cannot be read");
                    tokio::time::sleep(RETRY * 5).await;
                }
            }
        };
        ready();
        loop {
            if let Err(error) = follow_once(&log, &shard, &reader, &*follower, &mut positions).await
            {
                tracing::warn!(%error, shard = shard.index, "following was interrupted");
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    tokio::select! {
        () = following => {}
        () = stop.cancelled() => {}
    }
    reader.close().await;
}

async fn positions(log: &ChatLog, shard: &Shard) -> Result<Vec<(String, StreamId)>, Error> {
    let mut positions = Vec::with_capacity(shard.partitions.len());
    for partition in shard.partitions.iter() {
        let key = log.shards().keys.output(*partition);
        let newest = newest(&shard.client, &key).await?;
        positions.push((key, newest.map_or(StreamId::START, |entry| entry.id)));
    }
    Ok(positions)
}

/// Reads until that fails.
async fn follow_once(
    log: &ChatLog,
    shard: &Shard,
    reader: &Reader,
    follower: &impl Follower,
    positions: &mut [(String, StreamId)],
) -> Result<(), Error> {
    loop {
        let read = reader.read(positions, COUNT, BLOCK).await?;
        let any = !read.is_empty();
        for (index, entries) in read {
            let partition = shard.partitions[index];
            let started = Instant::now();
            for entry in entries {
                if !follows(positions[index].1, &entry) {
                    tracing::info!(partition, id = %entry.id, "events were missed");
                    // Answers were missed too, and commands may be gone with the stream.
                    log.pending().fail_partition(partition);
                    follower.missed(partition);
                }
                positions[index].1 = entry.id;
                hand_on(log, partition, &entry, follower);
            }
            log.metrics().fan_out_seconds.record(started.elapsed());
        }
        if any {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn hand_on(log: &ChatLog, partition: u16, entry: &Entry, follower: &impl Follower) {
    if let Some(packed) = entry.field(ANSWERS) {
        for (request, answer) in answers(packed.clone(), log.node()) {
            if let Some(waited) = log.pending().answer(request, Ok(answer)) {
                log.metrics().command_seconds.record(waited);
            }
        }
    }
    if let Some(packed) = entry.field(EVENTS) {
        let events = events(packed.clone());
        log.metrics().events.increment(events.len() as u64);
        for event in events {
            follower.event(partition, event);
        }
    }
}

/// Whether `entry` comes right behind `last`, with nothing between.
fn follows(last: StreamId, entry: &Entry) -> bool {
    if entry.id.low == 0 {
        entry.id_field(TAIL_SEEN) == Some(last)
    } else {
        entry.id == StreamId { high: last.high, low: last.low + 1 }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn gaps_are_seen_and_orderly_takeovers_are_not_taken_for_one() {
        let id = |text: &str| text.parse::<StreamId>().unwrap();
        let entry = |text: &str| Entry::new(id(text), vec![]);
        let marker = |text: &str, seen: &'static str| {
            Entry::new(id(text), vec![(TAIL_SEEN.into(), Bytes::from(seen))])
        };
        assert!(follows(id("3-1"), &entry("3-2")));
        assert!(follows(id("3-2"), &marker("4-0", "3-2")));
        assert!(follows(id("4-0"), &entry("4-1")));
        assert!(follows(id("0-0"), &marker("1-0", "0-0")), "a new cluster");
        assert!(!follows(id("3-1"), &entry("3-3")), "trimmed before it was read");
        assert!(!follows(id("3-2"), &entry("4-1")), "the marker itself is missing");
        assert!(!follows(id("3-2"), &marker("4-0", "3-1")), "another tail");
        assert!(!follows(id("3-2"), &marker("4-0", "0-0")), "Redis came back empty");
    }
}
