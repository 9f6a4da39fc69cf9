//! Noticing ended sessions that nobody told this node of.
//!
//! Ends are announced through Redis, which may be away, and an announcement may be lost. So each
//! node asks Postgres once a second which sessions ended lately: one range of an index, however many
//! sockets there are. Each look goes back further than the last one, for two reasons: an end becomes
//! visible only when its transaction commits, and a socket that was being authenticated when its
//! session ended may have been let in just after the last look.
//!
//! # Failure
//! While Postgres is away no session can end either, but for those that were ended just before; the
//! first look afterwards goes back over the whole time. What a look leaves out, because there was
//! more than [`MOST`], is noticed with the sockets' heartbeats, and by requests within a second.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Accounts;
use crate::error::{Error, Result};
use crate::metrics::PostgresCall;
use crate::model::session::SessionEnded;
use crate::store::{self, Pool};

/// The contract allows 2 s from an end to the close of its sockets.
const EVERY: Duration = Duration::from_secs(1);
/// How long a look may take before the next one is due in its place.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far a look goes back beyond the last one. Transactions that end a session take milliseconds.
const OVERLAP: Duration = Duration::from_secs(10);
/// Ends that one look takes in: the newest ones.
const MOST: i64 = 10_000;

impl Accounts {
    /// Looks until `stop`, on a connection that nobody else waits for. `tell` hears of each end
    /// about ten times.
    pub async fn watch_ends(
        self,
        pool: Pool,
        tell: impl Fn(SessionEnded) + Send,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looked_at, mut is_failing) = (Instant::now(), false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let began = Instant::now();
            let looking = timeout(PATIENCE, self.look(&pool, looked_at.elapsed() + OVERLAP));
            let looked = tokio::select! {
                looked = looking => looked.unwrap_or(Err(Error::Timeout)),
                () = stop.cancelled() => return,
            };
            match looked {
                Ok(ended) => {
                    looked_at = began;
                    is_failing = false;
                    ended.into_iter().for_each(&tell);
                }
                Err(error) => {
                    // Once for each time that it begins, not with each look.
                    if !is_failing {
                        tracing::warn!(%error, "ended sessions cannot be looked for");
                    }
                    is_failing = true;
                }
            }
        }
    }

    async fn look(&self, pool: &Pool, back: Duration) -> Result<Vec<SessionEnded>> {
        let began = Instant::now();
        let ended = store::sessions::ended_lately(pool, back.as_secs_f64(), MOST).await;
        self.inner.metrics.postgres.note(PostgresCall::EndedSessions, began, &ended);
        let ended = ended?;
        for end in &ended {
            self.inner.session_check.set_ended(end.session_id, end.user_id);
        }
        Ok(ended)
    }
}
