//! Who is online, as one Redis shard has it: this node's part of it written, all of it read.
//!
//! ```text
//! presence:<user>          hash   <node>/<boot> → since when     counts while that process lives
//! presence:of:<process>    set    its users                      for cleaning up after it
//! {presence}:node:<name>   string boot id, with a life           the heartbeat
//! {presence}:nodes         hash   <process> → last beat, whole   who there is to ask about
//! ```
//!
//! Written when a user's first socket on this node opens and when the last one closes, in rounds:
//! at most [`ROUND`] users, and a [`PAUSE`] between two. So ten thousand users who come at once are
//! written within about a second and a half, on a connection of their own, and no message waits
//! behind them. What cannot be written waits in [`Here`], which is bounded by the node's sockets.
//! Nothing is written for a user who stays.
//!
//! # When Redis fails
//! A heartbeat that finds the last one gone, and a connection that was made anew, both mean that
//! what was written may be lost: all users are written again, at the same pace. Until every node
//! has done so, a user of whom nothing is found is `unavailable` rather than offline
//! ([`super::view`]).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::Error as RedisError;
use fred::interfaces::{
    ClientLike, EventInterface, HashesInterface, KeysInterface, PubsubInterface, SetsInterface,
};
use fred::types::{Expiration, SetOptions};
use futures_util::future::{try_join, try_join_all};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::here::{Here, LINGER, Round};
use super::last_seen::LastSeen;
use super::news::{Change, News};
use super::view::{Beat, View};
use super::watch::Standing;
use crate::error::{Error, Result};
use crate::log::keys::Keys;
use crate::log::shard::Shard;
use crate::metrics::Metrics;
use crate::model::id::UserId;
use crate::model::time::Timestamp;

/// Users of one round, and the pause behind it.
pub(super) const ROUND: usize = 250;
pub(super) const PAUSE: Duration = Duration::from_millis(25);

/// Heartbeats within a life.
const BEATS: u32 = 10;

/// After a round that failed.
const RETRY: Duration = Duration::from_millis(500);

/// How long a read may take, so that a Redis that hangs does not hold up requests.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// How long ending may take, beyond the time that users linger.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// How long whoever cleans up after a dead process has it for themselves. Two at once do no harm.
const SWEEP_MILLIS: i64 = 30_000;

/// This node's view of one shard.
pub(super) struct Roster {
    pub(super) shard: Shard,
    pub(super) keys: Arc<Keys>,
    client: Client,
    name: String,
    boot: String,
    /// `<name>/<boot>`: the field in every hash.
    process: String,
    life: Duration,
    here: Mutex<Here>,
    view: Mutex<View>,
    /// When the last heartbeat was written.
    beaten: Mutex<Option<Instant>>,
    /// Set from the first thing that failed to the next heartbeat that did not.
    is_failing: AtomicBool,
    /// What the last heartbeat said: whether all our users are written.
    told_whole: AtomicBool,
    metrics: Arc<Metrics>,
    last_seen: LastSeen,
    /// There is something to write.
    work: Notify,
    /// A heartbeat is due before its time.
    beat_now: Notify,
}

impl Roster {
    pub(super) fn new(
        (shard, keys): (Shard, Arc<Keys>),
        name: &str,
        boot: Uuid,
        life: Duration,
        (metrics, last_seen): (Arc<Metrics>, LastSeen),
    ) -> Result<Self, RedisError> {
        let boot = boot.to_string();
        Ok(Self {
            client: shard.bulk_client()?,
            shard,
            keys,
            name: name.to_owned(),
            process: format!("{name}/{boot}"),
            boot,
            life,
            here: Mutex::default(),
            view: Mutex::new(View::new(life)),
            beaten: Mutex::default(),
            is_failing: AtomicBool::new(false),
            told_whole: AtomicBool::new(true),
            metrics,
            last_seen,
            work: Notify::new(),
            beat_now: Notify::new(),
        })
    }

    /// One more socket of a user is open.
    pub(super) fn enter(&self, user: UserId) {
        let at = Timestamp::now().unix_millis();
        let is_first = self.here().enter(user, at);
        if is_first {
            self.metrics.presence_online.increment(1);
            self.last_seen.note(user, at);
            self.work.notify_one();
        }
    }

    /// One is closed.
    pub(super) fn leave(&self, user: UserId) {
        let at = Timestamp::now().unix_millis();
        let was_last = self.here().leave(user, Instant::now(), at);
        if was_last {
            // While they linger, so that Postgres has it by when they are said to have gone: who
            // reads them then is not told an older moment.
            self.last_seen.note(user, at);
        }
        // So that whoever waits looks anew at when the next one is due.
        self.work.notify_one();
    }

