//! A node: its parts put together, started, and ended in order.
//!
//! No globals: several nodes can run in one process, as tests do.

mod scrape;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, Breached, Services};
use crate::chats::Chats;
use crate::config::Config;
use crate::fanout::ephemera::Ephemera;
use crate::fanout::hub::Hub;
use crate::health::Health;
use crate::http;
use crate::http::AppState;
use crate::http::limits::Doors;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::log::append::ChatLog;
use crate::log::partition::Partitioner;
use crate::log::shard::Shards;
use crate::log::tail;
use crate::mail::Mailer;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::model::id::UserId;
use crate::model::time::Timestamp;
use crate::presence::Presence;
use crate::receipts::{Flush, Receipts};
use crate::shutdown::Tasks;
use crate::store::{self, Pool, partitions};
use crate::writer::lease::Leases;
use crate::writer::{Lag, Lane, Standing, connect_pool, indexer};
use crate::ws::{Edge, drain};

use scrape::Scrape;

/// How long the writers may take to finish their batches and hand over.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other tasks may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last mails may take; they have a shorter bound of their own.
const MAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// The exporter asks for this, to keep its histograms small.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// The form in which the page of metrics is written.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running node.
pub struct Node {
    pub http_addr: SocketAddr,
    pub metrics_addr: SocketAddr,
    pub metrics: Arc<Metrics>,
    config: Arc<Config>,
    hub: Hub,
    health: Health,
    jobs: Jobs,
    shards: Shards,
    pools: Vec<Pool>,
    /// How far the node's lanes are behind.
    lags: Vec<Lag>,
    /// Where the node serves clients.
    pub presence: Option<Presence>,
    log: Option<ChatLog>,
    edge: Tasks,
    writers: Tasks,
    mail: Tasks,
    stop: Stop,
}

/// What ends when; in this order.
#[derive(Default)]
struct Stop {
    writing: CancellationToken,
    accepting: CancellationToken,
    rest: CancellationToken,
    mail: CancellationToken,
}

