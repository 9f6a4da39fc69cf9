//! Work that is done by the clock: what has expired is ended and deleted.
//!
//! Every node of the role `jobs` looks at the timetable twice a minute. Whoever finds a slot whose
//! work is not done claims it in Postgres, and so one node does it. A slot that was missed while
//! no node ran is done at the next start, once, however many were missed.
//!
//! # Invariants
//! - A batch and the renewal of its claim are one transaction: a runner that was paused and lost its
//!   claim can change nothing.
//! - A slot's work is begun again only where its runner died, failed or was stopped in the middle.
//!   Every batch can be repeated.
//!
//! # Failure
//! A runner that dies is replaced when its claim has lapsed, a minute later. One that fails gives
//! its claim up for five minutes, and then any node tries again. Without Postgres nothing is done,
//! and nothing is due any less afterwards.

mod timetable;
mod work;

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use sqlx::types::time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::account::JobStatus;
use crate::store::jobs::JobRow;
use crate::store::{self, Pool};

pub use timetable::Timetable;
pub use work::Job;

use work::{Keep, Progress};

/// Between two looks at the timetable.
const LOOK: Duration = Duration::from_secs(30);
/// How long a claim outlasts its last renewal; a batch has 15 s at the most.
const CLAIM: Duration = Duration::from_mins(1);
/// Between two batches, so that a job never has Postgres for itself.
const PAUSE: Duration = Duration::from_millis(20);
/// Before a slot is tried again that has failed.
const RETRY: Duration = Duration::from_mins(5);
/// A run ends here, however much is left: that is the next try's.
const LONGEST_RUN: Duration = Duration::from_hours(2);

/// The timetable and whoever works it off. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    pool: Pool,
    node: Arc<str>,
    keep: Keep,
    metrics: Arc<Metrics>,
}

/// What became of a slot that was claimed.
enum Run {
    Done,
    /// The node ends.
    Stopped,
    /// Another run has the claim: this one was away for too long.
    ClaimLost,
}

impl Jobs {
    pub fn new(pool: Pool, config: &Config, metrics: Arc<Metrics>) -> Self {
        Self { pool, node: config.node.name.as_str().into(), keep: Keep::new(config), metrics }
    }

    /// Works until `stop`. A batch that is under way is finished first.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let looked = match store::jobs::now(&self.pool).await {
                Ok(now) => self.run_due(now, &stop).await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                tracing::warn!(%error, "the timetable could not be looked at");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Does all work that is due at `now` and that nobody else does. Says which jobs it did.
    ///
    /// # Errors
    /// `Unavailable`. A job that fails is logged and counted, and no error.
    pub async fn run_due(&self, now: OffsetDateTime, stop: &CancellationToken) -> Result<Vec<Job>> {
        let mut done = Vec::new();
        for (job, due) in self.open_slots(now).await? {
            let (run, name) = (Uuid::now_v7(), job.name());
            if stop.is_cancelled() {
                break;
            }
            if store::jobs::claim(&self.pool, name, run, &self.node, due, CLAIM).await?
                && self.run_one(job, run, (due, now), stop).await
            {
                done.push(job);
            }
        }
        if !done.is_empty() {
            self.open_slots(now).await?;
        }
        Ok(done)
    }

