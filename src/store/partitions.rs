//! Tables `partitions` and `cluster_settings`: the fence, and what all nodes must agree on.

use sqlx::{PgConnection, PgExecutor};

use crate::error::Result;

/// Adds the partitions' rows and records their number.
///
/// Returns the number that is in force: a cluster that was begun with another one keeps it, and a
/// node that differs must not start, since it would map chats elsewhere.
pub async fn agree_on_count(db: &mut PgConnection, count: u16) -> Result<u16> {
    let stored: String = sqlx::query_scalar(
        "insert into cluster_settings (name, value)
         values ('partitions', $1)
         on conflict (name) do update set value = cluster_settings.value
         returning value",
    )
    .bind(count.to_string())
    .fetch_one(&mut *db)
    .await?;
    let stored = stored.parse().unwrap_or(0);
    if stored == count {
        sqlx::query(
            "insert into partitions (id)
             select generate_series(0, $1)::int2
             on conflict (id) do nothing",
        )
        .bind(i32::from(count) - 1)
        .execute(db)
        .await?;
    }
    Ok(stored)
}

/// Takes a partition over: whoever held it can commit nothing for it from here on. Waits for a
/// batch that is just being committed.
pub async fn take_over(db: impl PgExecutor<'_>, partition: i16, owner: &str) -> Result<i64> {
    let fence = sqlx::query_scalar(
        "update partitions
         set fence = fence + 1,
             owner = $2,
             taken_at = now()
         where id = $1
         returning fence",
    )
    .bind(partition)
    .bind(owner)
    .fetch_one(db)
    .await?;
    Ok(fence)
}

/// Which of these (partition, fence) still stand. They cannot move before the transaction ends.
pub async fn hold(db: impl PgExecutor<'_>, terms: &[(i16, i64)]) -> Result<Vec<i16>> {
    let (ids, fences): (Vec<i16>, Vec<i64>) = terms.iter().copied().unzip();
    let held = sqlx::query_scalar(
        "select partitions.id
         from unnest($1::int2[], $2::int8[]) term (id, fence)
         join partitions on partitions.id = term.id and partitions.fence = term.fence
         for share of partitions",
    )
    .bind(ids)
    .bind(fences)
    .fetch_all(db)
    .await?;
    Ok(held)
}