impl Node {
    /// Starts a node. When this returns it listens; it is ready once it follows the log.
    ///
    /// # Errors
    /// What a node cannot start without: Postgres, its addresses, a cluster of the same shape,
    /// settings of Redis that keep data.
    pub fn start(config: Config) -> BoxFuture<'static, anyhow::Result<Self>> {
        // Boxed: whoever waits for it would hold all that it needs meanwhile.
        Box::pin(Self::start_with(Arc::new(config)))
    }

    async fn start_with(config: Arc<Config>) -> anyhow::Result<Self> {
        let (metrics, printer) = Metrics::new(&config.node.name);
        let pool = store::connect(&config.postgres).await.context("Postgres")?;
        check_postgres(&pool).await?;
        agree_on_partitions(&pool, config.log.partitions).await?;
        let shards = Shards::connect(&config.redis, config.log.partitions).await?;
        check_redis(&shards).await?;
        let listener = TcpListener::bind(config.node.http_addr).await;
        let listener = listener.with_context(|| config.node.http_addr.to_string())?;
        let metrics_listener = TcpListener::bind(config.node.metrics_addr).await;
        let metrics_listener =
            metrics_listener.with_context(|| config.node.metrics_addr.to_string())?;

        let partitioner = Partitioner::new(config.log.partitions);
        let hub = Hub::new(pool.clone(), partitioner, Arc::clone(&metrics));
        let storage = config.storage.as_ref();
        let health = Health::new(pool.clone(), shards.clone(), storage, Arc::clone(&metrics));
        let jobs = Jobs::new(pool.clone(), &config, Arc::clone(&metrics));
        let mut node = Self {
            http_addr: listener.local_addr()?,
            metrics_addr: metrics_listener.local_addr()?,
            metrics,
            hub,
            health,
            jobs,
            shards,
            pools: vec![pool],
            lags: Vec::new(),
            presence: None,
            log: None,
            edge: Tasks::default(),
            writers: Tasks::default(),
            mail: Tasks::default(),
            stop: Stop::default(),
            config,
        };
        let roles = node.config.node.roles;
        let accounts = if roles.edge { Some(node.open_accounts().await?) } else { None };
        if roles.writer {
            node.start_writers().await?;
        }
        if roles.jobs {
            // Ended with the writers: nothing waits for a job, and another node goes on with it.
            node.edge.spawn("jobs", node.jobs.clone().run(node.stop.writing.clone()));
        }
        match accounts {
            Some((accounts, limits)) => node.start_edge(listener, accounts, limits)?,
            None => node.serve_health(listener),
        }
        node.serve_metrics(metrics_listener, printer);
        Ok(node)
    }

    /// Tells when the node has to end by itself, since one of its tasks panicked.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.edge.ending.cancelled() => {}
            () = self.writers.ending.cancelled() => {}
            () = self.mail.ending.cancelled() => {}
        }
    }

    async fn start_writers(&mut self) -> anyhow::Result<()> {
        let boot = uuid::Uuid::now_v7().to_string();
        let settings = &self.config.log;
        let indexer = indexer::Indexer::default();
        let pool = indexer::connect_pool(&self.config.postgres)?;
        self.pools.push(pool.clone());
        // Not one of the writers: nobody waits for it to hand a partition over.
        self.edge.spawn("search index", {
            indexer.clone().run(pool, Arc::clone(&self.metrics), self.stop.writing.clone())
        });
        let mut all_leases = Vec::new();
        for shard in self.shards.all() {
            let pool = connect_pool(&self.config.postgres)?;
            self.pools.push(pool.clone());
            let leases = Arc::new(Leases::new(
                shard.clone(),
                Arc::clone(&self.shards.keys),
                (&self.config.node.name, &boot),
                (settings.partitions, settings.lease),
                Arc::clone(&self.metrics),
            ));
            let standing = Standing::default();
            self.lags.push(Lag {
                shard: shard.clone(),
                keys: Arc::clone(&self.shards.keys),
                standing: standing.clone(),
            });
            let lane = Lane {
                shards: self.shards.clone(),
                shard: shard.clone(),
                reader: shard.reader().await?,
                leases: Arc::clone(&leases),
                pool,
                settings: settings.clone(),
                node: self.config.node.name.clone(),
                indexer: indexer.clone(),
                metrics: Arc::clone(&self.metrics),
                standing,
            };
            let stop = self.stop.writing.clone();
            all_leases.push(Arc::clone(&leases));
            self.writers.spawn("leases", async move { leases.run(stop).await });
            self.writers.spawn("lane", lane.run(self.stop.writing.clone()));
        }
        let aside = store::connect_aside(&self.config.postgres)?;
        self.pools.push(aside.clone());
        let partitioner = Partitioner::new(settings.partitions);
        let (shards, metrics) = (self.shards.clone(), Arc::clone(&self.metrics));
        let owned = move || all_leases.iter().flat_map(|leases| leases.valid()).collect();
        let flush = Flush::new(aside, shards, partitioner, metrics);
        self.writers.spawn("store marks", flush.run(owned, self.stop.writing.clone()));
        Ok(())
    }

    /// People and their sessions, with the tasks that write to them.
    async fn open_accounts(&self) -> anyhow::Result<(Accounts, Limits)> {
        let config = &self.config;
        let (mailer, outgoing) = Mailer::new(config.mail.as_ref(), Arc::clone(&self.metrics))
            .context("MAIL_URL cannot be used")?;
        let breached = match config.passwords.breached.clone() {
            Some(path) => Some(load_breached(path).await?),
            None => None,
        };
        let (limits, counters) =
            Limits::new(config, self.shards.clone(), Arc::clone(&self.metrics));
        let metrics = Arc::clone(&self.metrics);
        let services = Services { limits: Some(limits.clone()), mailer, breached, metrics };
        let (accounts, forgotten) = Accounts::new(self.pools[0].clone(), config, services);
        self.edge.spawn("limits", limits.clone().run(counters, self.stop.rest.clone()));
        if let Some(outgoing) = outgoing {
            self.mail.spawn("mail", outgoing.run(self.stop.mail.clone()));
        }
        let recovering = accounts.clone().recover(forgotten, self.stop.rest.clone());
        self.edge.spawn("forgotten passwords", recovering);
        Ok((accounts, limits))
    }

    fn start_edge(
        &mut self,
        listener: TcpListener,
        accounts: Accounts,
        limits: Limits,
    ) -> anyhow::Result<()> {
        let presence = self.start_presence()?;
        let pool = self.pools[0].clone();
        let (log, appenders) =
            ChatLog::new(self.shards.clone(), &self.config.log, Arc::clone(&self.metrics));
        self.log = Some(log.clone());
        let rest = self.stop.rest.clone();
        self.edge.spawn("append", log.clone().run(appenders, rest.clone()));
        self.edge.spawn("catch up", self.hub.clone().catch_up(rest.clone()));

        let receipts = self.start_receipts();
        let partitioner = Partitioner::new(self.config.log.partitions);
        let known = accounts.clone();
        let ephemera =
            Ephemera::new(self.shards.clone(), partitioner, self.hub.clone(), move |session| {
                known.forget_session(session);
            });
        for shard in self.shards.all() {
            let health = self.health.clone();
            let follower = Arc::new(self.hub.clone());
            let (log, shard_) = (log.clone(), shard.clone());
            let ready = move || health.followed();
            self.edge.spawn("follow", tail::follow(log, shard_, follower, ready, rest.clone()));
            let health = self.health.clone();
            let ready = move || health.followed();
            self.edge.spawn("listen", ephemera.clone().listen(shard.clone(), ready, rest.clone()));
        }
        self.follow_people(&accounts, &ephemera, &presence)?;

        let doors = Doors::new(&self.config.rates);
        self.edge.spawn("sweep doors", until(rest.clone(), doors.clone().sweep()));
        let health = self.health.clone();
        self.edge.spawn("storage", async move { health.prepare_storage().await });
        let state = AppState {
            config: Arc::clone(&self.config),
            doors,
            health: self.health.clone(),
            jobs: self.jobs.clone(),
            edge: Edge {
                chats: Chats::new(pool.clone(), log.clone(), receipts.clone(), &self.config),
                messages: Messages::new(pool, log, &self.config.limits),
                accounts,
                hub: self.hub.clone(),
                ephemera,
                presence,
                receipts,
                health: self.health.clone(),
                limits,
                config: Arc::clone(&self.config),
                metrics: Arc::clone(&self.metrics),
                open: Arc::default(),
            },
        };
        let tasks = self.edge.clone();
        let accepting = self.stop.accepting.clone();
        let router = http::router(state);
        self.edge.spawn("serve", http::server::serve(listener, router, tasks, accepting));
        Ok(())
    }

    /// Lets the nodes, and what is open here, know of sessions that end and people who change.
    fn follow_people(
        &mut self,
        accounts: &Accounts,
        ephemera: &Ephemera,
        presence: &Presence,
    ) -> anyhow::Result<()> {
        let rest = &self.stop.rest;
        self.edge.spawn("ended sessions", {
            announce_ended(accounts.clone(), ephemera.clone(), rest.clone())
        });
        let aside = store::connect_aside(&self.config.postgres)?;
        self.pools.push(aside.clone());
        self.edge.spawn("watch sessions", {
            let ephemera = ephemera.clone();
            let tell = move |ended| ephemera.end_session(ended);
            accounts.clone().watch_ends(aside, tell, rest.clone())
        });
        self.edge.spawn("changed people", {
            announce_changed(accounts.clone(), ephemera.clone(), rest.clone())
        });
        let followed = presence.clone();
        let on_change = move |users: &[UserId]| followed.visibility_changed(users);
        self.edge.spawn("blocks", self.hub.clone().keep_blocks(on_change, rest.clone()));
        Ok(())
    }

    fn start_presence(&mut self) -> anyhow::Result<Presence> {
        let (name, life) = (&self.config.node.name, self.config.presence.life);
        let pool = self.pools[0].clone();
        let presence = Presence::new(pool, &self.shards, name, life, Arc::clone(&self.metrics))?;
        let rest = &self.stop.rest;
        self.edge.spawn("presence", presence.clone().run(rest.clone()));
        self.edge.spawn("follow presence", presence.clone().follow_all(rest.clone()));
        self.presence = Some(presence.clone());
        Ok(presence)
    }

    fn start_receipts(&self) -> Receipts {
        let partitioner = Partitioner::new(self.config.log.partitions);
        let (pool, shards) = (self.pools[0].clone(), self.shards.clone());
        let metrics = Arc::clone(&self.metrics);
        let (receipts, markers) =
            Receipts::new(pool, shards, partitioner, self.hub.clone(), metrics);
        let rest = &self.stop.rest;
        self.edge.spawn("mark", receipts.clone().run(markers, rest.clone()));
        self.edge.spawn("follow marks", receipts.clone().follow_all(rest.clone()));
        receipts
    }

    /// A node that serves no clients still tells how it is.
    fn serve_health(&self, listener: TcpListener) {
        for _ in self.shards.all() {
            // Neither the streams nor the channels concern it.
            self.health.followed();
            self.health.followed();
        }
        let security = http::headers::Security::new(&self.config.node);
        let secured = from_fn_with_state(security, http::headers::secure);
        let router = http::health_routes().with_state(self.health.clone()).layer(secured);
        let (tasks, accepting) = (self.edge.clone(), self.stop.accepting.clone());
        self.edge.spawn("serve", http::server::serve(listener, router, tasks, accepting));
    }

    /// Called last, when the node has all that there is to look at.
    fn serve_metrics(&mut self, listener: TcpListener, printer: PrometheusHandle) {
        let scrape = Arc::new(Scrape {
            node: self.config.node.name.clone(),
            partitions: self.config.log.partitions,
            started: Timestamp::now(),
            printer: printer.clone(),
            health: self.health.clone(),
            shards: self.shards.clone(),
            pools: self.pools.clone(),
            hub: self.hub.clone(),
            log: self.log.clone(),
            lags: std::mem::take(&mut self.lags),
        });
        let print = async move || ([(CONTENT_TYPE, TEXT_FORMAT)], Box::pin(scrape.page()).await);
        let router = Router::new().route("/metrics", get(print));
        let hub = self.hub.clone();
        let stop = self.stop.rest.clone();
        let serving = http::server::serve(listener, router, self.edge.clone(), stop.clone());
        self.edge.spawn("serve metrics", serving);
        self.edge.spawn(
            "metrics upkeep",
            until(stop, async move {
                loop {
                    tokio::time::sleep(METRICS_UPKEEP).await;
                    hub.sample_outboxes();
                    printer.run_upkeep();
                }
            }),
        );
    }

    /// Ends the node in order, within the grace period: not ready and no new sockets, partitions
    /// handed over, sockets sent elsewhere, no new connections, requests finished, the rest, and the
    /// mails that all of that has brought about.
    pub async fn stop(self) {
        let grace = self.config.node.shutdown_grace;
        if tokio::time::timeout(grace, self.stop_in_order()).await.is_err() {
            tracing::warn!("the grace period is over");
        }
    }

    async fn stop_in_order(&self) {
        self.health.drain();
        self.stop.writing.cancel();
        if !self.writers.wait(HANDOVER_TIMEOUT).await {
            tracing::warn!("the partitions were not handed over in time");
        }
        drain::drain(&self.hub, self.config.node.drain_window).await;
        // Until here probes are answered, and requests of balancers that have not heard of it yet.
        self.stop.accepting.cancel();
        // Requests over REST may still wait for answers, which the followers bring.
        if let Some(log) = &self.log {
            tokio::time::timeout(END_TIMEOUT, log.pending().all_answered()).await.ok();
        }
        self.stop.rest.cancel();
        if !self.edge.wait(END_TIMEOUT).await {
            tracing::warn!("some tasks did not end in time");
        }
        self.stop.mail.cancel();
        if !self.mail.wait(MAIL_TIMEOUT).await {
            tracing::warn!("some mails were not sent in time");
        }
        for pool in &self.pools {
            tokio::time::timeout(END_TIMEOUT, pool.close()).await.ok();
        }
        self.shards.close().await;
        tracing::info!("ended");
    }
}