    /// The first heartbeat, so that a node that listens can tell who is online.
    pub(super) async fn begin(&self) {
        let mut to_sweep = VecDeque::new();
        let beating = tokio::time::timeout(READ_TIMEOUT, self.beat(&mut to_sweep));
        if !matches!(beating.await, Ok(Ok(_))) {
            tracing::warn!(shard = self.shard.index, "presence waits for Redis");
        }
    }

    /// Writes who comes and goes until `stop`; then says that all have gone. `on_death` is told of
    /// every process that died, with its last beat.
    pub(super) async fn run(&self, stop: CancellationToken, on_death: impl Fn(&str, i64)) {
        let mut ticks = tokio::time::interval(self.life / BEATS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reconnected = self.client.reconnect_rx();
        let mut to_sweep = VecDeque::new();
        loop {
            let next = self.here().next_due().filter(|_| self.is_well());
            let next = next.map(tokio::time::Instant::from_std);
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            let is_beat = tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => true,
                () = self.beat_now.notified() => true,
                // Behind a connection that was made anew may be another Redis.
                _ = reconnected.recv() => { self.lost(); true }
                () = self.work.notified() => false,
                () = due => false,
            };
            if is_beat {
                match self.beat(&mut to_sweep).await {
                    Ok(died) => died.iter().for_each(|(process, at)| on_death(process, *at)),
                    Err(error) => {
                        tracing::debug!(%error, "no heartbeat could be written");
                        self.is_failing.store(true, Ordering::Relaxed);
                    }
                }
            }
            if self.is_well() {
                self.work_off(&mut to_sweep).await;
            }
        }
        let ending = tokio::time::timeout(LINGER + END_TIMEOUT, self.end());
        if !matches!(ending.await, Ok(Ok(()))) {
            tracing::warn!(shard = self.shard.index, "the users who went could not be written");
        }
        self.client.quit().await.ok();
    }

    /// One round of each kind of work; comes again where there may be more.
    async fn work_off(&self, to_sweep: &mut VecDeque<(Arc<str>, i64)>) {
        let written = self.write_round().await;
        let swept = match to_sweep.front().cloned() {
            Some((process, at)) => self.sweep(&process, at).await.map(|is_done| {
                if is_done {
                    to_sweep.pop_front();
                }
                true
            }),
            None => Ok(false),
        };
        let pause = match (&written, &swept) {
            (Ok(false), Ok(false)) => return,
            (Ok(_), Ok(_)) => PAUSE,
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "presence could not be written");
                // Another turn finds it again.
                to_sweep.clear();
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
        self.work.notify_one();
    }

