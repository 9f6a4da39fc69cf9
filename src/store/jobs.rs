//! Table `jobs`: which work of the timetable is done, and who may do it now.
//!
//! A claim is a name of the run and a time. Claiming is one statement, so of any number of nodes
//! one gets it. A run that died lets its claim lapse, and another begins the same slot anew.

use std::time::Duration;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::error::Result;

#[derive(Clone, Debug, FromRow)]
pub struct JobRow {
    pub name: String,
    pub last_due: Option<OffsetDateTime>,
    pub last_started_at: Option<OffsetDateTime>,
    pub last_finished_at: Option<OffsetDateTime>,
    pub outcome: Option<String>,
    pub rows: i64,
    pub node: Option<String>,
}

/// The time by the clock that all nodes share.
pub async fn now(db: impl PgExecutor<'_>) -> Result<OffsetDateTime> {
    Ok(sqlx::query_scalar("select now()").fetch_one(db).await?)
}

/// Adds the rows of jobs that have none yet.
pub async fn add(db: impl PgExecutor<'_>, names: &[&str]) -> Result<()> {
    sqlx::query(
        "insert into jobs (name)
         select unnest($1::text[])
         on conflict (name) do nothing",
    )
    .bind(names)
    .execute(db)
    .await?;
    Ok(())
}

pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<JobRow>> {
    let rows = sqlx::query_as(
        "select name, last_due, last_started_at, last_finished_at, outcome, rows, node
         from jobs
         order by name",
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Claims a job for the slot `due`, unless that is done or another run holds the claim.
pub async fn claim(
    db: impl PgExecutor<'_>,
    name: &str,
    run: Uuid,
    node: &str,
    due: OffsetDateTime,
    life: Duration,
) -> Result<bool> {
    let done = sqlx::query(
        "update jobs
         set run_id = $2,
             node = $3,
             claimed_until = now() + $5 * interval '1 second',
             last_started_at = now(),
             outcome = 'running',
             rows = 0
         where name = $1
           and (last_due is null or last_due < $4)
           and (claimed_until is null or claimed_until <= now())",
    )
    .bind(name)
    .bind(run)
    .bind(node)
    .bind(due)
    .bind(life.as_secs_f64())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews a claim for as long as the transaction takes and `life` longer. False where another run
/// has it: then nothing of the transaction may be committed.
pub async fn renew(db: impl PgExecutor<'_>, name: &str, run: Uuid, life: Duration) -> Result<bool> {
    let done = sqlx::query(
        "update jobs
         set claimed_until = now() + $3 * interval '1 second'
         where name = $1
           and run_id = $2",
    )
    .bind(name)
    .bind(run)
    .bind(life.as_secs_f64())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts what a batch did, in its transaction.
pub async fn count(db: impl PgExecutor<'_>, name: &str, run: Uuid, rows: u64) -> Result<()> {
    sqlx::query(
        "update jobs
         set rows = rows + $3
         where name = $1
           and run_id = $2",
    )
    .bind(name)
    .bind(run)
    .bind(i64::try_from(rows).unwrap_or(i64::MAX))
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that the work of the slot is done.
pub async fn finish(
    db: impl PgExecutor<'_>,
    name: &str,
    run: Uuid,
    due: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "update jobs
         set last_due = $3,
             last_finished_at = now(),
             outcome = 'done',
             run_id = null,
             claimed_until = null
         where name = $1
           and run_id = $2",
    )
    .bind(name)
    .bind(run)
    .bind(due)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives the claim up, with the slot's work not done: `failed` or `stopped`. Nobody begins it
/// again before `pause` is over.
pub async fn give_up(
    db: impl PgExecutor<'_>,
    name: &str,
    run: Uuid,
    outcome: &str,
    pause: Duration,
) -> Result<()> {
    sqlx::query(
        "update jobs
         set last_finished_at = now(),
             outcome = $3,
             run_id = null,
             claimed_until = now() + $4 * interval '1 second'
         where name = $1
           and run_id = $2",
    )
    .bind(name)
    .bind(run)
    .bind(outcome)
    .bind(pause.as_secs_f64())
    .execute(db)
    .await?;
    Ok(())
}
