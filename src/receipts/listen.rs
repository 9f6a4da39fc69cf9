//! Hearing of marks: one channel a shard, which every node that serves clients listens to.
//!
//! What is said while a listener is not connected is lost. Nobody depends on it: `joinChat` and the
//! lists say how marks stand, and a later mark makes up for an earlier one.

use std::time::Duration;

use fred::clients::SubscriberClient;
use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use futures_util::future::join_all;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at, sleep};

use super::Inner;
use super::marks::News;
use crate::log::shard::Shard;

/// As for presence: a listener that hears nothing asks for its channel again, to tell silence from a
/// connection that died without a word.
const PROBE: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_secs(1);

/// Listens on all shards for ever.
pub(super) async fn listen_all(inner: &Inner) {
    let shards = inner.marks.shards.all();
    join_all(shards.iter().map(|shard| listen(inner, shard))).await;
}

async fn listen(inner: &Inner, shard: &Shard) {
    loop {
        if let Ok(client) = shard.subscriber() {
            if let Err(error) = listen_once(inner, &client).await {
                tracing::debug!(%error, "listening for marks was interrupted");
            }
            client.quit().await.ok();
        }
        sleep(RETRY).await;
    }
}

async fn listen_once(inner: &Inner, client: &SubscriberClient) -> Result<(), Error> {
    let channel = inner.marks.shards.keys.receipts_channel();
    let mut messages = client.message_rx();
    let mut reconnected = client.reconnect_rx();
    client.wait_for_connect().await?;
    client.subscribe(&*channel).await?;
    let mut probes = interval_at(Instant::now() + PROBE, PROBE);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => {
                    let text = message.value.as_bytes().and_then(|it| std::str::from_utf8(it).ok());
                    for news in text.into_iter().flat_map(str::lines) {
                        if let Ok(news) = news.parse::<News>() {
                            inner.tell.note(&news);
                        }
                    }
                }
                Err(RecvError::Lagged(missed)) => inner.metrics.receipts_dropped.increment(missed),
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = reconnected.recv() => client.subscribe(&*channel).await?,
            _ = probes.tick() => client.subscribe(&*channel).await?,
        }
    }
}
