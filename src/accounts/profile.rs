//! Who a user is, for themselves and for others.

use super::{Accounts, Caller};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::user::{Me, User};
use crate::store;

impl Accounts {
    /// The caller.
    ///
    /// # Errors
    /// `NotFound` where the account is gone.
    pub async fn me(&self, caller: Caller) -> Result<Me> {
        let found = store::users::find(&self.inner.pool, caller.user_id).await?;
        found.ok_or(Error::NotFound("user"))
    }

    /// Anybody, as the caller may see them. Who was deleted is a tombstone: their messages still
    /// name them.
    ///
    /// # Errors
    /// `NotFound` where there is no such user.
    pub async fn user(&self, _caller: Caller, id: UserId) -> Result<User> {
        let found = store::users::shown(&self.inner.pool, &[id]).await?;
        found.into_iter().next().ok_or(Error::NotFound("user"))
    }
}
