//! The hub: which connections of this node are in which chat.
//!
//! Locks are short and never held over an await. Order: a room's shard, then a connection's chats;
//! the users' lock is never held with another.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::connection::Connection;
use super::room::{Missing, Next, Room};
use crate::error::Result;
use crate::log::entry::Published;
use crate::log::partition::Partitioner;
use crate::log::tail::Follower;
use crate::metrics::Metrics;
use crate::model::event::{EventKind, Founding};
use crate::model::id::{ChatId, SessionId, UserId};
use crate::protocol::push;
use crate::store::{Pool, members};

/// Locks of the rooms; more of them, less waiting.
const SHARDS: usize = 64;

/// All connections and rooms of a node. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pool: Pool,
    pub(super) metrics: Arc<Metrics>,
    partitioner: Partitioner,
    rooms: Vec<Mutex<HashMap<ChatId, Room>>>,
    users: Mutex<HashMap<UserId, Vec<Arc<Connection>>>>,
    /// Counts events that changed which chats somebody is in.
    memberships: AtomicU64,
    pub(super) to_do: Mutex<ToDo>,
    pub(super) work: Notify,
}

/// What catching up has to do. Bounded by the rooms and partitions of the node.
#[derive(Default)]
pub(super) struct ToDo {
    pub(super) rooms: VecDeque<ChatId>,
    pub(super) partitions: HashSet<u16>,
}

