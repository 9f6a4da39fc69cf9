//! Ending one's own session, or all of them.

use serde_json::json;

use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::model::id::SessionId;
use crate::model::session::EndReason;
use crate::store::sessions::Which;
use crate::store::{self, audit};

impl Accounts {
    /// Ends the caller's session.
    ///
    /// # Errors
    /// `Unavailable`: then it has not ended.
    pub async fn sign_out(&self, caller: Caller, client: &Client) -> Result<()> {
        let which = Which::One(caller.session_id);
        self.end_sessions(caller, which, EndReason::Logout, client).await?;
        Ok(())
    }

    /// Ends all sessions of the caller, this one too.
    ///
    /// # Errors
    /// `Unavailable`: then none has ended.
    pub async fn sign_out_everywhere(&self, caller: Caller, client: &Client) -> Result<()> {
        self.end_sessions(caller, Which::All, EndReason::LogoutAll, client).await?;
        Ok(())
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// `NotFound` where it is not theirs, or over already.
    pub async fn end_session(
        &self,
        caller: Caller,
        session_id: SessionId,
        client: &Client,
    ) -> Result<()> {
        let which = Which::One(session_id);
        let ended = self.end_sessions(caller, which, EndReason::Revoked, client).await?;
        if ended.is_empty() { Err(Error::NotFound("session")) } else { Ok(()) }
    }

    async fn end_sessions(
        &self,
        caller: Caller,
        which: Which,
        reason: EndReason,
        client: &Client,
    ) -> Result<Vec<SessionId>> {
        let mut db = self.inner.pool.begin().await?;
        let ended = store::sessions::end(&mut db, caller.user_id, which, reason).await?;
        if !ended.is_empty() {
            let entry = audit::Entry {
                actor: Some(caller.user_id),
                action: "session.end",
                subject: &caller.user_id.to_string(),
                detail: json!({ "sessionIds": ended, "reason": reason }),
                ip: Some(client.address),
            };
            audit::add(&mut *db, entry).await?;
        }
        db.commit().await?;
        self.announce(caller.user_id, &ended, reason);
        Ok(ended)
    }
}
