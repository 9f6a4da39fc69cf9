//! Whether this node can do its work.
//!
//! Anybody may ask, without a token and without a limit. So what is found out holds for a second,
//! and whoever asks meanwhile waits for the same answer: questions cost Postgres one query a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::config;
use crate::log::shard::Shards;
use crate::metrics::{Metrics, PostgresCall, RedisCall, StorageCall};
use crate::store::{self, Pool};

/// How long a part may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer holds.
const FRESH: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    metrics: Arc<Metrics>,
    shards: Shards,
    storage: Option<(aws_sdk_s3::Client, String)>,
    draining: AtomicBool,
    /// `out` streams and channels of shards that are not followed yet.
    not_followed: AtomicUsize,
    /// Postgres and Redis.
    stores: Latest<(Status, Status)>,
    /// Apart from those: a hanging store of files must not hold up the question for readiness.
    files: Latest<Option<Status>>,
}

/// The latest answer, and when it was asked for.
struct Latest<T>(tokio::sync::Mutex<Option<(Instant, T)>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

impl<T: Copy> Latest<T> {
    /// The answer of a moment ago, or a new one, for which others wait.
    async fn get(&self, asking: impl Future<Output = T>) -> T {
        let mut latest = self.0.lock().await;
        if let Some((_, answer)) = latest.filter(|(asked_at, _)| asked_at.elapsed() < FRESH) {
            return answer;
        }
        let asked_at = Instant::now();
        let answer = asking.await;
        *latest = Some((asked_at, answer));
        answer
    }
}

/// The answer of `/api/health`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HealthReport)]
pub struct Report {
    pub status: Status,
    pub version: &'static str,
    pub checks: Checks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HealthStatus)]
pub enum Status {
    Ok,
    Degraded,
    Unavailable,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HealthChecks)]
pub struct Checks {
    pub database: Status,
    pub redis: Status,
    /// Absent where no storage is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Status>,
}

impl Health {
    pub fn new(
        pool: Pool,
        shards: Shards,
        storage: Option<&config::Storage>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let inner = Inner {
            pool,
            metrics,
            not_followed: AtomicUsize::new(2 * shards.all().len()),
            shards,
            storage: storage.map(|storage| (s3_client(storage), storage.bucket.clone())),
            draining: AtomicBool::new(false),
            stores: Latest::default(),
            files: Latest::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Notes that the streams, or the channel, of one more shard are followed.
    pub fn followed(&self) {
        self.inner.not_followed.fetch_sub(1, Ordering::Relaxed);
    }

    /// From here on the node is not ready any more.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Whether clients may be sent here. Storage does not count: text works without it.
    pub async fn is_ready(&self) -> bool {
        !self.is_draining()
            && self.inner.not_followed.load(Ordering::Relaxed) == 0
            && self.stores().await == (Status::Ok, Status::Ok)
    }

    pub async fn report(&self) -> Report {
        let files = self.inner.files.get(self.storage());
        let ((database, redis), storage) = tokio::join!(self.stores(), files);
        let status = match (database, redis, storage) {
            (Status::Ok, Status::Ok, None | Some(Status::Ok)) => Status::Ok,
            (Status::Ok, _, _) => Status::Degraded,
            _ => Status::Unavailable,
        };
        let version = env!("CARGO_PKG_VERSION");
        Report { status, version, checks: Checks { database, redis, storage } }
    }

    async fn stores(&self) -> (Status, Status) {
        let asking = async { tokio::join!(self.database(), self.redis()) };
        self.inner.stores.get(asking).await
    }

    async fn database(&self) -> Status {
        let (metrics, began) = (&self.inner.metrics, Instant::now());
        let asking = async {
            let mut connection = self.inner.pool.acquire().await?;
            metrics.postgres_acquire_seconds.record(began.elapsed());
            store::ping(&mut connection).await
        };
        let asked = tokio::time::timeout(CHECK_TIMEOUT, Box::pin(asking)).await;
        let answered = matches!(asked, Ok(Ok(())));
        metrics.postgres.took(PostgresCall::Ping, began, answered);
        if answered { Status::Ok } else { Status::Unavailable }
    }

    async fn redis(&self) -> Status {
        let pings = self.inner.shards.all().iter().map(async |shard| {
            let began = Instant::now();
            let answered = shard.ping(CHECK_TIMEOUT).await;
            self.inner.metrics.redis.took(RedisCall::Ping, began, answered);
            answered
        });
        let answers = futures_util::future::join_all(pings).await;
        let well = answers.iter().filter(|answer| **answer).count();
        match well {
            _ if well == answers.len() => Status::Ok,
            0 => Status::Unavailable,
            _ => Status::Degraded,
        }
    }

    async fn storage(&self) -> Option<Status> {
        let (client, bucket) = self.inner.storage.as_ref()?;
        let asking = client.head_bucket().bucket(bucket).send();
        let began = Instant::now();
        let answered = matches!(tokio::time::timeout(CHECK_TIMEOUT, asking).await, Ok(Ok(_)));
        self.inner.metrics.storage.took(StorageCall::Ping, began, answered);
        Some(if answered { Status::Ok } else { Status::Unavailable })
    }

    /// Makes the bucket where it is missing. Storage that is away only costs file transfer.
    pub async fn prepare_storage(&self) {
        let Some((client, bucket)) = &self.inner.storage else { return };
        if self.storage().await == Some(Status::Ok) {
            return;
        }
        let making = client.create_bucket().bucket(bucket).send();
        match tokio::time::timeout(CHECK_TIMEOUT, making).await {
            Ok(Ok(_)) => tracing::info!(bucket, "made the bucket"),
            // Another node may have made it just now.
            _ if self.storage().await == Some(Status::Ok) => {}
            _ => tracing::warn!(bucket, "the storage is not available"),
        }
    }
}

fn s3_client(settings: &config::Storage) -> aws_sdk_s3::Client {
    let key = settings.secret_key.expose_secret();
    let credentials = Credentials::new(&settings.access_key, key, None, None, "settings");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&settings.endpoint)
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_questions_are_one() {
        let (latest, asked) = (Latest::default(), AtomicUsize::new(0));
        let ask = || {
            latest.get(async {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::Relaxed)
            })
        };
        let answers = futures_util::future::join_all((0..100).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| *answer == 0));
        *latest.0.lock().await = Instant::now().checked_sub(FRESH).map(|at| (at, 0));
        assert_eq!(ask().await, 1);
    }
}
