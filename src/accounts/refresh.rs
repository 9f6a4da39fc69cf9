//! Refresh tokens: used once, each use makes the next one.
//!
//! A second use is either a device whose answer got lost, or a thief. The same device within 10 s
//! gets the same successor, so that there is never a second branch; anything else ends the session.
//! Tokens are not stored, so the successor has to be made anew for a retry: it is an HMAC over the
//! used token and a salt kept beside its hash, under a key of the server. Neither a thief with an
//! old token nor one with the database can make it. While the server's secret is rotated, two keys
//! are in use; the one that a successor was made with is the one whose result is stored.
//!
//! # Invariants
//! All reading and writing here happens while the session's row is locked: of any number of
//! concurrent uses one finds the token unused, and all others find the successor's salt.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Accounts, Client, Tokens};
use crate::config;
use crate::error::{Error, Result};
use crate::model::id::SessionId;
use crate::model::session::{Device, EndReason};
use crate::model::time::Timestamp;
use crate::store::refresh_tokens::State;
use crate::store::sessions::{Held, Which};
use crate::store::{self, audit};

/// How long a device may ask again because an answer got lost.
const RETRY_SECONDS: f64 = 10.0;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    #[schema(value_type = String, write_only)]
    pub refresh_token: SecretString,
    #[serde(default)]
    pub device: Option<Device>,
}

/// 256 bits that nobody can guess.
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Makes successors. Derived from the server's secrets, so that no two uses share a key.
pub(super) struct RefreshKeys {
    current: [u8; 32],
    others: Vec<[u8; 32]>,
}

impl RefreshKeys {
    pub(super) fn new(settings: &config::Auth) -> Self {
        let derive = |secret: &SecretString| {
            mac(secret.expose_secret().as_bytes(), &[b"refresh token successor, 1"])
        };
        let others = settings.previous_secrets.iter().map(derive).collect();
        Self { current: derive(&settings.jwt_secret), others }
    }

    fn successor(&self, used: &Token, salt: &[u8]) -> Token {
        Token(mac(&self.current, &[&used.0, salt]))
    }

