//! Table `user_last_seen`: when somebody was last known to come or go.

use sqlx::PgExecutor;
use sqlx::types::time::OffsetDateTime;

use crate::error::Result;
use crate::model::id::UserId;

/// Moves the moments of these users forward, never back. One user may stand in it once. Who does
/// not exist, or was deleted, is left out.
///
/// The moments are those of the nodes that saw the sockets open and close; none is stored that
/// Postgres's own clock has not reached. Rows are taken in the order of their keys, so that two
/// nodes that write the same users wait for each other rather than deadlock.
pub async fn advance(db: impl PgExecutor<'_>, moments: &[(UserId, OffsetDateTime)]) -> Result<()> {
    let (users, ats): (Vec<UserId>, Vec<OffsetDateTime>) = moments.iter().copied().unzip();
    sqlx::query(
        "insert into user_last_seen as known (user_id, at)
         select seen.user_id, least(seen.at, now())
         from unnest($1::uuid[], $2::timestamptz[]) as seen (user_id, at)
         join users u on u.id = seen.user_id and u.deleted_at is null
         order by seen.user_id
         on conflict (user_id) do update set at = excluded.at where known.at < excluded.at",
    )
    .bind(users)
    .bind(ats)
    .execute(db)
    .await?;
    Ok(())
}

/// When these users were last seen; who never was is left out.
pub async fn of(
    db: impl PgExecutor<'_>,
    users: &[UserId],
) -> Result<Vec<(UserId, OffsetDateTime)>> {
    let found = sqlx::query_as("select user_id, at from user_last_seen where user_id = any($1)")
        .bind(users)
        .fetch_all(db)
        .await?;
    Ok(found)
}
