//! People and their sessions: signing up, in and out, passwords, addresses, tokens, who is asking;
//! profiles, privacy, blocks, and finding each other.
//!
//! One file a use case, each an `impl Accounts`. Records go straight to Postgres: no chat is
//! involved, so the log is not either.
//!
//! # Invariants
//! - An access token is worth no more than its session: when that ends, it ends ([`session_check`]).
//! - A session has one usable refresh token at any time ([`refresh`]).
//! - Neither passwords nor tokens are stored, logged, or written to the audit log.
//!
//! # Failure
//! Without Postgres nobody signs in. Who was known to be signed in within the last half minute
//! stays so for the rest of it; then all are refused until Postgres is back.

mod blocks;
mod breached;
mod deletion;
mod export;
mod operators;
mod password;
mod password_rules;
mod passwords;
mod profile;
mod recovery;
mod refresh;
mod search;
mod session_check;
mod session_watch;
mod sessions;
mod signin;
mod signout;
mod signup;
mod tokens;
mod validate;
mod verification;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{broadcast, mpsc};

use crate::config::Config;
use crate::error::Result;
use crate::limits::Limits;
use crate::mail::Mailer;
use crate::metrics::Metrics;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Device, EndReason, Session, SessionEnded};
use crate::model::time::Timestamp;
use crate::model::user::{Me, PersonChanged};
use crate::store::{self, Pool};

use password_rules::PasswordRules;
use passwords::Passwords;
use refresh::RefreshKeys;
use session_check::SessionCheck;
use tokens::AccessKey;

pub use breached::{Breached, BreachedError};
pub use deletion::DeleteAccount;
pub use export::Export;
pub use operators::{AccountFilter, AuditFilter, AuditPosition, NewOperator, Operator};
pub use password::ChangePassword;
pub use profile::EditProfile;
pub use recovery::{ForgotPassword, Forgotten, ResetPassword};
pub use refresh::Refresh;
pub use search::Place;
pub use signin::SignIn;
pub use signup::SignUp;
pub use verification::VerifyEmail;

/// Ends that may wait for a slow listener. What it misses beyond that (`Lagged`) is found by each
/// node's own look ([`session_watch`]); access tokens are refused in time in any case.
const ENDED_CAPACITY: usize = 4_096;

/// News of people that may wait likewise. What is lost of it is found in Postgres, within a second
/// where it concerns who may see whom.
const CHANGED_CAPACITY: usize = 256;

/// A handle; clones are cheap and mean the same.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    lives: Lives,
    passwords: Passwords,
    rules: PasswordRules,
    mailer: Mailer,
    /// To [`Accounts::recover`].
    forgotten: mpsc::Sender<Forgotten>,
    access_key: AccessKey,
    refresh_keys: RefreshKeys,
    session_check: SessionCheck,
    exports: Arc<export::Slots>,
    limits: Option<Limits>,
    metrics: Arc<Metrics>,
    ended: broadcast::Sender<SessionEnded>,
    changed: broadcast::Sender<PersonChanged>,
}

/// How long things live.
#[derive(Clone, Copy, Debug)]
struct Lives {
    access: Duration,
    refresh_idle: Duration,
    session: Duration,
    password_reset: Duration,
    email_verification: Duration,
    /// How long after their sign-in operators may act.
    admin_reauth: Duration,
}

/// Who is asking, by a token that was checked together with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: UserId,
    pub session_id: SessionId,
    /// When the access token ends.
    pub expires_at: Timestamp,
}

/// Where a request comes from, for the user's list of sessions and the audit log.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub user_agent: Option<String>,
}

/// What a device needs to stay signed in.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    /// Of the access token, in seconds.
    pub expires_in: u64,
}

/// The answer to a sign-up or sign-in.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuthResult {
    pub user: Me,
    pub session: Session,
    #[serde(flatten)]
    pub tokens: Tokens,
}

/// What accounts work with beside Postgres.
pub struct Services {
    /// None at the command line of operators, where nobody signs in.
    pub limits: Option<Limits>,
    pub mailer: Mailer,
    /// Passwords that nobody may choose.
    pub breached: Option<Breached>,
    pub metrics: Arc<Metrics>,
}