impl Hub {
    pub fn new(pool: Pool, partitioner: Partitioner, metrics: Arc<Metrics>) -> Self {
        let inner = Inner {
            pool,
            metrics,
            partitioner,
            rooms: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: Mutex::default(),
            memberships: AtomicU64::new(0),
            to_do: Mutex::default(),
            work: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lets a connection into the rooms of all chats that its user is in. When this returns, it
    /// gets every event from there on.
    ///
    /// Rooms are entered first and placed afterwards: an event that comes meanwhile waits in the
    /// new room, and one that came before is in Postgres when the room's place is read.
    pub async fn attach(&self, connection: &Arc<Connection>) -> Result<()> {
        self.users().entry(connection.user).or_default().push(Arc::clone(connection));
        let attached = self.enter_all(connection).await;
        match attached {
            Ok(()) => connection.attached(),
            Err(_) => self.detach(connection),
        }
        attached
    }

    async fn enter_all(&self, connection: &Arc<Connection>) -> Result<()> {
        let before = self.inner.memberships.load(Ordering::Acquire);
        let standings = members::chats_of(&self.inner.pool, connection.user).await?;
        let mut unplaced = false;
        for standing in &standings {
            let chat = standing.chat_id;
            let mut rooms = self.rooms(chat);
            let room = rooms
                .entry(chat)
                .or_insert_with(|| Room::unplaced(self.inner.partitioner.of(chat)));
            room.enter(chat, connection);
            // Also where another connection made the room just now: what that one reads as the
            // room's place may be further on than what this one syncs to, so this one must not be
            // ready before the room has a place.
            unplaced |= room.missing() == Missing::Place;
        }
        if !unplaced && self.inner.memberships.load(Ordering::Acquire) == before {
            return Ok(());
        }
        let now = members::chats_of(&self.inner.pool, connection.user).await?;
        for standing in &now {
            self.settle(standing.chat_id, Missing::Place, standing.last_seq);
        }
        let still_in: HashSet<ChatId> = now.iter().map(|standing| standing.chat_id).collect();
        for standing in standings.iter().filter(|was| !still_in.contains(&was.chat_id)) {
            self.leave_room(standing.chat_id, connection);
            connection.leave(standing.chat_id);
        }
        Ok(())
    }

    /// Takes a connection out of everything.
    pub fn detach(&self, connection: &Arc<Connection>) {
        for chat in connection.go() {
            self.leave_room(chat, connection);
        }
        let mut users = self.users();
        if let Some(connections) = users.get_mut(&connection.user) {
            connections.retain(|known| known.id != connection.id);
            if connections.is_empty() {
                users.remove(&connection.user);
            }
        }
    }

    fn leave_room(&self, chat: ChatId, connection: &Connection) {
        let mut rooms = self.rooms(chat);
        if let Some(room) = rooms.get_mut(&chat) {
            room.leave(connection);
            if room.is_empty() {
                rooms.remove(&chat);
            }
        }
    }

    /// The connections of a user on this node.
    pub fn connections_of(&self, user: UserId) -> Vec<Arc<Connection>> {
        self.users().get(&user).cloned().unwrap_or_default()
    }

    /// All connections of this node.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.users().values().flatten().cloned().collect()
    }

    /// The users that are connected here.
    pub(super) fn local_users(&self) -> Vec<UserId> {
        self.users().keys().copied().collect()
    }

    /// Tells an ended session's connections so and closes them.
    pub fn end_session(&self, user: UserId, session: SessionId, bytes: &bytes::Bytes) {
        for connection in self.connections_of(user) {
            if connection.session == session {
                connection.outbox.revoke(bytes.clone());
            }
        }
    }

    /// Hands something ephemeral to whoever has opened the chat, but for its author.
    pub fn ephemeral(&self, chat: ChatId, author: UserId, name: &str, bytes: &bytes::Bytes) {
        let rooms = self.rooms(chat);
        let Some(room) = rooms.get(&chat) else { return };
        for connection in room.connections() {
            let wanted = connection.user != author && connection.has_opened(chat);
            if wanted && !connection.outbox.push_ephemeral(name, bytes.clone()) {
                self.inner.metrics.ephemera_dropped.increment(1);
            }
        }
    }

    /// The rooms of a partition.
    pub(super) fn rooms_of(&self, partition: u16) -> Vec<ChatId> {
        let mut chats = Vec::new();
        for shard in &self.inner.rooms {
            let rooms = lock(shard);
            let here = rooms.iter().filter(|(_, room)| room.partition == partition);
            chats.extend(here.map(|(chat, _)| *chat));
        }
        chats
    }

    /// Notes that a chat has events up to `newest`.
    pub(super) fn expect(&self, chat: ChatId, newest: i64) {
        let next = self.rooms(chat).get_mut(&chat).map(|room| room.expect(newest));
        self.act(chat, next);
    }

    /// Places a room that still misses what it missed when `seq` was read.
    pub(super) fn settle(&self, chat: ChatId, missing: Missing, seq: i64) {
        let next = self
            .rooms(chat)
            .get_mut(&chat)
            .filter(|room| room.missing() == missing)
            .map(|room| room.settle(seq));
        self.act(chat, next);
    }

    fn act(&self, chat: ChatId, next: Option<Next>) {
        if next == Some(Next::Fill) {
            self.inner.to_do().rooms.push_back(chat);
            self.inner.work.notify_one();
        }
    }

    /// A new chat: its first members' connections enter, each told in its own form.
    fn found(&self, event: &Published) {
        self.inner.memberships.fetch_add(1, Ordering::AcqRel);
        let Ok(founding) = serde_json::from_slice::<Founding>(&event.detail) else {
            tracing::error!(chat = %event.chat, "a chat's founding cannot be read");
            return;
        };
        for seat in &founding.seats {
            let connections = self.connections_of(seat.user);
            if connections.is_empty() {
                continue;
            }
            let bytes = push::chat_created(&founding.seen_by(seat));
            for connection in connections {
                self.enter_at(event, &connection, &bytes);
            }
        }
    }

    /// Lets a connection into a room at an event, which it gets as `bytes`. One that is there
    /// already knows the chat from Postgres.
    fn enter_at(&self, event: &Published, connection: &Arc<Connection>, bytes: &bytes::Bytes) {
        let chat = event.chat;
        let mut rooms = self.rooms(chat);
        let partition = self.inner.partitioner.of(chat);
        let room = rooms.entry(chat).or_insert_with(|| Room::at(partition, event.seq));
        if connection.is_in(chat) {
            return;
        }
        let next = room.rewind(chat, event.seq);
        if room.enter(chat, connection) {
            connection.outbox.push(event.kind.name(), chat, event.seq, bytes);
        }
        drop(rooms);
        self.act(chat, Some(next));
    }

    pub(super) fn rooms(&self, chat: ChatId) -> MutexGuard<'_, HashMap<ChatId, Room>> {
        let shard = usize::from(chat.0.as_bytes()[15]) % SHARDS;
        lock(&self.inner.rooms[shard])
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Arc<Connection>>>> {
        lock(&self.inner.users)
    }
}

impl Follower for Hub {
    fn event(&self, _partition: u16, event: Published) {
        if event.kind == EventKind::ChatCreated {
            self.found(&event);
        }
        let chat = event.chat;
        let next = self.rooms(chat).get_mut(&chat).map(|room| room.accept(event));
        self.act(chat, next);
    }

    fn missed(&self, partition: u16) {
        self.inner.metrics.missed.increment(1);
        self.inner.to_do().partitions.insert(partition);
        self.inner.work.notify_one();
    }
}

impl Inner {
    pub(super) fn to_do(&self) -> MutexGuard<'_, ToDo> {
        lock(&self.to_do)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while the lock is held")
}
