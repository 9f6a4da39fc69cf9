//! How much may be done how often: rates over the whole cluster, and guessing at passwords.
//!
//! Redis counts, by the generic cell rate algorithm and its own clock, in one atomic script; keys
//! expire when they say nothing any more. Nodes lease permits and give a little credit ([`tab`]), so
//! that a request rarely waits for Redis and many are counted in one call ([`settle`]).
//!
//! # Invariants
//! - Over all nodes at most a twentieth of a quota passes beyond it: leased permits are counted
//!   before they are used, and the credit of all nodes together is bounded by that.
//! - What is refused is counted in a metric, and said in the log a bounded number of times.
//!
//! # Failure
//! Without Redis each node lets its share of every limit pass ([`share`], [`tries`]). A Redis that
//! forgot everything begins anew: one burst more. A clock of Redis that is set back makes nobody
//! wait for longer than two periods.

pub mod class;
pub mod gcra;
mod notes;
mod settle;
mod share;
mod subject;
mod tab;
mod tries;

pub use class::{By, Class};
pub use subject::{ClientAddress, Subject, network_of};
pub use tries::{Familiar, Try};

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fred::interfaces::{KeysInterface, SortedSetsInterface};
use fred::types::scripts::Script;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Config, MOST_QUOTAS, Quota, Rates};
use crate::error::Error;
use crate::log::shard::{Shard, Shards};
use crate::metrics::Metrics;
use notes::Notes;
use settle::Charge;
use share::{Bounded, Shares};
use subject::place;
use tab::{Bounds, Tab, Taken};
use tries::Tries;

/// All nodes' credit together, as a part of a quota: one in so many.
const OVERSHOOT: u32 = 20;
/// The largest lease: a part of a quota, one in so many, and a number. What lapses is lost to the
/// user, so there is none where the quota is smaller than this.
const LEASE_PART: u32 = 10;
const LEASE_MOST: u32 = 256;
const LEASED_FROM: u32 = 50;
/// The most that a node lets pass before it was counted.
const CREDIT_MOST: u32 = 64;

/// Locks of the tabs; more of them, less waiting.
const MAPS: usize = 32;
/// Tabs of one lock. A subject without a tab is asked for in Redis each time.
const TABS: usize = 8_192;

/// How often idle tabs are dropped.
const SWEEP: Duration = Duration::from_secs(10);
/// How often a node says that it is there, and how long that holds.
const BEAT: Duration = Duration::from_secs(2);
const BEAT_HOLDS_SECONDS: i64 = 10;

static ALIVE: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("alive.lua")));

/// What is left of one quota, and when one more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub count: u32,
    pub next: Duration,
}

/// What is left of a class's quotas, as it was last counted; nothing where it was not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing(pub [Option<Left>; MOST_QUOTAS]);

impl Standing {
    /// How long none of them has any.
    fn dry_for(&self) -> Option<Duration> {
        let dry = self.0.iter().flatten().filter(|left| left.count == 0);
        dry.map(|left| left.next).max()
    }
}

/// Too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub retry_after: Duration,
    pub standing: Standing,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::RateLimited { retry_after: refusal.retry_after }
    }
}

/// The limits as one node sees them. Cheap to clone.
#[derive(Clone)]
pub struct Limits {
    inner: Arc<Inner>,
}

struct Inner {
    rates: Rates,
    shards: Shards,
    node: String,
    /// Nodes that count, as last known.
    nodes: AtomicU32,
    away: Mutex<Vec<Option<Instant>>>,
    queues: Vec<mpsc::Sender<Charge>>,
    tabs: Vec<Mutex<HashMap<(Class, Subject), Tab>>>,
    shares: Shares,
    tries: Bounded<Subject, Tries>,
    notes: Notes,
    metrics: Arc<Metrics>,
}

/// Whether a shard is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Good,
    /// It did not answer a while ago, and is to be asked again.
    Doubtful,
    /// It did not answer just now.
    Away,
}

/// The counters' ends of the queues, to be run by [`Limits::run`].
pub struct Counters(Vec<mpsc::Receiver<Charge>>);

