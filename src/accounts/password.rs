//! A new password for a user who knows the old one.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::passwords::Verdict;
use super::validate::Problems;
use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::mail::{Content, Letter};
use crate::model::session::EndReason;
use crate::store::one_time_tokens::Purpose;
use crate::store::sessions::Which;
use crate::store::users::Account;
use crate::store::{self, audit};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePassword {
    #[schema(value_type = String)]
    pub current_password: SecretString,
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    pub new_password: SecretString,
}

impl Accounts {
    /// Sets a new password. All other sessions of the user end, and a mail tells of it.
    ///
    /// # Errors
    /// `Invalid` for a password that may not be chosen, or where the current one is wrong;
    /// `Conflict` where it was changed meanwhile; `Unavailable`.
    pub async fn change_password(
        &self,
        caller: Caller,
        request: ChangePassword,
        client: &Client,
    ) -> Result<()> {
        let account = store::users::find_account(&self.inner.pool, caller.user_id).await?;
        let account = account.ok_or(Error::Unauthenticated("the account is gone"))?;
        self.check_new_password(&account.username, &account.email, &request.new_password)?;
        let current = &request.current_password;
        self.confirm_password(&account, current, "currentPassword", client).await?;
        let new_hash = self.inner.passwords.hash(&request.new_password).await?;

        let mut db = self.inner.pool.begin().await?;
        // A link that was sent before must not undo this.
        store::one_time_tokens::remove(&mut *db, account.id, Purpose::PasswordReset).await?;
        let (id, old_hash) = (account.id, &account.password_hash);
        if !store::users::replace_password_hash(&mut *db, id, old_hash, &new_hash).await? {
            return Err(Error::Conflict("the password was changed meanwhile"));
        }
        // Whoever was signed out meanwhile does not change it any more.
        if !store::sessions::hold_all(&mut *db, id).await?.contains(&caller.session_id) {
            return Err(Error::Unauthenticated("the session has ended"));
        }
        let others = Which::AllBut(caller.session_id);
        let reason = EndReason::PasswordChanged;
        let ended = store::sessions::end(&mut db, id, others, reason).await?;
        let entry = audit::Entry {
            actor: Some(id),
            action: "user.passwordChanged",
            subject: &id.to_string(),
            detail: json!({ "sessionIds": ended }),
            ip: Some(client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        self.announce(id, &ended, reason);
        self.inner.mailer.send(Letter {
            user_id: id,
            username: account.username,
            email: account.email,
            content: Content::PasswordChanged { changed_from: client.address },
        });
        Ok(())
    }

    /// Whether a user may choose a password.
    pub(super) fn check_new_password(
        &self,
        username: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<()> {
        let mut problems = Problems::default();
        let context = [username, email.split('@').next().unwrap_or_default()];
        let password = password.expose_secret();
        self.inner.rules.check(&mut problems, "newPassword", password, &context);
        problems.finish()
    }

    /// Refuses who does not know the password of their account, by an error at `path`. Noted, since a
    /// stolen access token may be behind it.
    pub(super) async fn confirm_password(
        &self,
        account: &Account,
        password: &SecretString,
        path: &str,
        client: &Client,
    ) -> Result<()> {
        let stored = Some(account.password_hash.as_str());
        if self.inner.passwords.verify(password, stored).await? != Verdict::Wrong {
            return Ok(());
        }
        let entry = audit::Entry {
            actor: Some(account.id),
            action: "user.passwordRefused",
            subject: &account.id.to_string(),
            detail: json!({}),
            ip: Some(client.address),
        };
        audit::add(&self.inner.pool, entry).await?;
        Err(Error::invalid(path, "not the current password"))
    }
}
