//! Table `user_blocks`: who does not want to hear of whom.

use std::collections::{HashMap, HashSet};

use sqlx::PgExecutor;
use sqlx::types::time::OffsetDateTime;

use crate::error::Result;
use crate::model::id::UserId;

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Now,
    Before,
    /// There is nobody to block.
    Nobody,
    /// The blocker blocks too many already.
    TooMany,
}

/// Lets `user` block `other`, unless they block `most` already. Two calls at once may pass that by
/// one.
pub async fn add(db: impl PgExecutor<'_>, user: UserId, other: UserId, most: i64) -> Result<Added> {
    let (exists, before, is_full, is_added): (bool, bool, bool, bool) = sqlx::query_as(
        "with known as (
             select exists (
                        select from users where id = $2 and deleted_at is null
                    ) as is_there,
                    exists (
                        select from user_blocks where blocker_id = $1 and blocked_id = $2
                    ) as before,
                    (select count(*) from user_blocks where blocker_id = $1) >= $3 as is_full
         ),
         added as (
             insert into user_blocks (blocker_id, blocked_id)
             select $1, $2
             from known
             where is_there and not before and not is_full
             on conflict do nothing
             returning blocked_id
         )
         select is_there, before, is_full, exists (select from added)
         from known",
    )
    .bind(user)
    .bind(other)
    .bind(most)
    .fetch_one(db)
    .await?;
    Ok(match (exists, before, is_full, is_added) {
        (false, ..) => Added::Nobody,
        (true, false, _, true) => Added::Now,
        (true, false, true, false) => Added::TooMany,
        (true, ..) => Added::Before,
    })
}

/// Ends a block; `false` where there was none.
pub async fn end(db: impl PgExecutor<'_>, user: UserId, other: UserId) -> Result<bool> {
    let done = sqlx::query(
        "delete from user_blocks
         where blocker_id = $1
           and blocked_id = $2",
    )
    .bind(user)
    .bind(other)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whom a user blocks, the newest first, behind `after`; accounts that are gone are left out.
pub async fn list(
    db: impl PgExecutor<'_>,
    blocker: UserId,
    after: Option<(OffsetDateTime, UserId)>,
    limit: i64,
) -> Result<Vec<(UserId, OffsetDateTime)>> {
    let (at, user) = after.unzip();
    let rows = sqlx::query_as(
        "select b.blocked_id, b.created_at
         from user_blocks b
         join users u on u.id = b.blocked_id and u.deleted_at is null
         where b.blocker_id = $1
           and ($2::timestamptz is null or (b.created_at, b.blocked_id) < ($2, $3))
         order by b.created_at desc, b.blocked_id desc
         limit $4",
    )
    .bind(blocker)
    .bind(at)
    .bind(user)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Whom each of these users blocks; who blocks nobody is left out.
pub async fn of_users(
    db: impl PgExecutor<'_>,
    blockers: &[UserId],
) -> Result<HashMap<UserId, HashSet<UserId>>> {
    let rows: Vec<(UserId, UserId)> = sqlx::query_as(
        "select blocker_id, blocked_id
         from user_blocks
         where blocker_id = any($1)",
    )
    .bind(blockers)
    .fetch_all(db)
    .await?;
    let mut blocks: HashMap<UserId, HashSet<UserId>> = HashMap::new();
    for (blocker, blocked) in rows {
        blocks.entry(blocker).or_default().insert(blocked);
    }
    Ok(blocks)
}
