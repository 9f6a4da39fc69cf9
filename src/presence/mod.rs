//! Who is online, and when they were last: for those who may know, and only where they ask.
//!
//! ```text
//!  socket opens ─> roster ─> here ──(rounds)──> Redis: hash of the user ──┐ pub/sub
//!  socket closes ─┘            └─> last seen ──(batches)──> Postgres      │
//!                                                                         v
//!  subscribePresence ─> watch <── read once from Redis and Postgres     listen
//!                         └─> presenceChanged, at most ten times a second ─> outbox
//! ```
//!
//! A user is online while a process that lives has written that it has a socket of theirs
//! ([`roster`]). Processes live by their heartbeat ([`view`]), so a dead node's users go offline
//! together, `PRESENCE_LIFE_MS` later. A user who stays costs nothing: no timer, nothing in Redis.
//!
//! Presence is of the third road: it may be lost, and is shed first. Nothing of it stands in the
//! way of a message. Redis has connections of its own for it, pushes go out in small portions, and
//! an outbox that is half full takes none; the socket is told later what holds then.
//!
//! # Invariants
//! - A user with an open socket at a living process is never told to be offline. What Redis may
//!   have lost is `unavailable`, not offline.
//! - Who may not see somebody gets what they would get of nobody
//!   ([`UserPresence::hidden`]); where it cannot be found out, they may not.
//!
//! # Failure
//! Without Redis who asks is told `unavailable`, profiles come without presence, and who follows
//! somebody keeps what they were told last. When it is back, all is written and read again, at a
//! bounded pace. Without Postgres nobody new is shown to anybody.

mod here;
mod last_seen;
mod listen;
mod news;
mod recheck;
mod roster;
mod view;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{join_all, try_join, try_join_all};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use last_seen::LastSeen;
use news::News;
use recheck::Waiting;
use roster::{ROUND, Roster};
use watch::{Standing, Watch};

use crate::error::{Error, Result};
use crate::fanout::connection::Connection;
use crate::log::shard::Shards;
use crate::metrics::Metrics;
use crate::model::id::UserId;
use crate::model::presence::UserPresence;
use crate::model::user::User;
use crate::store::{self, Pool};

pub use watch::MOST_FOLLOWED;

/// Between two rounds of pushes: what changes within it is one push.
const COALESCE: Duration = Duration::from_millis(100);

/// Users whose followers are told without a break.
const PORTION: usize = 100;

/// Until sockets that had no room are tried again.
const BEHIND: Duration = Duration::from_secs(1);

/// What profiles and chats wait for presence, before they come without.
const SHOWING: Duration = Duration::from_millis(500);

/// How long Postgres may take to say who may see whom: less than the 2 s in which a live
/// subscription heeds a block. What takes longer counts as failed.
const ASKING: Duration = Duration::from_millis(1_500);

/// How often one user is read again, where there is news of them meanwhile.
const TRIES: usize = 4;

/// A handle; clones are cheap and mean the same.
#[derive(Clone)]
pub struct Presence {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    metrics: Arc<Metrics>,
    /// One a Redis shard; a user's is found by a hash of their id.
    rosters: Vec<Arc<Roster>>,
    last_seen: LastSeen,
    watch: Mutex<Watch>,
    /// There may be something to push.
    deliver: Notify,
    /// What is followed of a shard is to be read again.
    rereads: Vec<Notify>,
    waiting: Mutex<Waiting>,
    /// Somebody waits to be looked at again.
    recheck: Notify,
}

/// A socket that counts, as long as this lives.
pub struct Attendance {
    presence: Presence,
    connection: Arc<Connection>,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let (presence, user) = (&self.presence, self.connection.user);
        presence.inner.roster(user).leave(user);
        let ended = presence.watch().leave(&self.connection);
        presence.count_subscriptions(-to_f64(ended));
    }
}

