//! Whom the users of this node block, known to their connections and rooms; and who types unheard.
//!
//! A connection learns it before it enters its first room, and again whenever it changes. A room
//! knows only whether anybody in it blocks anybody: where nobody does, an event costs one look at
//! that flag. A change is heard of over pub/sub, at once, and by a look at Postgres each second, so
//! also while Redis is away. One that a look cannot have seen, since Postgres was away for longer
//! than looks overlap, makes everybody's blocks be read again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::hub::{Hub, lock};
use crate::error::Result;
use crate::model::id::{ChatId, UserId};
use crate::store::{blocks, visibility};

/// What a block does on open sockets is done within 2 s; half of it is left for the rest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far back a look goes: a change is committed some time after its moment.
const LOOK_BACK: Duration = Duration::from_secs(30);

/// Users whose blocks are read at once.
const AT_ONCE: usize = 1_000;

/// Changed users that may wait; beyond it all are looked at, which costs more and loses nothing.
const WAITING: usize = 100_000;

/// Whose blocks or privacy changed and are still to be read.
#[derive(Default)]
pub(super) struct Changed {
    users: HashSet<UserId>,
    /// Nobody knows whose.
    all: bool,
}

/// What the last looks found, so that each change is taken once.
struct Looks {
    seen: HashMap<UserId, OffsetDateTime>,
    last: Instant,
}

impl Hub {
    /// Gives a connection its user's blocks. The user must be known to the hub already: a change
    /// that comes meanwhile is then read again by [`Self::keep_blocks`].
    pub(super) async fn load_blocks(&self, connection: &Connection) -> Result<()> {
        let before = self.inner.changes.load(Ordering::Acquire);
        let user = connection.user;
        let mut found = blocks::of_users(&self.inner.pool, &[user]).await?;
        connection.set_blocks(found.remove(&user).map(Arc::new));
        let quiet = visibility::quiet_typists(&self.inner.pool, &[user]).await?;
        connection.show_typing(quiet.is_empty());
        if self.inner.changes.load(Ordering::Acquire) != before {
            self.visibility_changed(&[user]);
        }
        Ok(())
    }

    /// Notes that the blocks or the privacy of these users changed.
    pub fn visibility_changed(&self, users: &[UserId]) {
        self.inner.changes.fetch_add(1, Ordering::AcqRel);
        let mut changed = self.changed();
        changed.all |= changed.users.len() + users.len() > WAITING;
        if !changed.all {
            changed.users.extend(users);
        }
        drop(changed);
        self.inner.change.notify_one();
    }

    /// Follows changes until `stop`. `on_change` is told of everybody whose blocks or privacy
    /// changed, on whatever node they are connected, once this node's connections know it.
    pub async fn keep_blocks(self, on_change: impl Fn(&[UserId]), stop: CancellationToken) {
        let mut looks = Looks { seen: HashMap::new(), last: Instant::now() };
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_time = tokio::select! {
                () = self.inner.change.notified() => false,
                _ = look.tick() => true,
                () = stop.cancelled() => return,
            };
            if is_time && let Err(error) = self.look(&mut looks).await {
                tracing::debug!(%error, "changed blocks could not be looked for");
            }
            for users in self.take_changed().chunks(AT_ONCE) {
                match self.read_again(users).await {
                    Ok(()) => on_change(users),
                    Err(error) => {
                        tracing::warn!(%error, "changed blocks could not be read");
                        // With the next look, rather than at once.
                        self.changed().users.extend(users);
                    }
                }
            }
        }
    }

    /// Notes what changed since the last look.
    async fn look(&self, looks: &mut Looks) -> Result<()> {
        let started = Instant::now();
        let back = LOOK_BACK.as_secs_f64();
        let found = visibility::changed_within(&self.inner.pool, back).await?;
        if started.duration_since(looks.last) > LOOK_BACK / 2 {
            self.changed().all = true;
        }
        looks.last = started;
        let new = found.iter().filter(|(user, at)| looks.seen.get(user) != Some(at));
        let new: Vec<UserId> = new.map(|(user, _)| *user).collect();
        if !new.is_empty() {
            self.visibility_changed(&new);
        }
        looks.seen = found.into_iter().collect();
        Ok(())
    }

    fn take_changed(&self) -> Vec<UserId> {
        let Changed { mut users, all } = std::mem::take(&mut *self.changed());
        if all {
            users.extend(self.local_users());
        }
        users.into_iter().collect()
    }

    /// Reads the blocks of those of these users who are connected here.
    async fn read_again(&self, users: &[UserId]) -> Result<()> {
        let here = users.iter().map(|user| (*user, self.connections_of(*user)));
        let here: Vec<_> = here.filter(|(_, connections)| !connections.is_empty()).collect();
        if here.is_empty() {
            return Ok(());
        }
        let users: Vec<UserId> = here.iter().map(|(user, _)| *user).collect();
        let mut found = blocks::of_users(&self.inner.pool, &users).await?;
        let quiet = visibility::quiet_typists(&self.inner.pool, &users).await?;
        for (user, connections) in here {
            let blocks = found.remove(&user).map(Arc::new);
            for connection in connections {
                connection.show_typing(!quiet.contains(&user));
                // First the connection, then its rooms: one that it enters meanwhile sees the new.
                if connection.set_blocks(blocks.clone()) {
                    self.screen_rooms(connection.rooms());
                }
            }
        }
        Ok(())
    }

    fn screen_rooms(&self, chats: Vec<ChatId>) {
        for chat in chats {
            if let Some(room) = self.rooms(chat).get_mut(&chat) {
                room.look_for_blocks();
            }
        }
    }

    /// Whether others of a chat may hear that a connection's user is typing. Nobody, where the user
    /// does not want it; not the other one of a direct chat, where the user blocks them. Whether they
    /// block the user is known where they are.
    pub fn may_be_heard(&self, author: &Connection, chat: ChatId) -> bool {
        if !author.shows_typing() {
            return false;
        }
        let Some(blocks) = author.blocks() else { return true };
        let pair = self.rooms(chat).get(&chat).and_then(|room| room.pair);
        !pair.is_some_and(|pair| blocks.contains(&pair.low) || blocks.contains(&pair.high))
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        lock(&self.inner.changed)
    }
}
