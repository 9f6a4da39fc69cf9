//! What time has made worthless: ended and deleted in batches, for the jobs. The moments come from
//! the caller, so that a test can choose them.
//!
//! Rows that a request holds just now are skipped: they are left to the next run, and nobody waits
//! for a job.

use std::time::Duration;

use sqlx::PgExecutor;
use sqlx::types::time::OffsetDateTime;

use crate::error::Result;
use crate::model::id::SessionId;
use crate::model::session::EndReason;

/// Deletes refresh tokens that expired before `before`, used or not.
pub async fn delete_expired_tokens(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "delete from refresh_tokens
         where id in (
             select id
             from refresh_tokens
             where expires_at < $1
             order by expires_at
             limit $2
             for update skip locked
         )",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes tokens of mails that expired before `before`.
pub async fn delete_one_time_tokens(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "delete from one_time_tokens
         where (user_id, purpose) in (
             select user_id, purpose
             from one_time_tokens
             where expires_at < $1
             order by expires_at
             limit $2
             for update skip locked
         )",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes refresh tokens that were revoked before `before`.
pub async fn delete_revoked_tokens(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "delete from refresh_tokens
         where id in (
             select id
             from refresh_tokens
             where revoked_at < $1
             order by revoked_at
             limit $2
             for update skip locked
         )",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes audit rows from before `before`.
pub async fn delete_audit_rows(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "delete from audit_log
         where id in (
             select id
             from audit_log
             where at < $1
             order by at
             limit $2
             for update skip locked
         )",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Which sessions are over, and which are to be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    pub now: OffsetDateTime,
    /// Who was not seen for longer has no access token that still works.
    pub access_life: Duration,
    /// How long a session is kept after its end.
    pub keep: Duration,
}

/// Looks at the sessions behind `after`, at most `limit` in the order of their ids. Ends those that
/// are too old, or have no refresh token left and were not seen since their access token ended;
/// deletes those that ended long ago, with their tokens. Says how many rows it changed, and the
/// last session that it looked at.
///
/// By primary key rather than by an index of ages: `last_seen_at` changes with every minute of use,
/// and an index on it would make each of these updates dearer.
pub async fn sweep_sessions(
    db: impl PgExecutor<'_>,
    age: Age,
    after: Option<SessionId>,
    limit: i64,
) -> Result<(u64, Option<SessionId>)> {
    let (rows, last): (i64, Option<SessionId>) = sqlx::query_as(
        "with page as (
             select id
             from sessions
             where $1::uuid is null or id > $1
             order by id
             limit $2
         ),
         over as (
             select s.id
             from sessions s
             where s.id in (select id from page)
               and s.ended_at is null
               and s.last_seen_at < $3 - $4 * interval '1 second'
               and (s.expires_at <= $3
                    or not exists (
                        select
                        from refresh_tokens t
                        where t.session_id = s.id
                          and t.used_at is null
                          and t.revoked_at is null
                          and t.expires_at > $3
                    ))
             order by s.id
             for update of s skip locked
         ),
         ended as (
             update sessions
             set ended_at = now(),
                 end_reason = $6
             where id in (select id from over)
             returning id
         ),
         old as (
             select s.id
             from sessions s
             where s.id in (select id from page)
               and s.ended_at < $3 - $5 * interval '1 second'
             order by s.id
             for update of s skip locked
         ),
         deleted as (
             delete from sessions
             where id in (select id from old)
             returning id
         )
         select (select count(*) from ended) + (select count(*) from deleted),
                (select id from page order by id desc limit 1)",
    )
    .bind(after)
    .bind(limit)
    .bind(age.now)
    .bind(age.access_life.as_secs_f64())
    .bind(age.keep.as_secs_f64())
    .bind(EndReason::Expired)
    .fetch_one(db)
    .await?;
    Ok((u64::try_from(rows).unwrap_or_default(), last))
}
