//! Hearing of comings and goings on a shard's channel, and reading anew what may have been missed.
//!
//! One channel a shard, which every node that serves clients listens to: a node hears of every
//! coming and going in the cluster, whether or not anybody here follows that user. That costs about
//! 60 bytes and one look into a hash map for each, and they come up to 250 at a time; a channel for
//! a part of the users would soon be listened to by every node too.
//!
//! Pub/sub loses what is sent while a listener is not connected. So whenever it may have lost
//! something, the users of the shard who are followed here are read again, a round at a time; what
//! was known of them holds until then.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at, sleep};

use super::Presence;
use super::news::News;
use super::roster::{PAUSE, ROUND, Roster};

/// A listener that hears nothing cannot tell silence from a connection that died without a word, so
/// it asks for its channel again this often. That is answered, or fails.
const PROBE: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_secs(1);

/// Listens for ever.
pub(super) async fn listen(presence: Presence, roster: Arc<Roster>) {
    loop {
        let Ok(client) = roster.shard.subscriber() else {
            sleep(RETRY).await;
            continue;
        };
        if let Err(error) = listen_once(&presence, &roster, &client).await {
            tracing::debug!(%error, "listening for presence was interrupted");
        }
        client.quit().await.ok();
        sleep(RETRY).await;
    }
}

async fn listen_once(
    presence: &Presence,
    roster: &Roster,
    client: &SubscriberClient,
) -> Result<(), fred::error::Error> {
    let channel = roster.keys.presence_channel();
    let mut messages = client.message_rx();
    let mut reconnected = client.reconnect_rx();
    client.wait_for_connect().await?;
    client.subscribe(&*channel).await?;
    presence.reread(roster);
    let mut probes = interval_at(Instant::now() + PROBE, PROBE);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => {
                    let news = message.value.as_bytes().map(serde_json::from_slice::<News>);
                    if let Some(Ok(news)) = news {
                        presence.take_news(roster, &news);
                    }
                }
                Err(RecvError::Lagged(_)) => presence.reread(roster),
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = reconnected.recv() => {
                // First listening, then reading: nothing falls between the two.
                client.subscribe(&*channel).await?;
                presence.reread(roster);
                presence.recheck_all();
            }
            _ = probes.tick() => client.subscribe(&*channel).await?,
        }
    }
}

/// Reads anew those who are followed, whenever [`Presence::reread`] asks for it.
pub(super) async fn catch_up(presence: Presence, roster: Arc<Roster>) {
    let index = roster.shard.index;
    loop {
        presence.inner.rereads[index].notified().await;
        let doubted = presence.watch().doubt(|user| presence.inner.shard_of(user) == index);
        for users in doubted.chunks(ROUND) {
            // Absence is believed again only when every node has written its users.
            while !roster.is_settled() || presence.learn(users).await.is_err() {
                sleep(RETRY).await;
            }
            sleep(PAUSE).await;
        }
    }
}