    /// What the successor may have been, by the secrets that nodes know of.
    fn successors(&self, used: &Token, salt: &[u8]) -> Vec<Token> {
        let keys = std::iter::once(&self.current).chain(&self.others);
        keys.map(|key| Token(mac(key, &[&used.0, salt]))).collect()
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What to do with a token that was shown.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Rotate,
    /// A retry: the successor that was made with this salt, once more.
    Repeat(Vec<u8>),
    Refuse(&'static str),
    /// Used by two: all of the session ends.
    Theft,
}

impl Accounts {
    /// A new pair for a refresh token.
    ///
    /// # Errors
    /// `Unauthenticated` where the token is unknown, used up, expired, or shown by another device.
    pub async fn refresh(&self, request: Refresh, client: &Client) -> Result<Tokens> {
        const UNKNOWN: Error = Error::Unauthenticated("the refresh token is not valid");
        let token = Token::parse(request.refresh_token.expose_secret()).ok_or(UNKNOWN)?;
        let device_id = request.device.and_then(|device| device.id);
        let hash = token.hash();

        let mut db = self.inner.pool.begin().await?;
        let session_id = store::refresh_tokens::find_session(&mut *db, &hash).await?;
        let session_id = session_id.ok_or(UNKNOWN)?;
        let held = store::sessions::hold(&mut *db, session_id).await?.ok_or(UNKNOWN)?;
        let state = store::refresh_tokens::find_state(&mut *db, &hash).await?.ok_or(UNKNOWN)?;
        let successor = match decide(&held, &state, device_id.as_deref(), client) {
            Decision::Rotate => self.rotate(&mut db, &held, &state, &token).await?,
            Decision::Repeat(salt) => {
                let made = self.inner.refresh_keys.successors(&token, &salt);
                find_stored(&mut db, session_id, made).await?.ok_or(UNKNOWN)?
            }
            Decision::Refuse(why) => return Err(Error::Unauthenticated(why)),
            Decision::Theft => {
                end_stolen(&mut db, &held, client).await?;
                db.commit().await?;
                self.announce(held.user_id, &[session_id], EndReason::TokenReuse);
                tracing::warn!(session.id = %session_id, "a refresh token was used twice");
                return Err(Error::Unauthenticated("the refresh token was used before"));
            }
        };
        let user_agent = client.user_agent.as_deref();
        store::sessions::set_client(&mut *db, session_id, client.address, user_agent).await?;
        db.commit().await?;
        self.tokens(held.user_id, session_id, &successor, time_left(&held))
    }

    async fn rotate(
        &self,
        db: &mut PgConnection,
        held: &Held,
        state: &State,
        token: &Token,
    ) -> Result<Token> {
        let salt: [u8; 16] = rand::random();
        if !store::refresh_tokens::set_used(&mut *db, state.id, &salt).await? {
            return Err(Error::internal("a refresh token changed while its session was held"));
        }
        let successor = self.inner.refresh_keys.successor(token, &salt);
        let idle_life = self.inner.lives.refresh_idle;
        store::refresh_tokens::add(db, held.id, &successor.hash(), idle_life).await?;
        Ok(successor)
    }
}

/// The one token whose hash belongs to the session.
async fn find_stored(
    db: &mut PgConnection,
    session_id: SessionId,
    tokens: Vec<Token>,
) -> Result<Option<Token>> {
    for token in tokens {
        let owner = store::refresh_tokens::find_session(&mut *db, &token.hash()).await?;
        if owner == Some(session_id) {
            return Ok(Some(token));
        }
    }
    Ok(None)
}

fn decide(held: &Held, state: &State, device_id: Option<&str>, client: &Client) -> Decision {
    if !held.alive || state.revoked {
        return Decision::Refuse("the session has ended");
    }
    let named = held.device_id.is_some();
    let is_named_device = !named || held.device_id.as_deref() == device_id;
    let Some(used_seconds_ago) = state.used_seconds_ago else {
        return match (is_named_device, state.expired) {
            (false, _) => Decision::Refuse("the refresh token belongs to another device"),
            (true, true) => Decision::Refuse("the refresh token has expired"),
            (true, false) => Decision::Rotate,
        };
    };
    // Without a name the user agent is the only hint; a device does not change it within seconds.
    let is_same = is_named_device && (named || held.user_agent == client.user_agent);
    match &state.successor_salt {
        Some(salt) if is_same && used_seconds_ago <= RETRY_SECONDS => {
            Decision::Repeat(salt.clone())
        }
        _ => Decision::Theft,
    }
}

/// Ends the session, with an audit row in the same transaction.
async fn end_stolen(db: &mut PgConnection, held: &Held, client: &Client) -> Result<()> {
    let reason = EndReason::TokenReuse;
    store::sessions::end(&mut *db, held.user_id, Which::One(held.id), reason).await?;
    let entry = audit::Entry {
        actor: None,
        action: "session.tokenReuse",
        subject: &held.id.to_string(),
        detail: json!({ "userId": held.user_id }),
        ip: Some(client.address),
    };
    audit::add(db, entry).await
}

fn time_left(held: &Held) -> Duration {
    let left = Timestamp::from(held.expires_at).unix_millis() - Timestamp::now().unix_millis();
    Duration::from_millis(left.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{TokenId, UserId};
    use sqlx::types::time::OffsetDateTime;

    fn held(device_id: Option<&str>) -> Held {
        Held {
            id: SessionId::new(),
            user_id: UserId::new(),
            device_id: device_id.map(Into::into),
            user_agent: Some("app/1".into()),
            expires_at: OffsetDateTime::now_utc() + Duration::from_mins(1),
            alive: true,
        }
    }

    fn state(used_seconds_ago: Option<f64>) -> State {
        State {
            id: TokenId::new(),
            expired: false,
            revoked: false,
            used_seconds_ago,
            successor_salt: used_seconds_ago.map(|_| vec![7]),
        }
    }

    fn client(user_agent: &str) -> Client {
        Client { address: [127, 0, 0, 1].into(), user_agent: Some(user_agent.into()) }
    }

    #[test]
    fn a_first_use_rotates_on_the_same_device_only() {
        let app = client("app/2");
        assert_eq!(decide(&held(None), &state(None), None, &app), Decision::Rotate);
        assert_eq!(decide(&held(Some("a")), &state(None), Some("a"), &app), Decision::Rotate);
        for other in [None, Some("b")] {
            let decision = decide(&held(Some("a")), &state(None), other, &app);
            assert!(matches!(decision, Decision::Refuse(_)), "{decision:?}");
        }
    }

    #[test]
    fn a_second_use_is_a_retry_or_theft() {
        let (app, other) = (client("app/1"), client("curl/8"));
        let retry = Decision::Repeat(vec![7]);
        let named = || held(Some("a"));
        assert_eq!(decide(&named(), &state(Some(9.9)), Some("a"), &other), retry);
        assert_eq!(decide(&named(), &state(Some(10.1)), Some("a"), &app), Decision::Theft);
        assert_eq!(decide(&named(), &state(Some(0.1)), Some("b"), &app), Decision::Theft);
        assert_eq!(decide(&held(None), &state(Some(0.1)), None, &app), retry);
        assert_eq!(decide(&held(None), &state(Some(0.1)), None, &other), Decision::Theft);
    }

    #[test]
    fn what_is_over_is_over() {
        let app = client("app/1");
        let ended = Held { alive: false, ..held(None) };
        let revoked = State { revoked: true, ..state(Some(99.0)) };
        let expired = State { expired: true, ..state(None) };
        for (held, state) in [(ended, state(None)), (held(None), revoked), (held(None), expired)] {
            let decision = decide(&held, &state, None, &app);
            assert!(matches!(decision, Decision::Refuse(_)), "{decision:?}");
        }
    }

    #[test]
    fn a_successor_can_be_made_again_but_not_guessed() {
        let keys = |current, others: &[[u8; 32]]| RefreshKeys { current, others: others.to_vec() };
        let (key, token) = (keys([1; 32], &[]), Token::random());
        let next = key.successor(&token, b"salt").to_text();
        assert_eq!(next, key.successor(&token, b"salt").to_text());
        assert_ne!(next, key.successor(&token, b"tlas").to_text());
        assert_ne!(next, keys([2; 32], &[]).successor(&token, b"salt").to_text());
        let rotated = keys([2; 32], &[[1; 32]]).successors(&token, b"salt");
        assert!(rotated.iter().any(|token| token.to_text() == next), "the old key is known still");
        assert_eq!(Token::parse(&next).unwrap().to_text(), next);
        assert!(Token::parse("short").is_none());
    }
}
