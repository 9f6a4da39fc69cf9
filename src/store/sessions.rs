//! Table `sessions`. To lock a session is to lock its refresh tokens: every change of those holds
//! the session's row first, so no two can wait for each other.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::error::Result;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Device, EndReason, Session, SessionEnded};

#[derive(Debug, FromRow)]
struct SessionRow {
    id: SessionId,
    device_id: Option<String>,
    device_name: Option<String>,
    device_platform: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    created_at: OffsetDateTime,
    last_seen_at: OffsetDateTime,
}

impl SessionRow {
    fn seen_from(self, current: Option<SessionId>) -> Session {
        Session {
            id: self.id,
            device: Device {
                id: self.device_id,
                name: self.device_name,
                platform: self.device_platform,
            },
            ip: self.ip,
            user_agent: self.user_agent,
            created_at: self.created_at.into(),
            last_seen_at: self.last_seen_at.into(),
            current: current == Some(self.id),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub id: SessionId,
    pub user_id: UserId,
    pub device: &'a Device,
    pub ip: IpAddr,
    pub user_agent: Option<&'a str>,
    pub life: Duration,
}

/// Makes a session, which is its maker's current one.
pub async fn add(db: impl PgExecutor<'_>, new: NewSession<'_>) -> Result<Session> {
    let row: SessionRow = sqlx::query_as(
        "insert into sessions (id, user_id, device_id, device_name, device_platform, ip,
                               user_agent, expires_at)
         values ($1, $2, $3, $4, $5, $6::text::inet, $7, now() + $8 * interval '1 second')
         returning id, device_id, device_name, device_platform, host(ip) as ip, user_agent,
                   created_at, last_seen_at",
    )
    .bind(new.id)
    .bind(new.user_id)
    .bind(&new.device.id)
    .bind(&new.device.name)
    .bind(&new.device.platform)
    .bind(new.ip.to_string())
    .bind(new.user_agent)
    .bind(new.life.as_secs_f64())
    .fetch_one(db)
    .await?;
    Ok(row.seen_from(Some(new.id)))
}

/// The live sessions of a user, newest first, from before `before`.
pub async fn list(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    current: SessionId,
    before: Option<SessionId>,
    limit: usize,
) -> Result<Vec<Session>> {
    let rows: Vec<SessionRow> = sqlx::query_as(
        "select id, device_id, device_name, device_platform, host(ip) as ip, user_agent,
                created_at, last_seen_at
         from sessions
         where user_id = $1
           and ended_at is null
           and expires_at > now()
           and ($2::uuid is null or id < $2)
         order by id desc
         limit $3",
    )
    .bind(user_id)
    .bind(before)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.seen_from(Some(current))).collect())
}

/// A session held for the rest of the transaction.
#[derive(Debug, FromRow)]
pub struct Held {
    pub id: SessionId,
    pub user_id: UserId,
    pub device_id: Option<String>,
    pub user_agent: Option<String>,
    pub expires_at: OffsetDateTime,
    /// Neither ended nor expired, and its user neither suspended nor deleted.
    pub alive: bool,
}

/// Locks a session against every other change of it and of its refresh tokens.
pub async fn hold(db: impl PgExecutor<'_>, id: SessionId) -> Result<Option<Held>> {
    let held = sqlx::query_as(
        "select sessions.id,
                sessions.user_id,
                sessions.device_id,
                sessions.user_agent,
                sessions.expires_at,
                sessions.ended_at is null
                    and sessions.expires_at > now()
                    and users.suspended_at is null
                    and users.deleted_at is null as alive
         from sessions
         join users on users.id = sessions.user_id
         where sessions.id = $1
         for update of sessions",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(held)
}

/// Locks all sessions of a user that were not ended for the rest of the transaction, in the order in
/// which [`end`] does.
pub async fn hold_all(db: impl PgExecutor<'_>, user_id: UserId) -> Result<Vec<SessionId>> {
    let held = sqlx::query_scalar(
        "select id
         from sessions
         where user_id = $1
           and ended_at is null
         order by id
         for update",
    )
    .bind(user_id)
    .fetch_all(db)
    .await?;
    Ok(held)
}

/// Whether a session lives, and whether its last use was noted a while ago.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Liveness {
    pub alive: bool,
    pub seen_long_ago: bool,
}

