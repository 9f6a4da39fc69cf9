//! All SQL, one file a table family.
//!
//! Free functions that take a connection or whatever executes; the caller owns the transaction.
//! Statements are checked at run time, so a build needs no database. Moments come from Postgres
//! (`now()`): it is the one clock that all nodes share.

pub mod audit;
pub mod blocks;
pub mod changes;
pub mod chat_search;
pub mod chats;
pub mod deletion;
pub mod events;
pub mod expiry;
pub mod export;
pub mod invites;
pub mod jobs;
pub mod last_seen;
pub mod members;
pub mod memberships;
pub mod messages;
pub mod one_time_tokens;
pub mod operators;
pub mod partitions;
pub mod pins;
pub mod reactions;
pub mod receipts;
pub mod refresh_tokens;
pub mod search;
pub mod sends;
pub mod sessions;
pub mod user_search;
pub mod users;
pub mod visibility;

use std::str::FromStr;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config;
use crate::error::{Error, Result};

pub type Pool = sqlx::PgPool;

/// As whom the pools beside that of requests connect.
pub const WRITER: &str = "chat-service writer";
const WATCH: &str = "chat-service watch";

/// How long a caller waits for a free connection before it is told `unavailable`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A statement, and a transaction that is doing nothing, are ended by Postgres after this.
const STATEMENT_TIMEOUT: &str = "15s";

/// Opens the pool; one connection is made, so that wrong settings show at once.
///
/// # Errors
/// The settings are wrong, or Postgres is out of reach.
pub async fn connect(settings: &config::Postgres) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())?
        .application_name("chat-service")
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", STATEMENT_TIMEOUT),
        ]);
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
}

/// One connection beside the pool, for what must not wait behind requests. Made when it is needed,
/// and anew after it broke.
///
/// # Errors
/// The settings are wrong.
pub fn connect_aside(settings: &config::Postgres) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())?
        .application_name(WATCH)
        .options([("statement_timeout", STATEMENT_TIMEOUT)]);
    Ok(PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options))
}

/// The one connection of migrations. Its statements have no time limit: an index of a large table takes
/// as long as it takes, and who finds another one migrating waits for its end.
///
/// # Errors
/// The settings are wrong, or Postgres is out of reach.
pub async fn connect_to_migrate(settings: &config::Postgres) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())?
        .application_name("chat-service migrate")
        .options([("statement_timeout", "0")]);
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
}

/// What a server must not be set to, since messages that were acknowledged could be lost.
///
/// # Errors
/// `Unavailable`.
pub async fn unsafe_setting(pool: &Pool) -> Result<Option<&'static str>> {
    let (is_standby, commits_late): (bool, bool) =
        sqlx::query_as("select pg_is_in_recovery(), current_setting('synchronous_commit') = 'off'")
            .fetch_one(pool)
            .await?;
    Ok(match (is_standby, commits_late) {
        (true, _) => Some("the server is in recovery: a standby, or not the primary any more"),
        (false, true) => Some("synchronous_commit is off: what was answered could be lost"),
        (false, false) => None,
    })
}

/// Brings the schema to this version. Safe to run on many nodes at once: sqlx takes a lock.
///
/// Migrations of a later version are let be, so that one can go back to this one: a version runs on
/// the schema of the next.
///
/// # Errors
/// A migration failed, or an applied one was changed afterwards.
pub async fn migrate(pool: &Pool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true).run(pool).await
}

/// How a pool stands.
pub struct Standing {
    /// Who it is for.
    pub name: &'static str,
    pub in_use: u32,
    pub idle: u32,
    pub most: u32,
}

impl Standing {
    pub fn of(pool: &Pool) -> Self {
        let options = pool.connect_options();
        let name = match options.get_application_name() {
            Some(WRITER) => "writers",
            Some(WATCH) => "watch",
            _ => "requests",
        };
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let in_use = pool.size().saturating_sub(idle);
        Self { name, in_use, idle, most: pool.options().get_max_connections() }
    }
}

/// Whether Postgres answers.
pub async fn ping(db: &mut PgConnection) -> Result<()> {
    sqlx::query("select 1").execute(db).await?;
    Ok(())
}

/// One snapshot for several reads: what they say together was so at one moment.
pub async fn snapshot(pool: &Pool) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    Ok(pool.begin_with("begin isolation level repeatable read read only").await?)
}

/// Turns a broken unique constraint into what it means.
pub(crate) trait OnConstraint<T> {
    /// `names` pairs a constraint with the word that [`Error::Conflict`] carries.
    fn on_constraint(self, names: &[(&str, &'static str)]) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, names: &[(&str, &'static str)]) -> Result<T> {
        self.map_err(|error| {
            let broken = error.as_database_error().and_then(|cause| cause.constraint());
            let meaning = names.iter().find(|(name, _)| broken == Some(*name));
            meaning.map_or_else(|| error.into(), |(_, what)| Error::Conflict(what))
        })
    }
}
