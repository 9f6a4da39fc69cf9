//! A connection, as the hub knows it: whose it is, what it is in, what waits for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwapOption;

use super::outbox::Outbox;
use crate::model::id::{ChatId, ConnectionId, SessionId, UserId};

pub struct Connection {
    pub id: ConnectionId,
    pub user: UserId,
    pub session: SessionId,
    pub outbox: Outbox,
    chats: Mutex<Chats>,
    /// Whom the user blocks; nothing where that is nobody, as for nearly all.
    blocks: ArcSwapOption<HashSet<UserId>>,
    /// Whether others may hear that the user is typing.
    shows_typing: AtomicBool,
}

#[derive(Default)]
struct Chats {
    /// The rooms that the connection is in.
    rooms: HashSet<ChatId>,
    /// Those that it has opened: they bring ephemera too.
    opened: HashSet<ChatId>,
    /// Set when it is in the rooms of all its user's chats.
    attached: bool,
    /// Set when the connection has left: it must not enter a room any more.
    gone: bool,
}

impl Connection {
    pub fn new(user: UserId, session: SessionId, outbox_bytes: usize) -> Self {
        Self {
            id: ConnectionId::new(),
            user,
            session,
            outbox: Outbox::new(outbox_bytes),
            chats: Mutex::default(),
            blocks: ArcSwapOption::empty(),
            shows_typing: AtomicBool::new(true),
        }
    }

    pub fn is_in(&self, chat: ChatId) -> bool {
        self.lock().rooms.contains(&chat)
    }

    pub fn has_opened(&self, chat: ChatId) -> bool {
        self.lock().opened.contains(&chat)
    }

    /// Whom the user blocks; none where that is nobody.
    pub fn blocks(&self) -> Option<Arc<HashSet<UserId>>> {
        self.blocks.load_full()
    }

    /// `false` where it is so already.
    pub(super) fn set_blocks(&self, blocks: Option<Arc<HashSet<UserId>>>) -> bool {
        let is_new = *self.blocks.load() != blocks;
        if is_new {
            self.blocks.store(blocks);
        }
        is_new
    }

    pub(super) fn shows_typing(&self) -> bool {
        self.shows_typing.load(Ordering::Relaxed)
    }

    pub(super) fn show_typing(&self, shows: bool) {
        self.shows_typing.store(shows, Ordering::Relaxed);
    }

    /// The rooms that it is in.
    pub(super) fn rooms(&self) -> Vec<ChatId> {
        self.lock().rooms.iter().copied().collect()
    }

    /// Whether it should have heard of a chat that it is not in: one that is still being attached
    /// hears of it from Postgres.
    pub(super) fn misses(&self, chat: ChatId) -> bool {
        let chats = self.lock();
        chats.attached && !chats.gone && !chats.rooms.contains(&chat)
    }

    pub(super) fn attached(&self) {
        self.lock().attached = true;
    }

    /// Opens a chat that the connection is in.
    pub fn open(&self, chat: ChatId) {
        self.lock().opened.insert(chat);
    }

    pub fn close(&self, chat: ChatId) {
        self.lock().opened.remove(&chat);
    }

    /// Notes a room; `false` where it is known already, or the connection has gone. Called with the
    /// room's lock held, never the other way round.
    pub(super) fn enter(&self, chat: ChatId) -> bool {
        let mut chats = self.lock();
        !chats.gone && chats.rooms.insert(chat)
    }

    pub(super) fn leave(&self, chat: ChatId) {
        let mut chats = self.lock();
        chats.rooms.remove(&chat);
        chats.opened.remove(&chat);
    }

    /// Lets no room in any more and returns those it was in.
    pub(super) fn go(&self) -> HashSet<ChatId> {
        let mut chats = self.lock();
        chats.gone = true;
        chats.opened = HashSet::new();
        std::mem::take(&mut chats.rooms)
    }

    fn lock(&self) -> MutexGuard<'_, Chats> {
        self.chats.lock().expect("nothing panics while the lock is held")
    }
}