    /// Writes a heartbeat and reads those of all. Returns the processes that died.
    async fn beat(
        &self,
        to_sweep: &mut VecDeque<(Arc<str>, i64)>,
    ) -> Result<Vec<(Arc<str>, i64)>, RedisError> {
        let began = Instant::now();
        let life = Expiration::PX(i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX));
        let key = self.keys.presence_node(&self.name);
        let before: Option<String> =
            self.client.set(key, &*self.boot, Some(life), None, true).await?;
        let last = self.beaten().replace(began);
        self.is_failing.store(false, Ordering::Relaxed);
        match last {
            Some(_) if before.as_deref() != Some(&*self.boot) => self.lost(),
            // Nobody could renew a heartbeat meanwhile.
            Some(last) if last.elapsed() > self.life / 2 => self.view().doubt(began),
            _ => {}
        }
        // Behind the look at what was lost: others must not think that we are whole.
        let is_whole = self.here().is_whole();
        let value = format!("{},{}", Timestamp::now().unix_millis(), u8::from(is_whole));
        let nodes = self.keys.presence_nodes();
        self.client.hset::<(), _, _>(nodes, (&*self.process, value)).await?;
        self.told_whole.store(is_whole, Ordering::Relaxed);
        let died = self.refresh().await?;
        let dead = self.view().to_sweep(Instant::now());
        for (process, at) in dead {
            let key = self.keys.presence_sweep(&process);
            let life = Some(Expiration::PX(SWEEP_MILLIS));
            let ours: Option<String> =
                self.client.set(key, &*self.boot, life, Some(SetOptions::NX), false).await?;
            if ours.is_some() && to_sweep.iter().all(|(other, _)| *other != process) {
                to_sweep.push_back((process, at));
            }
        }
        Ok(died)
    }

    /// Redis may have lost what was written.
    fn lost(&self) {
        if self.beaten().is_some() {
            self.view().doubt(Instant::now());
            self.metrics.presence_rewrites.increment(1);
        }
        self.here().write_all_again();
    }

    /// Reads everybody's heartbeats.
    async fn refresh(&self) -> Result<Vec<(Arc<str>, i64)>, RedisError> {
        let began = Instant::now();
        let nodes: HashMap<String, String> =
            self.client.hgetall(self.keys.presence_nodes()).await?;
        let split = |process: &str| process.rsplit_once('/').map(|(name, _)| name.to_owned());
        let names: Vec<String> = nodes
            .keys()
            .filter_map(|process| split(process))
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = names.iter().map(|name| self.keys.presence_node(name)).collect();
        let boots: Vec<Option<String>> = self.client.mget(keys).await?;
        let boots: HashMap<&str, String> = names
            .iter()
            .map(String::as_str)
            .zip(boots)
            .filter_map(|(n, b)| Some((n, b?)))
            .collect();
        let beats = nodes.iter().filter_map(|(process, value)| {
            let (name, boot) = process.rsplit_once('/')?;
            let (at, is_whole) = value.split_once(',')?;
            Some(Beat {
                process: process.clone(),
                at: at.parse().ok()?,
                is_whole: is_whole == "1",
                is_present: boots.get(name).is_some_and(|present| present == boot),
            })
        });
        Ok(self.view().refresh(began, beats.collect()))
    }

    /// Writes who came and went, at most a round. `true` where there was somebody.
    async fn write_round(&self) -> Result<bool, RedisError> {
        let round = self.here().due(Instant::now(), ROUND);
        if round.is_empty() {
            return Ok(false);
        }
        for (user, at) in &round.went {
            self.last_seen.note(*user, *at);
        }
        let written = self.write(&round).await;
        let is_whole = {
            let mut here = self.here();
            match &written {
                Ok(()) => {
                    let gone = u32::try_from(here.wrote(&round)).unwrap_or(u32::MAX);
                    self.metrics.presence_online.decrement(gone);
                }
                Err(_) => here.failed(&round),
            }
            here.is_whole()
        };
        if written.is_ok() && is_whole && !self.told_whole.load(Ordering::Relaxed) {
            // Others wait for this.
            self.beat_now.notify_one();
        }
        written.map(|()| true)
    }

    async fn write(&self, round: &Round) -> Result<(), RedisError> {
        let ours = self.keys.presence_of(&self.process);
        let came = try_join_all(round.came.iter().map(|(user, since)| {
            let here = (&*self.process, *since);
            self.client.hset::<(), _, _>(self.keys.presence(*user), here)
        }));
        let went = try_join_all(round.went.iter().map(|(user, _)| {
            self.client.hdel::<(), _, _>(self.keys.presence(*user), &*self.process)
        }));
        let names = |users: &[(UserId, i64)]| -> Vec<String> {
            users.iter().map(|(user, _)| user.to_string()).collect()
        };
        let index = async {
            if !round.came.is_empty() {
                self.client.sadd::<(), _, _>(&*ours, names(&round.came)).await?;
            }
            if !round.went.is_empty() {
                self.client.srem::<(), _, _>(&*ours, names(&round.went)).await?;
            }
            Ok(())
        };
        futures_util::future::try_join3(came, went, index).await?;
        // Only what is written is told: who reads behind the news finds no less.
        let came = round.came.iter().map(|(user, since)| Change(*user, true, *since));
        let went = round.went.iter().map(|(user, at)| Change(*user, false, *at));
        let news = News { process: self.process.clone(), changes: came.chain(went).collect() };
        let bytes = serde_json::to_vec(&news).expect("news are plain data");
        let channel = self.keys.presence_channel();
        self.client.publish::<(), _, _>(channel, bytes::Bytes::from(bytes)).await?;
        self.metrics.presence_published.increment(news.changes.len() as u64);
        Ok(())
    }

    /// Cleans up after a dead process, a round at a time. `true` when that is done.
    ///
    /// Nobody is told: everyone has seen it die.
    async fn sweep(&self, process: &str, at: i64) -> Result<bool, RedisError> {
        let set = self.keys.presence_of(process);
        let names: Vec<String> = self.client.srandmember(&*set, Some(ROUND)).await?;
        if names.is_empty() {
            self.client.hdel::<(), _, _>(self.keys.presence_nodes(), process).await?;
            self.view().swept(process);
            return Ok(true);
        }
        let users: Vec<UserId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let since: Vec<Option<i64>> = try_join_all(
            users.iter().map(|user| self.client.hget(self.keys.presence(*user), process)),
        )
        .await?;
        for (user, since) in users.iter().zip(since) {
            if let Some(since) = since {
                self.last_seen.note(*user, since.max(at));
            }
        }
        try_join_all(
            users
                .iter()
                .map(|user| self.client.hdel::<(), _, _>(self.keys.presence(*user), process)),
        )
        .await?;
        self.client.srem::<(), _, _>(&*set, names).await?;
        Ok(false)
    }

    /// Where these users are online, in their order.
    ///
    /// # Errors
    /// `Unavailable` where Redis is away, or may have lost who is online.
    pub(super) async fn read(&self, users: &[UserId]) -> Result<Vec<Standing>> {
        if !self.is_well() {
            return Err(Error::unavailable("presence"));
        }
        let reading = tokio::time::timeout(READ_TIMEOUT, self.read_through(users));
        reading.await.unwrap_or_else(|_| {
            // The next ones need not wait as long.
            self.is_failing.store(true, Ordering::Relaxed);
            self.beat_now.notify_one();
            Err(Error::unavailable("presence"))
        })
    }

    async fn read_through(&self, users: &[UserId]) -> Result<Vec<Standing>> {
        let hashes =
            try_join_all(users.iter().map(|user| {
                self.client.hgetall::<HashMap<String, i64>, _>(self.keys.presence(*user))
            }));
        // Behind the hashes: if it is there, they were not lost when they were read.
        let own = self.client.get::<Option<String>, _>(self.keys.presence_node(&self.name));
        let (hashes, own) = try_join(hashes, own).await?;
        if own.as_deref() != Some(&*self.boot) {
            // Redis was emptied since the last beat, or this process was replaced.
            self.beat_now.notify_one();
            return Err(Error::unavailable("presence"));
        }
        let is_known = |process: &String| self.view().get(process).is_some();
        if !hashes.iter().flat_map(HashMap::keys).all(is_known) {
            // A node that came since the last beat. Deaths are the heartbeat's to tell of, so they
            // must not be taken here: the next one is brought forward instead.
            self.meet(&hashes).await?;
        }
        let view = self.view();
        let is_settled = view.is_settled();
        let standings = hashes.iter().map(|hash| {
            let mut standing = Standing::default();
            for (process, since) in hash {
                let Some((process, is_alive, at)) = view.get(process) else { continue };
                if is_alive {
                    standing.processes.push((process, *since));
                }
                standing.seen_at(if is_alive { *since } else { at.max(*since) });
            }
            if standing.is_online() || is_settled {
                Ok(standing)
            } else {
                Err(Error::unavailable("presence"))
            }
        });
        standings.collect()
    }

    /// Asks for the heartbeats of processes that are not known yet.
    async fn meet(&self, hashes: &[HashMap<String, i64>]) -> Result<(), RedisError> {
        let strangers: HashSet<&String> = {
            let view = self.view();
            hashes.iter().flat_map(HashMap::keys).filter(|p| view.get(p).is_none()).collect()
        };
        for process in strangers {
            let Some((name, boot)) = process.rsplit_once('/') else { continue };
            let present: Option<String> = self.client.get(self.keys.presence_node(name)).await?;
            if present.as_deref() == Some(boot) {
                self.view().heard(Instant::now(), process);
            }
        }
        Ok(())
    }

    /// News came from a process; its name, unless a newer process has it.
    pub(super) fn heard(&self, process: &str) -> Option<Arc<str>> {
        self.view().heard(Instant::now(), process)
    }

    /// Whether Redis was there lately.
    pub(super) fn is_well(&self) -> bool {
        !self.is_failing.load(Ordering::Relaxed)
            && self.beaten().is_some_and(|last| last.elapsed() < self.life / 2)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_well() && self.view().is_settled()
    }

    /// Lets those who linger do so, then writes that everybody went, and that the process did.
    async fn end(&self) -> Result<(), RedisError> {
        let until = Instant::now() + LINGER;
        loop {
            while self.write_round().await? {}
            if self.here().is_empty() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.here().send_away(Instant::now(), Timestamp::now().unix_millis());
        while self.write_round().await? {}
        self.client.hdel::<(), _, _>(self.keys.presence_nodes(), &*self.process).await?;
        self.client.del::<(), _>(self.keys.presence_node(&self.name)).await
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().expect("nothing panics while the lock is held")
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("nothing panics while the lock is held")
    }

    fn beaten(&self) -> MutexGuard<'_, Option<Instant>> {
        self.beaten.lock().expect("nothing panics while the lock is held")
    }
}
