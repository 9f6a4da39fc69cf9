//! What goes through Redis pub/sub alone and may be lost: typing, and the news of ended sessions and
//! of changed people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::log::partition::Partitioner;
use crate::log::shard::{Shard, Shards};
use crate::metrics::RedisCall;
use crate::model::id::{ChatId, SessionId, UserId};
use crate::model::session::SessionEnded;
use crate::model::user::PersonChanged;
use crate::protocol::push::{self, Notice, SessionRevoked, Typing, UserUpdated};

/// How long Redis may take to carry the news of ended sessions.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Signal {
    Typing { chat: ChatId, user: UserId, typing: bool },
    SessionEnded(SessionEnded),
    PersonChanged(PersonChanged),
}

/// Users whom one signal names, at the most: a signal is small, whomever somebody talks with.
const NAMED: usize = 500;

/// Sends and hands on ephemera. Cheap to clone.
#[derive(Clone)]
pub struct Ephemera {
    shards: Shards,
    partitioner: Arc<Partitioner>,
    hub: Hub,
    /// Told of every ended session, wherever it ended.
    on_session_ended: Arc<dyn Fn(SessionId) + Send + Sync>,
}

impl Ephemera {
    pub fn new(
        shards: Shards,
        partitioner: Partitioner,
        hub: Hub,
        on_session_ended: impl Fn(SessionId) + Send + Sync + 'static,
    ) -> Self {
        let on_session_ended = Arc::new(on_session_ended);
        Self { shards, partitioner: Arc::new(partitioner), hub, on_session_ended }
    }

    /// Tells those who have the chat open that somebody is typing.
    pub async fn typing(&self, chat: ChatId, user: UserId, typing: bool) {
        let shard = self.shards.of(self.partitioner.of(chat));
        self.publish(shard, &Signal::Typing { chat, user, typing }).await;
    }

    /// Closes an ended session's sockets on this node. Doing it twice does no harm.
    pub fn end_session(&self, ended: SessionEnded) {
        self.hand_on(&Signal::SessionEnded(ended));
    }

    /// Tells all nodes that sessions have ended. Over every shard: one may be away, and hearing it
    /// twice does no harm. Gives up after a while, since every node looks for itself too.
    pub async fn announce_ended(&self, sessions: &[SessionEnded]) {
        let each = sessions.iter().flat_map(|ended| {
            let telling = async |shard| self.publish(shard, &Signal::SessionEnded(*ended)).await;
            self.shards.all().iter().map(telling)
        });
        tokio::time::timeout(ANNOUNCE_TIMEOUT, join_all(each)).await.ok();
    }

    /// Tells all nodes that a person has changed.
    pub async fn person_changed(&self, changed: PersonChanged) {
        match changed {
            // Over one shard: heard twice, clients would be told twice.
            PersonChanged::Profile { user, to } => {
                for to in to.chunks(NAMED) {
                    let news = PersonChanged::Profile { user: user.clone(), to: to.to_vec() };
                    self.publish_once(&Signal::PersonChanged(news)).await;
                }
            }
            news @ PersonChanged::Visibility { .. } => {
                let signal = Signal::PersonChanged(news);
                self.hand_on(&signal);
                for shard in self.shards.all() {
                    self.publish(shard, &signal).await;
                }
            }
        }
    }

    /// Over the first shard that takes it.
    async fn publish_once(&self, signal: &Signal) {
        for shard in self.shards.all() {
            if self.publish(shard, signal).await {
                return;
            }
        }
    }

    /// `false` where it was not sent.
    async fn publish(&self, shard: &Shard, signal: &Signal) -> bool {
        let bytes = serde_json::to_vec(signal).expect("a signal is plain data");
        let channel = self.shards.keys.live_channel();
        let began = Instant::now();
        let published: Result<i64, _> =
            shard.client.publish(channel, bytes::Bytes::from(bytes)).await;
        self.hub.metrics().redis.took(RedisCall::Signals, began, published.is_ok());
        if let Err(error) = published {
            tracing::debug!(%error, "a signal was not sent");
            return false;
        }
        true
    }

    /// Listens on a shard until `stop`. `ready` is called once it does.
    pub async fn listen(self, shard: Shard, ready: impl FnOnce(), stop: CancellationToken) {
        tokio::select! {
            () = self.listen_for_ever(&shard, ready) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn listen_for_ever(&self, shard: &Shard, ready: impl FnOnce()) {
        let mut ready = Some(ready);
        loop {
            let Ok(client) = shard.subscriber() else {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            // Subscribes again after every reconnection.
            let keeper = client.manage_subscriptions();
            let mut messages = client.message_rx();
            client.wait_for_connect().await.ok();
            if client.subscribe(self.shards.keys.live_channel()).await.is_err() {
                keeper.abort();
                client.quit().await.ok();
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            if let Some(ready) = ready.take() {
                ready();
            }
            loop {
                match messages.recv().await {
                    Ok(message) => {
                        let signal = message.value.as_bytes().map(serde_json::from_slice::<Signal>);
                        if let Some(Ok(signal)) = signal {
                            self.hand_on(&signal);
                        }
                    }
                    // Ephemera may be lost; sessions are checked against Postgres too.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
            keeper.abort();
        }
    }

    fn hand_on(&self, signal: &Signal) {
        match signal {
            &Signal::Typing { chat, user, typing } => {
                let data = Typing { chat_id: chat, user_id: user, typing };
                self.hub.ephemeral(
                    chat,
                    user,
                    Notice::Typing.name(),
                    &push::frame(Notice::Typing, data),
                );
            }
            &Signal::SessionEnded(SessionEnded { session_id, user_id, reason }) => {
                let bytes =
                    push::frame(Notice::SessionRevoked, SessionRevoked { session_id, reason });
                (self.on_session_ended)(session_id);
                self.hub.end_session(user_id, session_id, &bytes);
            }
            Signal::PersonChanged(PersonChanged::Profile { user, to }) => {
                let bytes = push::frame(Notice::UserUpdated, UserUpdated { user });
                self.hub.tell(to, Notice::UserUpdated.name(), &bytes);
            }
            Signal::PersonChanged(PersonChanged::Visibility { users }) => {
                self.hub.visibility_changed(users);
            }
        }
    }
}
