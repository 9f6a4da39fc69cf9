//! A new password for a user who has forgotten theirs, by a link that is sent to their address.
//!
//! Whether an address is known must not show. So [`Accounts::forgot_password`] only puts it into a
//! queue, and [`Accounts::recover`], a task of the node, does what there is to do after the answer.
//!
//! # Invariants
//! - A token sets one password: it is taken away in the transaction that sets it.
//! - A user has one token at a time, and gets a mail at most every [`APART`], on all nodes together.
//!
//! # Failure
//! What waits in the queue is lost with the node, and after some tries without Postgres: whoever
//! misses the mail asks again.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::refresh::Token;
use super::validate;
use super::{Accounts, Client};
use crate::error::{Error, Result};
use crate::mail::{Content, Letter};
use crate::model::session::EndReason;
use crate::store::one_time_tokens::{NewToken, Purpose};
use crate::store::sessions::Which;
use crate::store::users::Account;
use crate::store::{self, audit};

/// Between two mails of one kind to one user, at the least.
pub(super) const APART: Duration = Duration::from_mins(1);
/// Requests that may wait; one more is told `unavailable`.
pub(super) const QUEUE: usize = 256;
/// How often a request is tried while Postgres is away, and how long is waited between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long those that wait may take once the node ends.
const DRAIN: Duration = Duration::from_secs(4);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPassword {
    pub email: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetPassword {
    /// From the link in the mail.
    #[schema(value_type = String)]
    pub token: SecretString,
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    pub new_password: SecretString,
}

/// Somebody has forgotten the password of the account with this address.
pub struct Forgotten {
    email: String,
    client: Client,
}

impl Accounts {
    /// Sends a link to an address, if it is somebody's. The answer does not tell.
    ///
    /// # Errors
    /// `Unavailable` where too many ask at once.
    pub fn forgot_password(&self, request: ForgotPassword, client: Client) -> Result<()> {
        // Nobody has such an address, and Postgres would refuse a NUL as our mistake.
        if !validate::is_plausible(&request.email) {
            return Ok(());
        }
        let waiting = self.inner.forgotten.try_send(Forgotten { email: request.email, client });
        waiting.map_err(|_| Error::unavailable("mail"))
    }

    /// Does what [`Self::forgot_password`] has promised, until `stop`, and then what still waits.
    pub async fn recover(self, mut waiting: mpsc::Receiver<Forgotten>, stop: CancellationToken) {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        let work = async {
            let mut is_open = true;
            loop {
                tokio::select! {
                    next = waiting.recv() => match next {
                        Some(forgotten) => self.send_link(&forgotten).await,
                        None => return,
                    },
                    () = stop.cancelled(), if is_open => {
                        is_open = false;
                        waiting.close();
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = late => tracing::warn!("some who forgot their passwords get no mail"),
        }
    }

    async fn send_link(&self, forgotten: &Forgotten) {
        for attempt in 1..=TRIES {
            match self.try_to_send_link(forgotten).await {
                Ok(()) => return,
                Err(error @ Error::Unavailable { .. }) if attempt < TRIES => {
                    tracing::debug!(%error, "a password's reset has to wait");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a password's reset was given up");
                    return;
                }
            }
        }
    }

    async fn try_to_send_link(&self, forgotten: &Forgotten) -> Result<()> {
        let pool = &self.inner.pool;
        let Some(account) = store::users::find_account_by_email(pool, &forgotten.email).await?
        else {
            return Ok(());
        };
        let Account { id, username, email, .. } = account;
        let token = Token::random();
        let new = NewToken {
            user_id: id,
            purpose: Purpose::PasswordReset,
            token_hash: &token.hash(),
            email: &email,
            life: self.inner.lives.password_reset,
        };
        let mut db = pool.begin().await?;
        if !store::one_time_tokens::issue(&mut *db, new, APART).await? {
            return Ok(());
        }
        let entry = audit::Entry {
            actor: None,
            action: "user.passwordResetAsked",
            subject: &id.to_string(),
            detail: json!({}),
            ip: Some(forgotten.client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        let content = Content::ResetPassword {
            token: token.to_text().into(),
            life: self.inner.lives.password_reset,
            asked_from: forgotten.client.address,
        };
        self.inner.mailer.send(Letter { user_id: id, username, email, content });
        Ok(())
    }

    /// Sets a new password by the token of a mail. All sessions of the user end.
    ///
    /// # Errors
    /// `Invalid` for a password that may not be chosen (the token stays good), and for a token that
    /// is unknown, used, or over; `Unavailable`.
    pub async fn reset_password(&self, request: ResetPassword, client: &Client) -> Result<()> {
        let purpose = Purpose::PasswordReset;
        let token = Token::parse(request.token.expose_secret()).ok_or_else(bad_token)?;
        let hash = token.hash();
        let pool = &self.inner.pool;
        // Only for who has a token a password is looked at, and hashed.
        let owner = store::one_time_tokens::find_owner(pool, purpose, &hash).await?;
        let owner = owner.ok_or_else(bad_token)?;
        self.check_new_password(&owner.username, &owner.email, &request.new_password)?;
        let new_hash = self.inner.passwords.hash(&request.new_password).await?;

        let mut db = pool.begin().await?;
        let owner = store::one_time_tokens::take(&mut *db, purpose, &hash).await?;
        let owner = owner.ok_or_else(bad_token)?;
        store::users::set_password_hash(&mut *db, owner.id, &new_hash).await?;
        let reason = EndReason::PasswordChanged;
        let ended = store::sessions::end(&mut db, owner.id, Which::All, reason).await?;
        let entry = audit::Entry {
            actor: None,
            action: "user.passwordReset",
            subject: &owner.id.to_string(),
            detail: json!({ "sessionIds": ended }),
            ip: Some(client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        self.announce(owner.id, &ended, reason);
        self.inner.mailer.send(Letter {
            user_id: owner.id,
            username: owner.username,
            email: owner.email,
            content: Content::PasswordReset { reset_from: client.address },
        });
        Ok(())
    }
}

/// The same for all that can be wrong with a token of a mail.
pub(super) fn bad_token() -> Error {
    Error::invalid("token", "unknown, used, or expired")
}
