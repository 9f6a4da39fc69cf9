//! Access tokens: short-lived JWTs, HS256 and nothing else.
//!
//! The header has to be exactly the one that we write. So `none`, other algorithms, keys named or
//! brought along by the token (`kid`, `jwk`, `jku`, `x5u`) and critical extensions are all refused
//! by one comparison, and no other kind of token (another `typ`) can stand in for an access token.
//! A good token is only half of an authentication: its session has to live, too.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Caller;
use crate::config;
use crate::error::{Error, Result};
use crate::model::id::{SessionId, UserId};
use crate::model::time::Timestamp;

/// RFC 9068's name, so that a token made for another purpose is never taken for one of these.
const TYPE: &str = "at+jwt";
/// How far the clocks of two nodes may be apart.
const LEEWAY_SECONDS: i64 = 5;
/// Ours have about 400; longer ones are not worth decoding.
const MAX_LENGTH: usize = 2_048;

pub(super) struct AccessKey {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    header: Header,
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
        let secret = settings.jwt_secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        // Times are judged below, by the caller's clock, as the library does not take one.
        validation.validate_exp = false;
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
            header,
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
        jsonwebtoken::encode(&self.header, &claims, &self.signing).map_err(Error::internal)
    }

    /// Whom a token speaks for, if its session lives.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<Caller> {
        const REFUSED: Error = Error::Unauthenticated("the access token is not valid");
        if token.len() > MAX_LENGTH {
            return Err(REFUSED);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation)
            .map_err(|_| REFUSED)?;
        let Claims { sub, sid, iat, nbf, exp, .. } = decoded.claims;
        let now = now.unix_millis().div_euclid(1_000);
        if decoded.header != self.header || iat.max(nbf) > now.saturating_add(LEEWAY_SECONDS) {
            return Err(REFUSED);
        }
        // No leeway here: a token that outlives its time by seconds helps nobody.
        if exp <= now {
            return Err(Error::Unauthenticated("the access token has expired"));
        }
        let expires_at = Timestamp::from_unix_millis(exp.saturating_mul(1_000));
        Ok(Caller { user_id: sub, session_id: sid, expires_at })
    }
}

#[cfg(test)]
mod tests;