impl Limits {
    pub fn new(config: &Config, shards: Shards, metrics: Arc<Metrics>) -> (Self, Counters) {
        let channels = shards.all().iter().map(|_| mpsc::channel(settle::QUEUE));
        let (queues, receivers) = channels.unzip();
        let inner = Inner {
            rates: config.rates.clone(),
            away: Mutex::new(vec![None; shards.all().len()]),
            shards,
            // Nodes of one name may run at once for a moment, and count as two.
            node: format!("{}/{}", config.node.name, Uuid::now_v7()),
            nodes: AtomicU32::new(1),
            queues,
            tabs: (0..MAPS).map(|_| Mutex::default()).collect(),
            shares: Shares::default(),
            tries: Bounded::default(),
            notes: Notes::default(),
            metrics,
        };
        (Self { inner: Arc::new(inner) }, Counters(receivers))
    }

    /// Counts until `stop`, then says that the node counts no more.
    pub async fn run(self, counters: Counters, stop: CancellationToken) {
        let inner = &*self.inner;
        let shards = inner.shards.all();
        let counting = shards.iter().zip(counters.0);
        let counting =
            join_all(counting.map(|(shard, queue)| settle::run(inner, shard, queue, &stop)));
        tokio::select! {
            _ = counting => {}
            () = inner.beat_for_ever() => {}
            () = inner.sweep_for_ever() => {}
        }
        for shard in shards {
            let key = inner.shards.keys.edges(shard.index);
            let leaving = shard.client.zrem::<(), _, _>(key, inner.node.as_str());
            tokio::time::timeout(settle::PATIENCE, leaving).await.ok();
        }
    }

    /// Takes one of a class, for one request.
    ///
    /// # Errors
    /// When to try again, where there is none.
    pub async fn take(&self, class: Class, subject: Subject) -> Result<Standing, Refusal> {
        match self.try_take(class, subject) {
            Ok(taken) => taken,
            // Boxed, since every idle socket's task would be larger by it.
            Err(lease) => Box::pin(self.ask(class, subject, lease)).await,
        }
    }

    /// The same without waiting; an error says how many permits to ask for beside it.
    fn try_take(&self, class: Class, subject: Subject) -> Result<Result<Standing, Refusal>, u32> {
        let (inner, now) = (&*self.inner, Instant::now());
        let Some(bounds) = inner.bounds(class) else { return Ok(Ok(Standing::default())) };
        let shard = inner.shard_of(subject).index;
        match inner.reach(shard, now) {
            Reach::Good => {}
            // No credit: it may never be counted.
            Reach::Doubtful => return Err(0),
            Reach::Away => return Ok(self.take_share(class, subject, now)),
        }
        let taken = inner.tab(class, subject, |tab| tab.take(bounds, now));
        match taken.unwrap_or(Taken::Ask(0)) {
            Taken::Yes(standing) => Ok(Ok(standing)),
            Taken::No(refusal) => {
                self.note_refusal(class, subject);
                Ok(Err(refusal))
            }
            Taken::Ask(lease) => Err(lease),
            Taken::OnCredit(standing, wanted) => {
                let charge = Charge { class, subject, owed: 1, wanted, waiting: None };
                if inner.queues[shard].try_send(charge).is_ok() {
                    return Ok(Ok(standing));
                }
                inner.tab(class, subject, |tab| tab.lost(1));
                Ok(self.take_share(class, subject, now))
            }
        }
    }

    async fn ask(&self, class: Class, subject: Subject, wanted: u32) -> Result<Standing, Refusal> {
        let inner = &*self.inner;
        let (tell, told) = oneshot::channel();
        let charge = Charge { class, subject, owed: 0, wanted, waiting: Some(tell) };
        let queued = inner.queues[inner.shard_of(subject).index].try_send(charge).is_ok();
        let outcome = if queued { told.await.ok().flatten() } else { None };
        match outcome {
            Some(Ok(standing)) => Ok(standing),
            Some(Err(refusal)) => {
                self.note_refusal(class, subject);
                Err(refusal)
            }
            None => self.take_share(class, subject, Instant::now()),
        }
    }

    fn take_share(
        &self,
        class: Class,
        subject: Subject,
        now: Instant,
    ) -> Result<Standing, Refusal> {
        let inner = &*self.inner;
        inner.metrics.limits_alone.increment(1);
        let quotas = inner.quotas(class);
        let taken = inner.shares.take((class, subject), quotas, inner.nodes(), now);
        taken.map(|()| Standing::default()).map_err(|retry_after| {
            self.note_refusal(class, subject);
            Refusal { retry_after, standing: Standing::default() }
        })
    }