impl Accounts {
    /// A handle, and the queue that is to be given to [`Self::recover`].
    pub fn new(
        pool: Pool,
        config: &Config,
        services: Services,
    ) -> (Self, mpsc::Receiver<Forgotten>) {
        let settings = &config.auth;
        let (ended, _) = broadcast::channel(ENDED_CAPACITY);
        let (changed, _) = broadcast::channel(CHANGED_CAPACITY);
        let (forgotten, waiting) = mpsc::channel(recovery::QUEUE);
        let Services { limits, mailer, breached, metrics } = services;
        let lives = Lives {
            access: settings.access_life,
            refresh_idle: settings.refresh_idle,
            session: settings.refresh_absolute,
            admin_reauth: settings.admin_reauth,
            password_reset: settings.reset_life,
            email_verification: settings.verification_life,
        };
        let inner = Inner {
            pool,
            lives,
            passwords: Passwords::new(&config.passwords, Arc::clone(&metrics)),
            rules: PasswordRules::new(breached),
            mailer,
            forgotten,
            access_key: AccessKey::new(settings),
            refresh_keys: RefreshKeys::new(settings),
            session_check: SessionCheck::new(Arc::clone(&metrics)),
            exports: Arc::default(),
            limits,
            metrics,
            ended,
            changed,
        };
        (Self { inner: Arc::new(inner) }, waiting)
    }

    /// Says who an access token speaks for.
    ///
    /// # Errors
    /// `Unauthenticated` where the token or its session is not, or no longer, good; `Unavailable`
    /// where that cannot be found out.
    pub async fn authenticate(&self, access_token: &str) -> Result<Caller> {
        let caller = self.inner.access_key.verify(access_token, Timestamp::now())?;
        if self.is_session_alive(caller.session_id, caller.user_id).await? {
            Ok(caller)
        } else {
            Err(tokens::REFUSED)
        }
    }

    /// Whether a session lives, at most a second out of date; for sockets, which outlive requests.
    ///
    /// # Errors
    /// `Unavailable` where that cannot be found out.
    pub async fn is_session_alive(&self, id: SessionId, user_id: UserId) -> Result<bool> {
        self.inner.session_check.is_alive(&self.inner.pool, id, user_id).await
    }

    /// Every end of a session that this node brings about, after it was committed. What other
    /// nodes bring about comes by way of [`Self::forget_session`].
    pub fn on_session_ended(&self) -> broadcast::Receiver<SessionEnded> {
        self.inner.ended.subscribe()
    }

    /// Every change of a person that this node brings about, after it was committed.
    pub fn on_person_changed(&self) -> broadcast::Receiver<PersonChanged> {
        self.inner.changed.subscribe()
    }

    /// Makes a change of a person known, once it is committed.
    fn tell(&self, changed: PersonChanged) {
        // Without a listener there is nobody to tell.
        let _ = self.inner.changed.send(changed);
    }

    /// Drops what is remembered of a session, so that its next use asks Postgres. To be called when
    /// another node announces its end; without that it takes a second longer.
    pub fn forget_session(&self, id: SessionId) {
        self.inner.session_check.forget(id);
    }

    /// Makes the end of sessions known, once it is committed.
    fn announce(&self, user_id: UserId, sessions: &[SessionId], reason: EndReason) {
        for &session_id in sessions {
            self.inner.session_check.forget(session_id);
            // Without a listener there is nobody to tell.
            let _ = self.inner.ended.send(SessionEnded { session_id, user_id, reason });
        }
    }

    /// Opens a session for a user whose right to it was just checked in the same transaction.
    async fn open_session(
        &self,
        db: &mut sqlx::PgConnection,
        user: Me,
        device: &Device,
        client: &Client,
    ) -> Result<AuthResult> {
        let new = store::sessions::NewSession {
            id: SessionId::new(),
            user_id: user.user.id,
            device,
            ip: client.address,
            user_agent: client.user_agent.as_deref(),
            life: self.inner.lives.session,
        };
        let session = store::sessions::add(&mut *db, new).await?;
        let refresh_token = refresh::Token::random();
        let idle_life = self.inner.lives.refresh_idle;
        store::refresh_tokens::add(db, session.id, &refresh_token.hash(), idle_life).await?;
        let tokens =
            self.tokens(user.user.id, session.id, &refresh_token, self.inner.lives.session)?;
        Ok(AuthResult { user, session, tokens })
    }

    /// The pair for an answer. `session_left` is how long the session still has.
    fn tokens(
        &self,
        user_id: UserId,
        session_id: SessionId,
        refresh_token: &refresh::Token,
        session_left: Duration,
    ) -> Result<Tokens> {
        let life = self.inner.lives.access.min(session_left);
        let access_token =
            self.inner.access_key.issue(user_id, session_id, Timestamp::now(), life)?;
        Ok(Tokens {
            access_token,
            refresh_token: refresh_token.to_text(),
            token_type: "Bearer",
            expires_in: life.as_secs(),
        })
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

/// Tokens are secrets: what is shown of them is that they are there.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
