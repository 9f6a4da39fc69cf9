//! What a user sees of their sessions and refresh tokens.

use super::{Accounts, Caller};
use crate::error::Result;
use crate::model::id::{SessionId, TokenId};
use crate::model::session::{RefreshToken, Session};
use crate::store;

impl Accounts {
    /// The caller's live sessions, newest first, those before `before`.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sessions(
        &self,
        caller: Caller,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let Caller { user_id, session_id, .. } = caller;
        store::sessions::list(&self.inner.pool, user_id, session_id, before, limit).await
    }

    /// The caller's refresh tokens, newest first, those before `before`: never a token itself.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn refresh_tokens(
        &self,
        caller: Caller,
        before: Option<TokenId>,
        limit: usize,
    ) -> Result<Vec<RefreshToken>> {
        store::refresh_tokens::list(&self.inner.pool, caller.user_id, before, limit).await
    }
}