async fn until(stop: CancellationToken, task: impl Future<Output = impl Sized>) {
    tokio::select! {
        _ = task => {}
        () = stop.cancelled() => {}
    }
}

/// Reads the file beside the runtime's threads, since that takes a while.
async fn load_breached(path: std::path::PathBuf) -> anyhow::Result<Breached> {
    let name = path.display().to_string();
    let loaded = tokio::task::spawn_blocking(move || Breached::load(&path)).await?;
    let breached = loaded.with_context(|| format!("BREACHED_PASSWORDS_FILE={name}"))?;
    tracing::info!(passwords = breached.len(), "passwords that have leaked are refused");
    Ok(breached)
}

/// A node that maps chats otherwise than the others must not start.
async fn agree_on_partitions(pool: &Pool, count: u16) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    let agreed = partitions::agree_on_count(&mut connection, count).await;
    let agreed = agreed.context("the schema is missing; run `chat-service migrate`")?;
    if agreed != count {
        bail!("LOG_PARTITIONS={count}: this cluster was begun with {agreed}, for ever");
    }
    Ok(())
}

/// A server that acknowledges before it has stored, or that is not the one to write to, would make
/// our own acknowledgements untrue.
async fn check_postgres(pool: &Pool) -> anyhow::Result<()> {
    match store::unsafe_setting(pool).await? {
        Some(problem) => bail!("Postgres: {problem}"),
        None => Ok(()),
    }
}