    /// Gives one back that should not have counted. Nobody waits for it; where it is lost, one
    /// fewer is left until it would have come back anyway.
    pub fn give_back(&self, class: Class, subject: Subject) {
        let inner = &*self.inner;
        let shard = inner.shard_of(subject).index;
        if inner.reach(shard, Instant::now()) == Reach::Away {
            let (quotas, nodes) = (inner.quotas(class), inner.nodes());
            inner.shares.with((class, subject), |used| used.give_back(quotas, nodes));
            return;
        }
        let charge = Charge { class, subject, owed: -1, wanted: 0, waiting: None };
        inner.queues[shard].try_send(charge).ok();
    }

    pub fn quotas(&self, class: Class) -> &[Quota] {
        self.inner.quotas(class)
    }

    /// Counts a refusal, and says it in the log if that is news.
    pub fn note_refusal(&self, class: Class, subject: Subject) {
        class.refusals(&self.inner.metrics).increment(1);
        self.inner.notes.say(class, subject, Instant::now());
    }
}

impl Inner {
    fn quotas(&self, class: Class) -> &[Quota] {
        class.quotas(&self.rates).map_or(&[], |quotas| quotas.all())
    }

    /// What a node may lease and owe of a class; none where the class is not counted over nodes.
    fn bounds(&self, class: Class) -> Option<Bounds> {
        let smallest = self.quotas(class).iter().map(|quota| quota.count).min()?;
        class.by().is_shared().then(|| Bounds {
            lease: if smallest < LEASED_FROM || class.by() != By::Caller {
                0
            } else {
                (smallest / LEASE_PART).min(LEASE_MOST)
            },
            credit: (smallest / OVERSHOOT / self.nodes()).min(CREDIT_MOST),
        })
    }

    fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed).max(1)
    }

    /// By the subject, so that all nodes look in the same place.
    fn shard_of(&self, subject: Subject) -> &Shard {
        let shards = self.shards.all();
        &shards[place(subject, shards.len())]
    }

    fn tabs(&self, subject: Subject) -> MutexGuard<'_, HashMap<(Class, Subject), Tab>> {
        let tabs = &self.tabs[place(subject, MAPS)];
        tabs.lock().expect("nothing panics while the lock is held")
    }

    /// Works on a subject's tab; none where there is no room for one.
    fn tab<T>(
        &self,
        class: Class,
        subject: Subject,
        work: impl FnOnce(&mut Tab) -> T,
    ) -> Option<T> {
        let mut tabs = self.tabs(subject);
        if tabs.len() >= TABS && !tabs.contains_key(&(class, subject)) {
            return None;
        }
        Some(work(tabs.entry((class, subject)).or_default()))
    }

    fn reach(&self, shard: usize, now: Instant) -> Reach {
        match self.away()[shard] {
            None => Reach::Good,
            Some(until) if now < until => Reach::Away,
            Some(_) => Reach::Doubtful,
        }
    }

    /// By shard: until when it is left alone. It counts as good again when it has answered.
    fn away(&self) -> MutexGuard<'_, Vec<Option<Instant>>> {
        self.away.lock().expect("nothing panics while the lock is held")
    }

    /// What is counted of a subject is gone.
    async fn forget(&self, shard: &Shard, class: Class, subject: Subject) {
        let key = self.shards.keys.limit(shard.index, class.name(), &subject.to_string());
        let forgetting = shard.client.del::<(), _>(key);
        tokio::time::timeout(settle::PATIENCE, forgetting).await.ok();
    }

    async fn beat_for_ever(&self) {
        let mut ticks = tokio::time::interval(BEAT);
        loop {
            ticks.tick().await;
            let beats = join_all(self.shards.all().iter().map(|shard| self.beat(shard))).await;
            // A shard that is away knows nothing; the others know the same.
            if let Some(most) = beats.into_iter().flatten().max() {
                self.nodes.store(most, Ordering::Relaxed);
                self.metrics.limit_nodes.set(most);
            }
        }
    }

    async fn beat(&self, shard: &Shard) -> Option<u32> {
        let key = self.shards.keys.edges(shard.index);
        let values = vec![self.node.clone(), BEAT_HOLDS_SECONDS.to_string()];
        let beating = ALIVE.evalsha_with_reload(&shard.client, vec![key], values);
        tokio::time::timeout(settle::PATIENCE, beating).await.ok()?.ok()
    }

    async fn sweep_for_ever(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            for tabs in &self.tabs {
                let mut tabs = tabs.lock().expect("nothing panics while the lock is held");
                tabs.retain(|_, tab| !tab.is_idle(now));
                tabs.shrink_to_fit();
            }
            self.shares.retain(|used| !used.is_idle(now));
            self.tries.retain(|tries| !tries.is_idle(self.rates.sign_in_delay_max, now));
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}
