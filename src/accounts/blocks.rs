//! Whom a user does not want to hear of. What a block does on each road stands in
//! `docs/BLOCKING.md`.

use sqlx::types::time::OffsetDateTime;

use super::{Accounts, Caller};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::user::{PersonChanged, User};
use crate::store;
use crate::store::blocks::Added;

/// People whom one user may block: nodes keep them in memory while the user is connected, at 16
/// bytes each. One more is refused as `conflict`.
const MOST: i64 = 10_000;

impl Accounts {
    /// Blocks somebody; again is as once.
    ///
    /// # Errors
    /// `Invalid` for oneself; `NotFound` where there is no such user; `Conflict` at the bound.
    pub async fn block(&self, caller: Caller, other: UserId) -> Result<()> {
        let user = caller.user_id;
        if user == other {
            return Err(Error::invalid("userId", "somebody other than yourself"));
        }
        let mut db = self.inner.pool.begin().await?;
        match store::blocks::add(&mut *db, user, other, MOST).await? {
            Added::Before => return Ok(()),
            Added::Nobody => return Err(Error::NotFound("user")),
            Added::TooMany => return Err(Error::Conflict("too many people are blocked")),
            Added::Now => store::visibility::note_change(&mut db, &[user, other]).await?,
        }
        db.commit().await?;
        self.tell(PersonChanged::Visibility { users: vec![user, other] });
        Ok(())
    }

    /// Ends a block; without one there is nothing to do.
    ///
    /// # Errors
    /// `Invalid` for oneself; `NotFound` where there is no such user, and no block either.
    pub async fn unblock(&self, caller: Caller, other: UserId) -> Result<()> {
        let user = caller.user_id;
        if user == other {
            return Err(Error::invalid("userId", "somebody other than yourself"));
        }
        let mut db = self.inner.pool.begin().await?;
        if store::blocks::end(&mut *db, user, other).await? {
            store::visibility::note_change(&mut db, &[user, other]).await?;
            db.commit().await?;
            self.tell(PersonChanged::Visibility { users: vec![user, other] });
            return Ok(());
        }
        let found = store::users::by_ids(&mut *db, &[other]).await?;
        if found.is_empty() { Err(Error::NotFound("user")) } else { Ok(()) }
    }

    /// Whom the caller blocks, the newest first; and where the next part begins.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn blocks(
        &self,
        caller: Caller,
        after: Option<(OffsetDateTime, UserId)>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<(OffsetDateTime, UserId)>)> {
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut db = self.inner.pool.acquire().await?;
        let mut rows = store::blocks::list(&mut *db, caller.user_id, after, most).await?;
        let goes_on = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| goes_on).map(|(user, at)| (*at, *user));
        let ids: Vec<UserId> = rows.into_iter().map(|(user, _)| user).collect();
        Ok((store::users::in_order(&mut *db, &ids).await?, next))
    }
}
