//! Whether a session lives, asked on every request and answered from memory for a second.
//!
//! An end on another node is so noticed after a second at the latest, even while nothing but
//! Postgres connects the two. While Postgres is out of reach, a session that was alive at the last
//! answer counts as alive for half a minute more; one that is not known is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::metrics::{Metrics, PostgresCall};
use crate::model::id::{SessionId, UserId};
use crate::store::{self, Pool};

/// How long an answer holds; the contract allows 2 s with everything in between.
const FRESH: Duration = Duration::from_secs(1);
/// How long "alive" outlasts Postgres.
const GRACE: Duration = Duration::from_secs(30);
/// How long Postgres may take, so that a hanging one does not hold up every request.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sessions remembered, at about 64 bytes each. Beyond it the stale ones go, then all of them: that
/// costs a query each, and nothing else.
const CAPACITY: usize = 100_000;

pub(super) struct SessionCheck {
    metrics: Arc<Metrics>,
    known: Mutex<HashMap<SessionId, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    user_id: UserId,
    alive: bool,
    /// When Postgres was asked; its answer was true then or later.
    confirmed_at: Instant,
    /// Until when not to ask again.
    fresh_until: Instant,
}

impl SessionCheck {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, known: Mutex::default() }
    }

    pub(super) async fn is_alive(
        &self,
        pool: &Pool,
        id: SessionId,
        user_id: UserId,
    ) -> Result<bool> {
        let asked_at = Instant::now();
        let known = self.recall(id).filter(|known| known.user_id == user_id);
        if let Some(known) = known.filter(|known| asked_at < known.fresh_until) {
            return Ok(known.alive);
        }
        let asked = tokio::time::timeout(PATIENCE, ask(pool, id, user_id)).await;
        self.metrics.postgres.took(PostgresCall::Session, asked_at, matches!(asked, Ok(Ok(_))));
        match asked {
            Ok(Ok(alive)) => {
                let fresh_until = asked_at + FRESH;
                self.remember(id, Known { user_id, alive, confirmed_at: asked_at, fresh_until });
                Ok(alive)
            }
            Ok(Err(error @ Error::Internal(_))) => Err(error),
            Ok(Err(_)) | Err(_) => self.without_postgres(id, known),
        }
    }

    pub(super) fn forget(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    /// Notes what Postgres has just said without being asked for this one.
    pub(super) fn set_ended(&self, id: SessionId, user_id: UserId) {
        let now = Instant::now();
        self.remember(
            id,
            Known { user_id, alive: false, confirmed_at: now, fresh_until: now + FRESH },
        );
    }

    /// Decides by what was known before, and spares Postgres for a second.
    fn without_postgres(&self, id: SessionId, known: Option<Known>) -> Result<bool> {
        let now = Instant::now();
        let unavailable = Error::unavailable("the database");
        let known = known.filter(|known| known.alive && now < known.confirmed_at + GRACE);
        // Forgotten meanwhile means ended meanwhile.
        let known = known.filter(|_| self.recall(id).is_some()).ok_or(unavailable)?;
        let fresh_until = (now + FRESH).min(known.confirmed_at + GRACE);
        self.remember(id, Known { fresh_until, ..known });
        Ok(true)
    }

    fn recall(&self, id: SessionId) -> Option<Known> {
        self.lock().get(&id).copied()
    }

    fn remember(&self, id: SessionId, known: Known) {
        let mut all = self.lock();
        if all.len() >= CAPACITY && !all.contains_key(&id) {
            let now = Instant::now();
            all.retain(|_, other| now < other.fresh_until);
            if all.len() >= CAPACITY {
                all.clear();
            }
        }
        all.insert(id, known);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().expect("nothing panics while it is held")
    }
}

async fn ask(pool: &Pool, id: SessionId, user_id: UserId) -> Result<bool> {
    let Some(found) = store::sessions::liveness(pool, id, user_id).await? else {
        return Ok(false);
    };
    if found.alive && found.seen_long_ago {
        store::sessions::set_seen(pool, id).await?;
    }
    Ok(found.alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> SessionCheck {
        SessionCheck::new(Metrics::new("n1").0)
    }

    /// A pool to a port where nobody listens.
    fn no_postgres() -> Pool {
        sqlx::postgres::PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(100))
            .connect_lazy("postgresql://nobody@127.0.0.1:1/none")
            .unwrap()
    }

    fn known(user_id: UserId, confirmed_at: Instant) -> Known {
        Known { user_id, alive: true, confirmed_at, fresh_until: confirmed_at }
    }

    #[tokio::test]
    async fn without_postgres_only_the_lately_confirmed_are_alive() {
        let (check, pool, user) = (check(), no_postgres(), UserId::new());
        let (lately, long_ago) = (SessionId::new(), SessionId::new());
        let now = Instant::now();
        check.remember(lately, known(user, now));
        check.remember(long_ago, known(user, now.checked_sub(GRACE).unwrap()));
        assert!(check.is_alive(&pool, lately, user).await.unwrap());
        assert!(check.is_alive(&pool, lately, UserId::new()).await.is_err(), "another user's");
        assert!(check.is_alive(&pool, long_ago, user).await.is_err());
        assert!(check.is_alive(&pool, SessionId::new(), user).await.is_err());
        check.forget(lately);
        assert!(check.is_alive(&pool, lately, user).await.is_err(), "it was ended");
        check.set_ended(lately, user);
        assert!(!check.is_alive(&pool, lately, user).await.unwrap(), "that much is known");
    }

    #[test]
    fn the_memory_is_bounded() {
        let (check, user, now) = (check(), UserId::new(), Instant::now());
        for _ in 0..CAPACITY + 10 {
            check.remember(SessionId::new(), known(user, now));
        }
        assert!(check.lock().len() <= CAPACITY);
    }
}
