//! Access tokens: short-lived JWTs of the one algorithm that is configured.
//!
//! Which key a token is checked with is for [`crate::keyring`] to say, which knows a token's header
//! only as a whole. What is left to check here are the claims. A refusal says nothing of its reason:
//! forged, expired and ended look alike. A good token is only half of an authentication: its session
//! has to live, too.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Validation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Caller;
use crate::config;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::model::id::{SessionId, UserId};
use crate::model::time::Timestamp;

/// The one answer to every token that does not authenticate, whatever is wrong with it.
pub(super) const REFUSED: Error = Error::Unauthenticated("the access token is not valid");
/// How far the clocks of two nodes may be apart.
const LEEWAY_SECONDS: i64 = 5;
/// None of ours lives longer, whatever is configured.
const MAX_LIFE_SECONDS: i64 = 366 * 24 * 3_600;
/// Ours have about 500; longer ones are not worth decoding.
const MAX_LENGTH: usize = 2_048;

pub(super) struct AccessKey {
    keyring: Arc<Keyring>,
    validation: Validation,
    issuer: String,
    audience: String,
}

/// All are required. `aud` and `iss` as plain strings: a list of audiences is refused.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl AccessKey {
    pub(super) fn new(settings: &config::Auth) -> Self {
        let keyring = Arc::clone(&settings.keyring);
        let mut validation = Validation::new(keyring.algorithm());
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        // Times are judged below, by the caller's clock, as the library does not take one.
        validation.validate_exp = false;
        Self {
            keyring,
            validation,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
        }
    }

    pub(super) fn issue(
        &self,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
        life: Duration,
    ) -> Result<String> {
        let now = now.unix_millis().div_euclid(1_000);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user_id,
            sid: session_id,
            iat: now,
            nbf: now,
            exp: now.saturating_add_unsigned(life.as_secs()),
            jti: Uuid::new_v4(),
        };
        let (header, key) = self.keyring.signing();
        jsonwebtoken::encode(header, &claims, key).map_err(Error::internal)
    }

    /// Whom a token speaks for, if its session lives.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<Caller> {
        if token.len() > MAX_LENGTH {
            return Err(REFUSED);
        }
        let (header, _) = token.split_once('.').ok_or(REFUSED)?;
        let key = self.keyring.verifying(header).ok_or(REFUSED)?;
        let decoded =
            jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| REFUSED)?;
        let Claims { sub, sid, iat, nbf, exp, .. } = decoded.claims;
        let now = now.unix_millis().div_euclid(1_000);
        if exp.saturating_sub(iat) > MAX_LIFE_SECONDS {
            return Err(REFUSED);
        }
        // No leeway for the end: a token that outlives its time by seconds helps nobody.
        if iat.max(nbf) > now.saturating_add(LEEWAY_SECONDS) || exp <= now {
            return Err(REFUSED);
        }
        let expires_at = Timestamp::from_unix_millis(exp.saturating_mul(1_000));
        Ok(Caller { user_id: sub, session_id: sid, expires_at })
    }
}

#[cfg(test)]
mod tests;
