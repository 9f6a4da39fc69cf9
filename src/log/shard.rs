//! The Redis shards: connections, and which partition lies on which shard.
//!
//! Each shard has clients of its own: one clustered client would stall on all shards while one
//! primary is away. A shard's commands share one connection, so they keep their order; every
//! blocking reader has its own.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, SubscriberClient};
use fred::error::Error;
use fred::interfaces::{ClientLike, MetricsInterface};
use fred::types::config::{Config, ReconnectPolicy, TcpConfig, UnresponsiveConfig};
use fred::types::{Builder, InfoKind};
use secrecy::ExposeSecret;

use super::keys::Keys;
use super::partition::place;
use super::stream::Reader;
use crate::config;

/// How long connecting may take, and how long a plain command may.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(3);

/// Commands that may wait inside the client; beyond, they fail at once.
const COMMAND_BUFFER: usize = 20_000;

/// One Redis: a server, a Sentinel set or a Cluster.
#[derive(Clone)]
pub struct Shard {
    pub index: usize,
    /// For everything that does not block.
    pub client: Client,
    config: Config,
    /// The partitions that lie here.
    pub partitions: Arc<[u16]>,
}

impl Shard {
    /// A connection for a blocking reader; no command time limit, since a block is meant to wait.
    pub async fn reader(&self) -> Result<Reader, Error> {
        let mut builder = builder(self.config.clone());
        builder.with_performance_config(|performance| {
            performance.default_command_timeout = Duration::ZERO;
        });
        Ok(Reader::connect(builder.build()?).await)
    }

    /// Whether the shard answers within `limit`.
    pub async fn ping(&self, limit: Duration) -> bool {
        let ping = tokio::time::timeout(limit, self.client.ping::<String>(None)).await;
        matches!(ping, Ok(Ok(_)))
    }

    /// Whether the connection that all commands share is up.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Commands that wait for it.
    pub fn queued(&self) -> usize {
        self.client.command_queue_len()
    }

    /// What the shard does when its memory is full; `None` where it does not answer.
    pub async fn eviction_policy(&self) -> Option<String> {
        let info: String = self.client.info(Some(InfoKind::Memory)).await.ok()?;
        let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        policy.map(str::to_owned)
    }

    /// A connection of one's own for what comes in bulk and must not stand before messages.
    pub fn bulk_client(&self) -> Result<Client, Error> {
        let client = builder(self.config.clone()).build()?;
        client.connect();
        Ok(client)
    }

    /// A client for pub/sub.
    pub fn subscriber(&self) -> Result<SubscriberClient, Error> {
        let client = builder(self.config.clone()).build_subscriber_client()?;
        client.connect();
        Ok(client)
    }
}

/// All shards of the cluster.
#[derive(Clone)]
pub struct Shards {
    pub keys: Arc<Keys>,
    all: Arc<[Shard]>,
    of_partition: Arc<[usize]>,
}

impl Shards {
    /// Connects to every shard. A shard that is away does not fail this: its clients go on trying.
    ///
    /// # Errors
    /// A URL that cannot be understood.
    pub async fn connect(settings: &config::Redis, partitions: u16) -> Result<Self, Error> {
        let names: Vec<String> =
            (0..settings.shards.len()).map(|index| format!("shard-{index}")).collect();
        let at = place(partitions, &names);
        let of_partition: Vec<usize> = at
            .iter()
            .map(|name| names.iter().position(|known| known == name).unwrap_or(0))
            .collect();
        let mut shards = Vec::with_capacity(names.len());
        for (index, url) in settings.shards.iter().enumerate() {
            let config = Config::from_url(url.expose_secret())?;
            let client = builder(config.clone()).build()?;
            client.connect();
            tokio::time::timeout(CONNECT_TIMEOUT, client.wait_for_connect()).await.ok();
            let here = (0..partitions).filter(|p| of_partition[usize::from(*p)] == index);
            shards.push(Shard { index, client, config, partitions: here.collect() });
        }
        Ok(Self {
            keys: Arc::new(Keys::new(&settings.prefix, partitions)),
            all: shards.into(),
            of_partition: of_partition.into(),
        })
    }

    pub fn of(&self, partition: u16) -> &Shard {
        &self.all[self.of_partition[usize::from(partition)]]
    }

    pub fn all(&self) -> &[Shard] {
        &self.all
    }

    /// Ends the shared connections; readers end with their tasks.
    pub async fn close(&self) {
        for shard in self.all.iter() {
            shard.client.quit().await.ok();
        }
    }
}

fn builder(mut config: Config) -> Builder {
    // Else a client made while Redis is away would give up for good at its first attempt.
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            // A command that failed is the caller's to repeat: repeated here, it could overtake.
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = COMMAND_BUFFER;
            connection.auto_client_setname = false;
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(COMMAND_TIMEOUT),
                interval: Duration::from_secs(1),
            };
        })
        .with_performance_config(|performance| {
            performance.default_command_timeout = COMMAND_TIMEOUT;
            performance.max_feed_count = 1_000;
            performance.broadcast_channel_capacity = 4_096;
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100));
    builder
}
