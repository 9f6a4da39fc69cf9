//! What each job does, a bounded batch at a time. Every batch may be done twice: it deletes what is
//! there, and what is gone is gone.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use time::Weekday;

use super::timetable::Timetable;
use crate::config::Config;
use crate::error::Result;
use crate::model::id::SessionId;
use crate::store::expiry::{self, Age};

/// Rows that one statement deletes.
const ROWS: i64 = 1_000;
/// Sessions that one statement looks at: their tokens go with them, some hundred for each.
const SESSIONS: i64 = 200;
/// How long a revoked token is kept, so that its owner can see it in the list.
const REVOKED_KEEP: Duration = Duration::from_hours(7 * 24);

/// The work of the timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Also the tokens of mails.
    ExpiredRefreshTokens,
    InactiveSessions,
    RevokedRefreshTokens,
    OldAuditRows,
}

impl Job {
    pub const ALL: [Self; 4] = [
        Self::ExpiredRefreshTokens,
        Self::InactiveSessions,
        Self::RevokedRefreshTokens,
        Self::OldAuditRows,
    ];

    /// Its name in the database, in listings and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExpiredRefreshTokens => "expiredRefreshTokens",
            Self::InactiveSessions => "inactiveSessions",
            Self::RevokedRefreshTokens => "revokedRefreshTokens",
            Self::OldAuditRows => "oldAuditRows",
        }
    }

    /// Tokens before sessions: a session without a token that could be used is over.
    pub fn timetable(self) -> Timetable {
        match self {
            Self::ExpiredRefreshTokens => Timetable::Daily { hour: 2 },
            Self::InactiveSessions => Timetable::Daily { hour: 3 },
            Self::RevokedRefreshTokens => Timetable::Weekly { weekday: Weekday::Sunday, hour: 4 },
            Self::OldAuditRows => Timetable::Daily { hour: 5 },
        }
    }
}

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    access_life: Duration,
    sessions: Duration,
    audit: Duration,
}

impl Keep {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            access_life: config.auth.access_life,
            sessions: config.jobs.session_keep,
            audit: config.jobs.audit_keep,
        }
    }
}

/// Where a job stands between two batches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The last session that was looked at.
    session: Option<SessionId>,
}

/// What a batch did, and whether there is more to do.
pub(super) struct Batch {
    pub(super) rows: u64,
    pub(super) goes_on: bool,
}

impl Batch {
    /// Of a deletion that was limited to [`ROWS`].
    fn of(rows: u64) -> Self {
        Self { rows, goes_on: rows >= ROWS.unsigned_abs() }
    }
}

/// Does the next batch of a job, as of `now`.
pub(super) async fn batch(
    db: &mut PgConnection,
    job: Job,
    keep: Keep,
    now: OffsetDateTime,
    progress: &mut Progress,
) -> Result<Batch> {
    match job {
        Job::ExpiredRefreshTokens => {
            let refresh = expiry::delete_expired_tokens(&mut *db, now, ROWS).await?;
            let one_time = expiry::delete_one_time_tokens(db, now, ROWS).await?;
            let goes_on = refresh.max(one_time) >= ROWS.unsigned_abs();
            Ok(Batch { rows: refresh + one_time, goes_on })
        }
        Job::RevokedRefreshTokens => {
            Ok(Batch::of(expiry::delete_revoked_tokens(db, now - REVOKED_KEEP, ROWS).await?))
        }
        Job::OldAuditRows => {
            Ok(Batch::of(expiry::delete_audit_rows(db, now - keep.audit, ROWS).await?))
        }
        Job::InactiveSessions => {
            let age = Age { now, access_life: keep.access_life, keep: keep.sessions };
            let (rows, last) = expiry::sweep_sessions(db, age, progress.session, SESSIONS).await?;
            progress.session = last;
            Ok(Batch { rows, goes_on: last.is_some() })
        }
    }
}
