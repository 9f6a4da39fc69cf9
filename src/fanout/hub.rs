//! The hub: which connections of this node are in which chat.
//!
//! Locks are short and never held over an await. Order: a room's shard, then a connection's chats;
//! the users' lock is never held with another.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

use super::blocks::Changed;
use super::connection::Connection;
use super::room::{Missing, Next, Room};
use crate::error::Result;
use crate::log::entry::Published;
use crate::log::partition::Partitioner;
use crate::log::tail::Follower;
use crate::metrics::{Metrics, PostgresCall};
use crate::model::chat::{ChatKind, Pair};
use crate::model::event::{EventKind, Founding, Joining};
use crate::model::id::{ChatId, SessionId, UserId};
use crate::protocol::push;
use crate::store::{Pool, members};

/// Locks of the rooms; more of them, less waiting.
const SHARDS: usize = 64;

/// Outboxes that are looked into at a time, about.
const SAMPLED: usize = 1_000;

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
    pub(super) changed: Mutex<Changed>,
    pub(super) change: Notify,
    /// Counts changes of anybody's blocks or privacy.
    pub(super) changes: AtomicU64,
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
            changed: Mutex::default(),
            change: Notify::new(),
            changes: AtomicU64::new(0),
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
        let began = Instant::now();
        let attached = match self.load_blocks(connection).await {
            Ok(()) => self.enter_all(connection).await,
            Err(error) => Err(error),
        };
        self.metrics().postgres.note(PostgresCall::Attach, began, &attached);
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
            let partition = self.inner.partitioner.of(chat);
            let room = rooms
                .entry(chat)
                .or_insert_with(|| Room::unplaced(partition).between(standing.pair()));
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

    /// Hands something ephemeral to these users' connections.
    pub fn tell(&self, users: &[UserId], name: &str, bytes: &bytes::Bytes) {
        for connection in users.iter().flat_map(|user| self.connections_of(*user)) {
            if !connection.outbox.push_ephemeral(name, bytes.clone()) {
                self.inner.metrics.ephemera_dropped.increment(1);
            }
        }
    }

    /// Whether anybody here has opened the chat beside this one.
    pub fn is_open(&self, chat: ChatId, author: UserId) -> bool {
        let rooms = self.rooms(chat);
        let Some(room) = rooms.get(&chat) else { return false };
        let mut others = room.connections().iter().filter(|connection| connection.user != author);
        others.any(|connection| connection.has_opened(chat))
    }

    /// Hands something ephemeral to whoever has opened the chat, but for its author and those who
    /// block the author. Returns how many got it, and how many read too slowly for it.
    pub fn ephemeral(
        &self,
        chat: ChatId,
        author: UserId,
        name: &str,
        bytes: &bytes::Bytes,
    ) -> (u64, u64) {
        let (mut pushed, mut dropped) = (0, 0);
        let rooms = self.rooms(chat);
        let Some(room) = rooms.get(&chat) else { return (0, 0) };
        for connection in room.connections() {
            let wanted = connection.user != author
                && connection.has_opened(chat)
                && !connection.blocks().is_some_and(|blocks| blocks.contains(&author));
            if wanted && connection.outbox.push_ephemeral(name, bytes.clone()) {
                pushed += 1;
            } else if wanted {
                dropped += 1;
            }
        }
        self.inner.metrics.ephemera_dropped.increment(dropped);
        (pushed, dropped)
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
        self.in_room(chat, |room| room.expect(newest));
    }

    /// Places a room that still misses what it missed when `seq` was read.
    pub(super) fn settle(&self, chat: ChatId, missing: Missing, seq: i64) {
        self.in_room(chat, |room| {
            if room.missing() == missing { room.settle(seq) } else { Next::Nothing }
        });
    }

    /// Does something in a room, if there is one, and then what follows from it; `false` where
    /// there is none.
    pub(super) fn in_room(&self, chat: ChatId, work: impl FnOnce(&mut Room) -> Next) -> bool {
        let mut rooms = self.rooms(chat);
        let Some(room) = rooms.get_mut(&chat) else { return false };
        let next = work(room);
        let (arrivals, delivered) = (room.take_arrivals(), room.take_delivered());
        if room.is_empty() {
            rooms.remove(&chat);
        }
        drop(rooms);
        if delivered > 0 {
            self.inner.metrics.deliveries.increment(delivered);
        }
        self.act(chat, next);
        for event in arrivals {
            self.arrive(&event);
        }
        true
    }

    fn act(&self, chat: ChatId, next: Next) {
        if next == Next::Fill {
            self.inner.to_do().rooms.push_back(chat);
            self.inner.work.notify_one();
        }
    }

    /// A new chat: its first members' connections enter, each told in its own form.
    fn found(&self, event: &Published) {
        let Ok(founding) = serde_json::from_slice::<Founding>(&event.detail) else {
            tracing::error!(chat = %event.chat, "a chat's founding cannot be read");
            return;
        };
        let pair = match founding.seats.as_slice() {
            [one, other] if founding.chat.kind == ChatKind::Direct => {
                Pair::of(one.user, other.user)
            }
            _ => None,
        };
        for seat in &founding.seats {
            let connections = self.connections_of(seat.user);
            if connections.is_empty() {
                continue;
            }
            let bytes = push::chat_created(&founding.seen_by(seat));
            for connection in connections {
                self.enter_at(event, pair, &connection, &bytes);
            }
        }
    }

    /// Somebody joined: their connections enter, told with the chat beside it.
    fn arrive(&self, event: &Published) {
        let Ok(joining) = serde_json::from_slice::<Joining>(&event.detail) else {
            tracing::error!(chat = %event.chat, "a joining cannot be read");
            return;
        };
        let user = joining.user;
        let connections = self.connections_of(user);
        if connections.is_empty() {
            return;
        }
        let bytes = push::joined(user, event.actor, &joining.seen_at(event.seq));
        for connection in connections {
            self.enter_at(event, None, &connection, &bytes);
        }
    }

    /// Lets a connection into a room at an event, which it gets as `bytes`. One that is there
    /// already knows the chat from Postgres.
    fn enter_at(
        &self,
        event: &Published,
        pair: Option<Pair>,
        connection: &Arc<Connection>,
        bytes: &bytes::Bytes,
    ) {
        let chat = event.chat;
        let mut rooms = self.rooms(chat);
        let partition = self.inner.partitioner.of(chat);
        let room =
            rooms.entry(chat).or_insert_with(|| Room::at(partition, event.seq).between(pair));
        if connection.is_in(chat) {
            return;
        }
        let next = room.rewind(chat, event.seq);
        if room.enter(chat, connection) {
            connection.outbox.push(event.kind.name(), chat, event.seq, bytes);
            self.inner.metrics.deliveries.increment(1);
            if room.is_behind(event.seq) {
                // It is read once more for somebody who came in further back.
                connection.outbox.skip_to(chat, event.seq);
            }
        }
        drop(rooms);
        self.act(chat, next);
    }

    pub(super) fn rooms(&self, chat: ChatId) -> MutexGuard<'_, HashMap<ChatId, Room>> {
        let shard = usize::from(chat.0.as_bytes()[15]) % SHARDS;
        lock(&self.inner.rooms[shard])
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// How many chats have a room here.
    pub fn room_count(&self) -> usize {
        self.inner.rooms.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Notes what waits in some of the outboxes, others each time.
    pub fn sample_outboxes(&self) {
        let connections = self.connections();
        let step = connections.len().div_ceil(SAMPLED).max(1);
        let first = rand::random_range(0..step);
        for connection in connections.iter().skip(first).step_by(step) {
            let (frames, bytes) = connection.outbox.depth();
            self.inner.metrics.outbox_frames.record(small(frames));
            self.inner.metrics.outbox_bytes.record(small(bytes));
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Arc<Connection>>>> {
        lock(&self.inner.users)
    }
}

impl Follower for Hub {
    fn event(&self, _partition: u16, event: Published) {
        let (chat, kind) = (event.chat, event.kind);
        if changes_audience(kind) {
            self.inner.memberships.fetch_add(1, Ordering::AcqRel);
        }
        match kind {
            EventKind::ChatCreated => {
                self.found(&event);
                self.in_room(chat, |room| room.accept(event));
            }
            // Where there is a room, it says when the joining's turn has come.
            EventKind::MemberJoined => {
                let joining = event.clone();
                if !self.in_room(chat, |room| room.accept(event)) {
                    self.arrive(&joining);
                }
            }
            _ => {
                self.in_room(chat, |room| room.accept(event));
            }
        }
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

fn small(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

const fn changes_audience(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ChatCreated
            | EventKind::ChatDeleted
            | EventKind::MemberJoined
            | EventKind::MemberLeft
    )
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while the lock is held")
}
