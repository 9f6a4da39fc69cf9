//! Filling gaps from Postgres, for the chats that this node serves.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use super::room::{Missing, Next, Room};
use crate::error::{Error, Result};
use crate::log::entry::Published;
use crate::log::tail::Follower;
use crate::model::id::{ChatId, UserId};
use crate::protocol::push::{self, Notice, ResyncRequired};
use crate::store::{chats, events, members};

/// Events of one chat that are read at once.
const PAGE: i64 = 500;

/// Beyond so many missed events of a chat, its connections are told to `sync`: what changed is
/// cheaper than what happened.
const MOST: i64 = 5_000;

/// Chats that are filled at the same time.
const AT_ONCE: usize = 4;

const RETRY: Duration = Duration::from_millis(500);

impl Hub {
    /// Catches up whatever has to, until `stop`.
    pub async fn catch_up(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.inner.work.notified() => {}
                () = stop.cancelled() => return,
            }
            while self.catch_up_once().await {}
        }
    }

    /// Takes what is to do; `false` where that was nothing.
    async fn catch_up_once(&self) -> bool {
        let (partitions, rooms): (Vec<u16>, Vec<ChatId>) = {
            let mut to_do = self.inner.to_do();
            let some = to_do.rooms.len().min(AT_ONCE);
            (to_do.partitions.drain().collect(), to_do.rooms.drain(..some).collect())
        };
        let any = !partitions.is_empty() || !rooms.is_empty();
        for partition in partitions {
            if let Err(error) = self.compare(partition).await {
                tracing::warn!(%error, partition, "what was missed could not be read");
                tokio::time::sleep(RETRY).await;
                self.inner.to_do().partitions.insert(partition);
            }
        }
        let filled = join_all(rooms.iter().map(|chat| self.fill(*chat))).await;
        for (chat, outcome) in rooms.into_iter().zip(filled) {
            if let Err(error) = outcome {
                tracing::warn!(%error, %chat, "a gap could not be filled");
                tokio::time::sleep(RETRY).await;
                self.inner.to_do().rooms.push_back(chat);
            }
        }
        any
    }

    /// Compares a partition's rooms and its users' memberships with Postgres.
    async fn compare(&self, partition: u16) -> Result<()> {
        let rooms = self.rooms_of(partition);
        for (chat, last_seq) in chats::last_seqs(&self.inner.pool, &rooms).await? {
            self.expect(chat, last_seq);
        }
        let users = self.local_users();
        let partition_id = partition.cast_signed();
        let seats = members::in_partition(&self.inner.pool, partition_id, &users).await?;
        let mut entered: Vec<(ChatId, i64)> = Vec::new();
        for (user, chat, joined_seq) in seats {
            let connections = self.connections_of(user);
            if connections.iter().any(|connection| connection.misses(chat)) {
                entered.push((chat, joined_seq));
            }
        }
        entered.sort_unstable();
        entered.dedup();
        let mut connection = self.inner.pool.acquire().await?;
        for (chat, joined_seq) in entered {
            for event in events::load(&mut connection, chat, &[joined_seq]).await? {
                self.event(partition, Published::of(&event));
            }
            for (chat, last_seq) in chats::last_seqs(&mut *connection, &[chat]).await? {
                self.expect(chat, last_seq);
            }
        }
        Ok(())
    }

    async fn fill(&self, chat: ChatId) -> Result<()> {
        let began = Instant::now();
        self.inner.metrics.catch_ups.increment(1);
        let filled = self.fill_all(chat).await;
        self.inner.metrics.catch_up_seconds.record(began.elapsed());
        filled
    }

    async fn fill_all(&self, chat: ChatId) -> Result<()> {
        loop {
            let missing = self.rooms(chat).get(&chat).map_or(Missing::Nothing, Room::missing);
            if missing == Missing::Nothing {
                return Ok(());
            }
            let newest = chats::last_seqs(&self.inner.pool, &[chat]).await?;
            let Some((_, newest)) = newest.first().copied() else { return Ok(()) };
            match missing {
                Missing::Behind(from) if newest - from > MOST => {
                    self.resync(chat);
                    self.settle(chat, missing, newest);
                    self.let_go_of_strangers(chat).await?;
                }
                Missing::Behind(from) if newest > from => {
                    let seqs: Vec<i64> = (from + 1..=newest.min(from + PAGE)).collect();
                    let mut connection = self.inner.pool.acquire().await?;
                    let events = events::load(&mut connection, chat, &seqs).await?;
                    self.inner.metrics.catch_up_events.increment(events.len() as u64);
                    let events: Vec<Published> = events.iter().map(Published::of).collect();
                    if events.first().is_none_or(|first| first.seq != from + 1) {
                        return Err(Error::internal(format!("event {} is missing", from + 1)));
                    }
                    self.in_room(chat, |room| {
                        room.fill(&events);
                        Next::Nothing
                    });
                }
                missing => self.settle(chat, missing, newest),
            }
        }
    }

    /// Lets go whoever left with an event that was passed over.
    async fn let_go_of_strangers(&self, chat: ChatId) -> Result<()> {
        let here: Vec<UserId> = match self.rooms(chat).get(&chat) {
            Some(room) => room.connections().iter().map(|connection| connection.user).collect(),
            None => return Ok(()),
        };
        let present = members::present(&self.inner.pool, chat, &here).await?;
        let gone: HashSet<UserId> =
            here.into_iter().filter(|user| !present.contains(user)).collect();
        self.in_room(chat, |room| {
            room.keep(chat, |user| !gone.contains(&user));
            Next::Nothing
        });
        Ok(())
    }

    /// Tells a chat's connections to fetch what changed by themselves.
    fn resync(&self, chat: ChatId) {
        let bytes = push::frame(Notice::ResyncRequired, ResyncRequired { chat_ids: &[chat] });
        if let Some(room) = self.rooms(chat).get(&chat) {
            for connection in room.connections() {
                self.inner.metrics.resyncs.increment(1);
                connection.outbox.answer(bytes.clone());
            }
        }
    }
}
