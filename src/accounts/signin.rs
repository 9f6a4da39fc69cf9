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
use crate::limits::{self, Familiar, Try};
use crate::model::id::UserId;
use crate::model::session::Device;
use crate::store::users::Credentials;
use crate::store::{self, audit};

/// Longer than any username or address.
const MAX_LOGIN_BYTES: usize = 256;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Username or e-mail address.
    pub login: String,
    #[schema(value_type = String, format = Password, write_only)]
    pub password: SecretString,
    #[serde(default)]
    pub device: Option<Device>,
}

impl Accounts {
    /// Opens a session.
    ///
    /// # Errors
    /// `Unauthenticated`, whatever of the two was wrong; `RateLimited` after too many wrong ones;
    /// `Invalid` for the device; `Unavailable`.
    pub async fn sign_in(&self, request: SignIn, client: &Client) -> Result<AuthResult> {
        let device = request.device.unwrap_or_default();
        let mut problems = Problems::default();
        validate::device(&mut problems, &device);
        problems.finish()?;

        let attempt = self.try_sign_in(&request.login, &device, client).await?;
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
        attempt.passed().await;
        if verdict == Verdict::RightButWeak {
            self.strengthen(&found, &request.password).await;
        }
        Ok(result)
    }

    /// Holds back who has guessed wrongly too often. What the account knows, counts for itself.
    async fn try_sign_in(&self, login: &str, device: &Device, client: &Client) -> Result<Try> {
        let device_id = device.id.as_deref();
        let network = limits::network_of(client.address);
        let known = if is_possible(login) {
            let length = if network.is_ipv6() { 64 } else { 32 };
            let text = format!("{network}/{length}");
            store::sessions::familiar(&self.inner.pool, login, device_id, &text).await?
        } else {
            store::sessions::Familiar::default()
        };
        let familiar = match device_id {
            Some(id) if known.device => Familiar::Device(id),
            _ if known.address => Familiar::Address(network),
            _ => Familiar::No,
        };
        let limits = self.inner.limits.as_ref();
        let limits = limits.ok_or_else(|| Error::internal("a sign-in without limits"))?;
        limits.try_sign_in(login, familiar).await
    }

    async fn find_credentials(&self, login: &str) -> Result<Option<Credentials>> {
        if !is_possible(login) {
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

/// Whether anybody can be called like this; Postgres would refuse a NUL as our mistake.
fn is_possible(login: &str) -> bool {
    login.len() <= MAX_LOGIN_BYTES && !login.contains('\0')
}

const WRONG: Error = Error::Unauthenticated("the login or the password is wrong");
