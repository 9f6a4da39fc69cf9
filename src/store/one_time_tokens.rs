//! Table `one_time_tokens`. Only hashes come here, never a token.
//!
//! Whoever changes rows of several tables in one transaction takes them in the order one-time
//! tokens, user, sessions, so that no two can wait for each other.

use std::time::Duration;

use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::UserId;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "camelCase")]
pub enum Purpose {
    PasswordReset,
    EmailVerification,
}

#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    pub user_id: UserId,
    pub purpose: Purpose,
    pub token_hash: &'a [u8],
    /// Where it is sent.
    pub email: &'a str,
    pub life: Duration,
}

/// Gives a user a token in place of any older one for the same purpose. `false` where the older one
/// was given less than `apart` ago: then it stays, and nothing may be sent.
pub async fn issue(db: impl PgExecutor<'_>, new: NewToken<'_>, apart: Duration) -> Result<bool> {
    let done = sqlx::query(
        "insert into one_time_tokens as tokens (user_id, purpose, token_hash, email, expires_at)
         values ($1, $2, $3, $4, now() + $5 * interval '1 second')
         on conflict (user_id, purpose) do update
         set token_hash = excluded.token_hash,
             email = excluded.email,
             created_at = excluded.created_at,
             expires_at = excluded.expires_at
         where tokens.created_at <= now() - $6 * interval '1 second'",
    )
    .bind(new.user_id)
    .bind(new.purpose)
    .bind(new.token_hash)
    .bind(new.email)
    .bind(new.life.as_secs_f64())
    .bind(apart.as_secs_f64())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whose token it is.
#[derive(Debug, FromRow)]
pub struct Owner {
    pub id: UserId,
    pub username: String,
    pub email: String,
}

/// The owner of a token that could be used now: it is not over, its owner is neither suspended nor
/// deleted, and has the address that it was sent to.
pub async fn find_owner(
    db: impl PgExecutor<'_>,
    purpose: Purpose,
    token_hash: &[u8],
) -> Result<Option<Owner>> {
    let found = sqlx::query_as(
        "select users.id, users.username, users.email
         from one_time_tokens as tokens
         join users on users.id = tokens.user_id
         where tokens.token_hash = $2
           and tokens.purpose = $1
           and tokens.expires_at > clock_timestamp()
           and lower(users.email) = lower(tokens.email)
           and users.suspended_at is null
           and users.deleted_at is null",
    )
    .bind(purpose)
    .bind(token_hash)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Uses a token up. Of any number of calls at once one gets its owner: the others wait for that
/// one's transaction, and find it gone once that is committed.
pub async fn take(
    db: impl PgExecutor<'_>,
    purpose: Purpose,
    token_hash: &[u8],
) -> Result<Option<Owner>> {
    let taken = sqlx::query_as(
        "delete from one_time_tokens as tokens
         using users
         where tokens.token_hash = $2
           and tokens.purpose = $1
           and tokens.expires_at > clock_timestamp()
           and users.id = tokens.user_id
           and lower(users.email) = lower(tokens.email)
           and users.suspended_at is null
           and users.deleted_at is null
         returning users.id, users.username, users.email",
    )
    .bind(purpose)
    .bind(token_hash)
    .fetch_optional(db)
    .await?;
    Ok(taken)
}

/// Removes a user's token for a purpose, if there is one.
pub async fn remove(db: impl PgExecutor<'_>, user_id: UserId, purpose: Purpose) -> Result<()> {
    sqlx::query(
        "delete from one_time_tokens
         where user_id = $1
           and purpose = $2",
    )
    .bind(user_id)
    .bind(purpose)
    .execute(db)
    .await?;
    Ok(())
}