impl Presence {
    /// # Errors
    /// Settings of Redis that make no client.
    pub fn new(
        pool: Pool,
        shards: &Shards,
        node: &str,
        life: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let boot = Uuid::now_v7();
        let last_seen = LastSeen::new(pool.clone(), Arc::clone(&metrics));
        let mut rosters = Vec::with_capacity(shards.all().len());
        for shard in shards.all() {
            let place = (shard.clone(), Arc::clone(&shards.keys));
            let for_all = (Arc::clone(&metrics), last_seen.clone());
            rosters.push(Arc::new(Roster::new(place, node, boot, life, for_all)?));
        }
        let inner = Inner {
            pool,
            metrics,
            last_seen,
            watch: Mutex::default(),
            deliver: Notify::new(),
            rereads: rosters.iter().map(|_| Notify::new()).collect(),
            rosters,
            waiting: Mutex::default(),
            recheck: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Counts a socket as there, until what this returns is dropped.
    pub fn attend(&self, connection: &Arc<Connection>) -> Attendance {
        self.inner.roster(connection.user).enter(connection.user);
        Attendance { presence: self.clone(), connection: Arc::clone(connection) }
    }

    /// Writes who comes and goes until `stop`, and then that everybody has gone.
    pub async fn run(self, stop: CancellationToken) {
        let inner = &self.inner;
        let begin = inner.rosters.iter().map(|roster| roster.begin());
        join_all(begin).await;
        let this = &self;
        let writing = inner.rosters.iter().map(|roster| {
            let index = roster.shard.index;
            let on_death = move |process: &str, at| {
                this.watch().process_died(process, at, |user| inner.shard_of(user) == index);
                inner.deliver.notify_one();
            };
            roster.run(stop.clone(), on_death)
        });
        tokio::select! {
            _ = join_all(writing) => {}
            () = inner.last_seen.run() => {}
        }
        inner.last_seen.end().await;
    }

    /// Hears of comings and goings everywhere, and tells those who follow them, until `stop`.
    pub async fn follow_all(self, stop: CancellationToken) {
        let rosters = &self.inner.rosters;
        let listening =
            rosters.iter().map(|roster| listen::listen(self.clone(), Arc::clone(roster)));
        let catching_up =
            rosters.iter().map(|roster| listen::catch_up(self.clone(), Arc::clone(roster)));
        let all = async {
            tokio::join!(
                join_all(listening),
                join_all(catching_up),
                recheck::run(self.clone()),
                self.deliver_for_ever(),
            )
        };
        tokio::select! {
            _ = all => {}
            () = stop.cancelled() => {}
        }
    }

    /// The presence of these users, as `viewer` may see it, in their order.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be found out.
    pub async fn of(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<UserPresence>> {
        // Also what is not shown is read: how long an answer takes must not tell who is hidden.
        let (visible, standings) =
            try_join(self.visible(viewer, users), self.inner.read(users)).await?;
        let shown = users.iter().zip(standings).map(|(user, standing)| {
            if visible.contains(user) {
                standing.presence_of(*user)
            } else {
                UserPresence::hidden(*user)
            }
        });
        Ok(shown.collect())
    }

    /// Follows these users on a socket. `tell` is to queue the answer: it is called before any push
    /// of what changes later is queued, and must not wait.
    ///
    /// # Errors
    /// `Invalid` beyond [`MOST_FOLLOWED`], `Unavailable` where nothing can be found out. Nothing is
    /// followed then that was not before.
    pub async fn follow(
        &self,
        connection: &Arc<Connection>,
        users: &[UserId],
        tell: impl FnOnce(Vec<UserPresence>),
    ) -> Result<()> {
        let users = &distinct(users);
        let new = self.watch().follow(connection, users)?;
        self.count_subscriptions(to_f64(new.len()));
        let asked = try_join(self.visible(connection.user, users), self.learn(users)).await;
        let mut watch = self.watch();
        match asked {
            Ok((visible, ())) => {
                watch.answer(connection, users, &visible, tell);
                Ok(())
            }
            Err(error) => {
                let ended = watch.unfollow(connection, &new);
                self.count_subscriptions(-to_f64(ended));
                Err(error)
            }
        }
    }

    /// Follows these users no longer.
    pub fn unfollow(&self, connection: &Connection, users: &[UserId]) {
        let ended = self.watch().unfollow(connection, users);
        self.count_subscriptions(-to_f64(ended));
    }

    /// Shows in these users what `viewer` may see of their presence; nothing where it cannot be
    /// found out in a moment.
    pub async fn show_in(&self, viewer: UserId, users: Vec<&mut User>) {
        if users.is_empty() {
            return;
        }
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let asking = async {
            let (visible, standings) =
                try_join(self.visible(viewer, &ids), self.inner.read(&ids)).await?;
            Ok::<_, Error>((visible, standings))
        };
        let Ok(Ok((visible, standings))) = tokio::time::timeout(SHOWING, asking).await else {
            return;
        };
        for (user, standing) in users.into_iter().zip(standings) {
            if visible.contains(&user.id) {
                let UserPresence { online, last_seen_at, .. } = standing.presence_of(user.id);
                (user.online, user.last_seen_at) = (Some(online), last_seen_at);
            }
        }
    }

    /// Who may see whom may have changed for these users: a block, or a privacy setting. Whoever
    /// follows them here, and whomever they follow, is looked at again at once. To be called on
    /// every node, after the change is committed.
    pub fn visibility_changed(&self, users: &[UserId]) {
        self.waiting().add(users.iter().copied());
        self.inner.recheck.notify_one();
    }

    /// The same for everybody: news of changes may have been missed.
    pub fn recheck_all(&self) {
        self.waiting().add_all();
        self.inner.recheck.notify_one();
    }

    async fn visible(&self, viewer: UserId, users: &[UserId]) -> Result<HashSet<UserId>> {
        let asking = store::visibility::presence_visible(&self.inner.pool, viewer, users);
        let found = tokio::time::timeout(ASKING, asking).await;
        Ok(found.map_err(|_| Error::unavailable("the database"))??.into_iter().collect())
    }

    /// Reads those of these users who are followed and not known yet. Read again where there was
    /// news meanwhile; a user who comes and goes all the time is left as the news have them.
    async fn learn(&self, users: &[UserId]) -> Result<()> {
        for _ in 0..TRIES {
            let unknown = self.watch().unknown(users);
            if unknown.is_empty() {
                break;
            }
            let ids: Vec<UserId> = unknown.iter().map(|(user, _)| *user).collect();
            let standings = self.inner.read(&ids).await?;
            let mut watch = self.watch();
            for ((user, version), standing) in unknown.into_iter().zip(standings) {
                watch.know(user, version, standing);
            }
        }
        self.inner.deliver.notify_one();
        Ok(())
    }

    fn take_news(&self, roster: &Roster, news: &News) {
        let Some(process) = roster.heard(&news.process) else { return };
        let mut watch = self.watch();
        for change in &news.changes {
            watch.change(&process, *change);
        }
        drop(watch);
        self.inner.deliver.notify_one();
    }

    /// News of a shard may have been missed.
    fn reread(&self, roster: &Roster) {
        self.inner.rereads[roster.shard.index].notify_one();
    }

    async fn deliver_for_ever(&self) {
        loop {
            let is_behind = self.watch().is_behind();
            tokio::select! {
                () = self.inner.deliver.notified() => {}
                () = tokio::time::sleep(BEHIND), if is_behind => { self.watch().retry(); }
            }
            loop {
                let more = self.watch().deliver(PORTION, &self.inner.metrics);
                if !more {
                    break;
                }
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(COALESCE).await;
        }
    }

    fn count_subscriptions(&self, difference: f64) {
        self.inner.metrics.presence_subscriptions.increment(difference);
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.inner.watch.lock().expect("nothing panics while the lock is held")
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().expect("nothing panics while the lock is held")
    }
}

impl Inner {
    fn shard_of(&self, user: UserId) -> usize {
        let shards = self.rosters.len() as u64;
        usize::try_from(xxh3_64(user.0.as_bytes()) % shards).expect("it is one of a few")
    }

    fn roster(&self, user: UserId) -> &Arc<Roster> {
        &self.rosters[self.shard_of(user)]
    }

    /// Where these users are online and when they were last seen, in their order.
    async fn read(&self, users: &[UserId]) -> Result<Vec<Standing>> {
        let mut of_shard: Vec<Vec<UserId>> = vec![Vec::new(); self.rosters.len()];
        for user in users {
            of_shard[self.shard_of(*user)].push(*user);
        }
        let reading = of_shard.iter().zip(&self.rosters).map(async |(users, roster)| {
            let mut standings = Vec::with_capacity(users.len());
            for users in users.chunks(ROUND) {
                standings.extend(roster.read(users).await?);
            }
            Ok(standings)
        });
        let (standings, seen) = try_join(try_join_all(reading), self.last_seen.of(users)).await?;
        let found: HashMap<UserId, Standing> =
            of_shard.into_iter().flatten().zip(standings.into_iter().flatten()).collect();
        let ordered = users.iter().map(|user| {
            let mut standing = found.get(user).cloned().unwrap_or_default();
            if let Some(at) = seen.get(user) {
                standing.seen_at(*at);
            }
            standing
        });
        Ok(ordered.collect())
    }
}

/// Each once, in their order.
pub fn distinct(users: &[UserId]) -> Vec<UserId> {
    let mut seen = HashSet::with_capacity(users.len());
    users.iter().copied().filter(|user| seen.insert(*user)).collect()
}

/// Counts of sockets and users are far below what a float holds exactly.
fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