/// A Redis that evicts keys would drop commands. One that is away is not asked; its shard's chats
/// wait for it.
async fn check_redis(shards: &Shards) -> anyhow::Result<()> {
    for shard in shards.all() {
        match shard.eviction_policy().await {
            Some(policy) if policy != "noeviction" => {
                bail!("Redis shard {}: maxmemory-policy is {policy}, not noeviction", shard.index);
            }
            Some(_) => {}
            None => tracing::warn!(shard = shard.index, "Redis does not answer yet"),
        }
    }
    Ok(())
}

/// Ends that are announced together, at the most.
const ANNOUNCED_AT_ONCE: usize = 256;

/// Makes ended sessions known to all nodes. This node's own sockets come first: where Redis is away,
/// telling the others takes a while.
async fn announce_ended(accounts: Accounts, ephemera: Ephemera, stop: CancellationToken) {
    let mut ended = accounts.on_session_ended();
    loop {
        let session = tokio::select! {
            session = ended.recv() => session,
            () = stop.cancelled() => return,
        };
        match session {
            Ok(first) => {
                let more = std::iter::from_fn(|| ended.try_recv().ok());
                let all: Vec<_> =
                    std::iter::once(first).chain(more).take(ANNOUNCED_AT_ONCE).collect();
                for session in &all {
                    ephemera.end_session(*session);
                }
                ephemera.announce_ended(&all).await;
            }
            // Those are found by the next look at Postgres.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "ended sessions were not announced");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Makes changed people known to all nodes.
async fn announce_changed(accounts: Accounts, ephemera: Ephemera, stop: CancellationToken) {
    let mut changed = accounts.on_person_changed();
    loop {
        let news = tokio::select! {
            news = changed.recv() => news,
            () = stop.cancelled() => return,
        };
        match news {
            Ok(news) => ephemera.person_changed(news).await,
            // Every node looks for changed blocks by itself; a profile is read again in time.
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "changed people were not announced");
            }
            Err(RecvError::Closed) => return,
        }
    }
}
