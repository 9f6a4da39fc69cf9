//! A session for a known user, by password.
//!
//! An unknown login, a wrong password and a suspended account get the same answer after the same
//! work: whoever guesses learns nothing but that it was not this.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::passwords::Verdict;
use super::validate::{self, Problems};
use super::{Accounts, AuthResult, Client};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::session::Device;
use crate::store::users::Credentials;
use crate::store::{self, audit};

/// Longer than any username or address.
const MAX_LOGIN_BYTES: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Username or e-mail address.
    pub login: String,
    pub password: SecretString,
    #[serde(default)]
    pub device: Option<Device>,
}

impl Accounts {
    /// Opens a session.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever of the two was wrong; `Invalid` for the device; `Unavailable`.
    pub async fn sign_in(&self, request: SignIn, client: &Client) -> Result<AuthResult> {
        let device = request.device.unwrap_or_default();
        let mut problems = Problems::default();
        validate::device(&mut problems, &device);
        problems.finish()?;

        let known = self.find_credentials(&request.login).await?;
        let stored = known.as_ref().map(|found| found.password_hash.as_str());
        let verdict = self.inner.passwords.verify(&request.password, stored).await?;
        let found = match known {
            Some(found) if verdict != Verdict::Wrong && found.active => found,
            known => return Err(self.refuse(known.map(|found| found.id), client).await),
        };

        let mut db = self.inner.pool.begin().await?;
        let held = store::users::hold_active(&mut *db, found.id, &found.password_hash).await?;
        let user = held.ok_or(WRONG)?;
        let result = self.open_session(&mut db, user, &device, client).await?;
        let entry = audit::Entry {
            actor: Some(found.id),
            action: "user.signIn",
            subject: &result.session.id.to_string(),
            detail: json!({}),
            ip: Some(client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        if verdict == Verdict::RightButWeak {
            self.strengthen(&found, &request.password).await;
        }
        Ok(result)
    }

    async fn find_credentials(&self, login: &str) -> Result<Option<Credentials>> {
        // Nobody is called like this, and Postgres would refuse a NUL as our mistake.
        if login.len() > MAX_LOGIN_BYTES || login.contains('\0') {
            return Ok(None);
        }
        store::users::find_credentials(&self.inner.pool, login).await
    }

    /// Notes a failed attempt, against an unknown user too: it takes time, and so it takes the same
    /// time. The login itself is not kept, since people type passwords there.
    async fn refuse(&self, user_id: Option<UserId>, client: &Client) -> Error {
        tracing::info!(user.id = ?user_id, "a sign-in was refused");
        let subject = user_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        let entry = audit::Entry {
            actor: None,
            action: "user.signInRefused",
            subject: &subject,
            detail: json!({}),
            ip: Some(client.address),
        };
        audit::add(&self.inner.pool, entry).await.err().unwrap_or(WRONG)
    }

    /// Hashes anew with today's parameters, while the password is at hand. The sign-in has
    /// succeeded already, so a failure here only leaves it to the next one.
    async fn strengthen(&self, found: &Credentials, password: &SecretString) {
        let strengthened = async {
            let new = self.inner.passwords.hash(password).await?;
            let pool = &self.inner.pool;
            store::users::replace_password_hash(pool, found.id, &found.password_hash, &new).await
        };
        if let Err(error) = strengthened.await {
            tracing::warn!(%error, user.id = %found.id, "a password was not hashed anew");
        }
    }
}

const WRONG: Error = Error::Unauthenticated("the login or the password is wrong");