    /// How all jobs stand.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn status(&self) -> Result<Vec<JobStatus>> {
        status(&self.pool).await
    }

    /// The jobs whose work is not done up to their last slot; keeps the gauges, too.
    async fn open_slots(&self, now: OffsetDateTime) -> Result<Vec<(Job, OffsetDateTime)>> {
        let mut rows = store::jobs::list(&self.pool).await?;
        if rows.len() < Job::ALL.len() {
            let names: Vec<&str> = Job::ALL.iter().map(|job| job.name()).collect();
            store::jobs::add(&self.pool, &names).await?;
            rows = store::jobs::list(&self.pool).await?;
        }
        let mut open = Vec::new();
        for job in Job::ALL {
            let due = job.timetable().last_due(now);
            let row = rows.iter().find(|row| row.name == job.name());
            let is_open = row.and_then(|row| row.last_due).is_none_or(|last_due| last_due < due);
            let gauges = gauges(&self.metrics, job);
            gauges.late.set(if is_open { (now - due).as_seconds_f64() } else { 0.0 });
            let finished = row.filter(|row| row.outcome.as_deref() == Some("done"));
            if let Some(at) = finished.and_then(|row| row.last_finished_at) {
                gauges.last_success.set((at - OffsetDateTime::UNIX_EPOCH).as_seconds_f64());
            }
            if is_open {
                open.push((job, due));
            }
        }
        Ok(open)
    }

    /// Does a claimed slot's work, and notes what came of it; true where it is done.
    async fn run_one(
        &self,
        job: Job,
        run: Uuid,
        (due, now): (OffsetDateTime, OffsetDateTime),
        stop: &CancellationToken,
    ) -> bool {
        let working = tokio::time::timeout(LONGEST_RUN, self.work(job, run, now, stop));
        let outcome = working.await.unwrap_or(Err(Error::Timeout));
        let (pool, name) = (&self.pool, job.name());
        let metrics = gauges(&self.metrics, job);
        let (noted, is_done) = match outcome {
            Ok(Run::Done) => (store::jobs::finish(pool, name, run, due).await, true),
            Ok(Run::Stopped) => {
                let noted = store::jobs::give_up(pool, name, run, "stopped", Duration::ZERO);
                (noted.await, false)
            }
            Ok(Run::ClaimLost) => {
                tracing::warn!(
                    job = name,
                    "another node goes on with a job that was too slow here"
                );
                (Ok(()), false)
            }
            Err(error) => {
                metrics.failed.increment(1);
                tracing::error!(job = name, %error, "a job has failed; it is tried again");
                (store::jobs::give_up(pool, name, run, "failed", RETRY).await, false)
            }
        };
        if let Err(error) = noted {
            // The claim lapses by itself, and the slot is done once more.
            tracing::warn!(job = name, %error, "the end of a job was not noted");
            return false;
        }
        if is_done {
            metrics.done.increment(1);
            tracing::info!(job = name, "a job is done");
        }
        is_done
    }

    async fn work(
        &self,
        job: Job,
        run: Uuid,
        now: OffsetDateTime,
        stop: &CancellationToken,
    ) -> Result<Run> {
        let mut progress = Progress::default();
        loop {
            let mut db = self.pool.begin().await?;
            // First, as it locks the job's row: a second run waits here until this batch is over.
            if !store::jobs::renew(&mut *db, job.name(), run, CLAIM).await? {
                return Ok(Run::ClaimLost);
            }
            let batch = work::batch(&mut db, job, self.keep, now, &mut progress).await?;
            store::jobs::count(&mut *db, job.name(), run, batch.rows).await?;
            db.commit().await?;
            gauges(&self.metrics, job).rows.increment(batch.rows);
            if !batch.goes_on {
                return Ok(Run::Done);
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return Ok(Run::Stopped),
            }
        }
    }
}

/// How all jobs stand, whether they have run before or not.
///
/// # Errors
/// `Unavailable`.
pub async fn status(pool: &Pool) -> Result<Vec<JobStatus>> {
    let now = store::jobs::now(pool).await?;
    let rows = store::jobs::list(pool).await?;
    let status = |job: &Job| {
        let row = rows.iter().find(|row| row.name == job.name());
        status_of(*job, row, now)
    };
    Ok(Job::ALL.iter().map(status).collect())
}

fn status_of(job: Job, row: Option<&JobRow>, now: OffsetDateTime) -> JobStatus {
    let timetable = job.timetable();
    JobStatus {
        name: job.name().to_owned(),
        timetable: timetable.to_string(),
        next_due_at: timetable.next_due(now).into(),
        last_due_at: row.and_then(|row| row.last_due).map(Into::into),
        last_started_at: row.and_then(|row| row.last_started_at).map(Into::into),
        last_finished_at: row.and_then(|row| row.last_finished_at).map(Into::into),
        outcome: row.and_then(|row| row.outcome.clone()),
        rows: row.map_or(0, |row| row.rows),
        node: row.and_then(|row| row.node.clone()),
    }
}

/// A job's own metrics.
struct Gauges<'a> {
    done: &'a Counter,
    failed: &'a Counter,
    rows: &'a Counter,
    late: &'a Gauge,
    last_success: &'a Gauge,
}

fn gauges(metrics: &Metrics, job: Job) -> Gauges<'_> {
    macro_rules! of {
        ($done:ident, $failed:ident, $rows:ident, $late:ident, $last_success:ident) => {
            Gauges {
                done: &metrics.$done,
                failed: &metrics.$failed,
                rows: &metrics.$rows,
                late: &metrics.$late,
                last_success: &metrics.$last_success,
            }
        };
    }
    match job {
        Job::ExpiredRefreshTokens => {
            of!(expired_done, expired_failed, expired_rows, expired_late, expired_last)
        }
        Job::InactiveSessions => {
            of!(sessions_done, sessions_failed, sessions_rows, sessions_late, sessions_last)
        }
        Job::RevokedRefreshTokens => {
            of!(revoked_done, revoked_failed, revoked_rows, revoked_late, revoked_last)
        }
        Job::OldAuditRows => of!(audit_done, audit_failed, audit_rows, audit_late, audit_last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_operators_has_the_timetable() {
        let page = include_str!("../../docs/OPERATIONS.md");
        for job in Job::ALL {
            let when = job.timetable().to_string();
            let row = format!("| `{}` | {} |", job.name(), when.trim_end_matches(" UTC"));
            assert!(page.contains(&row), "OPERATIONS.md should have a row {row}");
        }
    }
}
