//! Table `refresh_tokens`. Only hashes come here, never a token.

use std::time::Duration;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::session::RefreshToken;

/// Adds a token to a session. It ends with its idle life, or with the session if that is sooner.
pub async fn add(
    db: impl PgExecutor<'_>,
    session_id: SessionId,
    token_hash: &[u8],
    idle_life: Duration,
) -> Result<()> {
    sqlx::query(
        "insert into refresh_tokens (id, session_id, token_hash, expires_at)
         select $1, id, $3, least(expires_at, now() + $4 * interval '1 second')
         from sessions
         where id = $2",
    )
    .bind(TokenId::new())
    .bind(session_id)
    .bind(token_hash)
    .bind(idle_life.as_secs_f64())
    .execute(db)
    .await?;
    Ok(())
}

/// The session that a token belongs to.
pub async fn find_session(db: impl PgExecutor<'_>, token_hash: &[u8]) -> Result<Option<SessionId>> {
    let found = sqlx::query_scalar("select session_id from refresh_tokens where token_hash = $1")
        .bind(token_hash)
        .fetch_optional(db)
        .await?;
    Ok(found)
}

/// Where a token stands; to be read while its session is held.
#[derive(Debug, FromRow)]
pub struct State {
    pub id: TokenId,
    pub expired: bool,
    pub revoked: bool,
    /// How long ago it was used.
    pub used_seconds_ago: Option<f64>,
    pub successor_salt: Option<Vec<u8>>,
}

/// None where a job has deleted it since its session was found.
pub async fn find_state(db: impl PgExecutor<'_>, token_hash: &[u8]) -> Result<Option<State>> {
    // `clock_timestamp`, as the transaction may have waited for the session since its `now()`.
    let state = sqlx::query_as(
        "select id,
                expires_at <= clock_timestamp() as expired,
                revoked_at is not null as revoked,
                extract(epoch from clock_timestamp() - used_at)::float8 as used_seconds_ago,
                successor_salt
         from refresh_tokens
         where token_hash = $1",
    )
    .bind(token_hash)
    .fetch_optional(db)
    .await?;
    Ok(state)
}

/// Marks a token as used. The condition says once more what the session's lock already ensures.
pub async fn set_used(db: impl PgExecutor<'_>, id: TokenId, successor_salt: &[u8]) -> Result<bool> {
    let done = sqlx::query(
        "update refresh_tokens
         set used_at = clock_timestamp(),
             successor_salt = $2
         where id = $1
           and used_at is null
           and revoked_at is null",
    )
    .bind(id)
    .bind(successor_salt)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Revokes all tokens of ended sessions.
pub async fn revoke(db: impl PgExecutor<'_>, sessions: &[SessionId]) -> Result<()> {
    let sessions: Vec<_> = sessions.iter().map(|id| id.0).collect();
    sqlx::query(
        "update refresh_tokens
         set revoked_at = now()
         where session_id = any($1)
           and revoked_at is null",
    )
    .bind(sessions)
    .execute(db)
    .await?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct TokenRow {
    id: TokenId,
    session_id: SessionId,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
}

/// The refresh tokens of a user, newest first, from before `before`.
pub async fn list(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    before: Option<TokenId>,
    limit: usize,
) -> Result<Vec<RefreshToken>> {
    let rows: Vec<TokenRow> = sqlx::query_as(
        "select tokens.id, tokens.session_id, tokens.created_at, tokens.expires_at,
                tokens.used_at, tokens.revoked_at
         from refresh_tokens as tokens
         join sessions on sessions.id = tokens.session_id
         where sessions.user_id = $1
           and ($2::uuid is null or tokens.id < $2)
         order by tokens.id desc
         limit $3",
    )
    .bind(user_id)
    .bind(before)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    let tokens = rows.into_iter().map(|row| RefreshToken {
        id: row.id,
        session_id: row.session_id,
        created_at: row.created_at.into(),
        expires_at: row.expires_at.into(),
        used_at: row.used_at.map(Into::into),
        revoked_at: row.revoked_at.map(Into::into),
    });
    Ok(tokens.collect())
}