pub async fn liveness(
    db: impl PgExecutor<'_>,
    id: SessionId,
    user_id: UserId,
) -> Result<Option<Liveness>> {
    let found = sqlx::query_as(
        "select sessions.ended_at is null
                    and sessions.expires_at > now()
                    and users.suspended_at is null
                    and users.deleted_at is null as alive,
                sessions.last_seen_at < now() - interval '1 minute' as seen_long_ago
         from sessions
         join users on users.id = sessions.user_id
         where sessions.id = $1
           and sessions.user_id = $2",
    )
    .bind(id)
    .bind(user_id)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Notes that a session was used just now.
pub async fn set_seen(db: impl PgExecutor<'_>, id: SessionId) -> Result<()> {
    sqlx::query("update sessions set last_seen_at = now() where id = $1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Notes from where a session was refreshed.
pub async fn set_client(
    db: impl PgExecutor<'_>,
    id: SessionId,
    ip: IpAddr,
    user_agent: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "update sessions
         set last_seen_at = now(),
             ip = $2::text::inet,
             user_agent = $3
         where id = $1",
    )
    .bind(id)
    .bind(ip.to_string())
    .bind(user_agent)
    .execute(db)
    .await?;
    Ok(())
}

/// What an account's sessions of the last month know of somebody who is signing in.
#[derive(Clone, Copy, Debug, Default, FromRow)]
pub struct Familiar {
    pub device: bool,
    pub address: bool,
}

/// Looks at the newest sessions of whoever has this name or address, ended ones too, but not those
/// that were taken away. An unknown login knows nobody.
pub async fn familiar(
    db: impl PgExecutor<'_>,
    login: &str,
    device_id: Option<&str>,
    network: &str,
) -> Result<Familiar> {
    let found = sqlx::query_as(
        "select coalesce(bool_or(newest.device_id = $2), false) as device,
                coalesce(bool_or(newest.ip <<= $3::text::inet), false) as address
         from (
             select sessions.device_id, sessions.ip
             from users
             join sessions on sessions.user_id = users.id
             where (lower(users.username) = lower($1) or lower(users.email) = lower($1))
               and sessions.last_seen_at > now() - interval '30 days'
               and coalesce(sessions.end_reason not in ('revoked', 'tokenReuse'), true)
             order by sessions.id desc
             limit 100
         ) as newest",
    )
    .bind(login)
    .bind(device_id)
    .bind(network)
    .fetch_one(db)
    .await?;
    Ok(found)
}

/// Which sessions of a user to end.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    All,
    One(SessionId),
    AllBut(SessionId),
}

/// Ends live sessions of a user, with their refresh tokens; returns which ended by this.
pub async fn end(
    db: &mut PgConnection,
    user_id: UserId,
    which: Which,
    reason: EndReason,
) -> Result<Vec<SessionId>> {
    let (only, but) = match which {
        Which::All => (None, None),
        Which::One(id) => (Some(id), None),
        Which::AllBut(id) => (None, Some(id)),
    };
    // Locked in the order of their ids, so that two calls at once cannot wait for each other. The
    // moment is that of the statement, not of its transaction: whoever looks for late ends goes by
    // it, and a transaction may have begun, and waited, long before.
    let ended: Vec<SessionId> = sqlx::query_scalar(
        "with held as (
             select id
             from sessions
             where user_id = $1
               and ended_at is null
               and ($2::uuid is null or id = $2)
               and ($3::uuid is null or id <> $3)
             order by id
             for update
         )
         update sessions
         set ended_at = clock_timestamp(),
             end_reason = $4
         from held
         where sessions.id = held.id
         returning sessions.id",
    )
    .bind(user_id)
    .bind(only)
    .bind(but)
    .bind(reason)
    .fetch_all(&mut *db)
    .await?;
    super::refresh_tokens::revoke(db, &ended).await?;
    Ok(ended)
}

/// Sessions that ended within the last `seconds`, the newest first, at most `limit` of them.
pub async fn ended_lately(
    db: impl PgExecutor<'_>,
    seconds: f64,
    limit: i64,
) -> Result<Vec<SessionEnded>> {
    let rows: Vec<(SessionId, UserId, EndReason)> = sqlx::query_as(
        "select id, user_id, end_reason
         from sessions
         where ended_at > now() - $1 * interval '1 second'
         order by ended_at desc
         limit $2",
    )
    .bind(seconds)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let ended = |(session_id, user_id, reason)| SessionEnded { session_id, user_id, reason };
    Ok(rows.into_iter().map(ended).collect())
}
