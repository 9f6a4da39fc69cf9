//! What operators do to accounts: the badge, suspension, ending sessions, and looking.
//!
//! An operator is an account of the role `admin`, or whoever can run this program with the
//! service's settings. The right to act, the act and its audit row are one transaction.
//!
//! # Invariants
//! - Whoever is no operator learns nothing of these calls: `NotFound`, as for a path that is none.
//! - Changing another's account takes a sign-in within `ADMIN_REAUTH`: a token that was stolen, or a
//!   screen left open, is worth reading only.
//! - Over REST operators do not act against operators, nor against themselves. So one account that
//!   was taken over cannot lock the others out; at the command line it can be suspended.
//! - The last operator who can act is neither suspended nor deleted.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::validate::{self, Problems};
use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::model::account::{Account, AuditRow};
use crate::model::id::{SessionId, UserId};
use crate::model::session::EndReason;
use crate::model::user::Role;
use crate::store::sessions::Which;
use crate::store::{self, audit, operators};

pub use crate::store::audit::{Filter as AuditFilter, Position as AuditPosition};
pub use crate::store::operators::Filter as AccountFilter;

/// Characters of why somebody is suspended.
const REASON_CHARS: usize = 500;
/// Characters that an account is looked for by.
const QUERY_CHARS: usize = 254;

const NOT_THERE: Error = Error::NotFound("route");

/// Who acts, and from where.
#[derive(Clone, Debug)]
pub enum Operator {
    SignedIn {
        caller: Caller,
        address: IpAddr,
    },
    /// The user of the operating system who ran the program.
    CommandLine {
        os_user: String,
    },
}

impl Operator {
    fn user(&self) -> Option<UserId> {
        match self {
            Self::SignedIn { caller, .. } => Some(caller.user_id),
            Self::CommandLine { .. } => None,
        }
    }

    /// A row of the audit log about what this operator did.
    fn entry<'a>(
        &self,
        action: &'static str,
        subject: &'a str,
        mut detail: Value,
    ) -> audit::Entry<'a> {
        let ip = match self {
            Self::SignedIn { address, .. } => Some(*address),
            Self::CommandLine { os_user } => {
                detail["commandLineUser"] = json!(os_user);
                None
            }
        };
        audit::Entry { actor: self.user(), action, subject, detail, ip }
    }
}

/// An operator to be made.
#[derive(Clone, Debug)]
pub struct NewOperator {
    pub username: String,
    pub email: String,
    pub password: SecretString,
}

impl Accounts {
    /// Who asks, as an operator.
    ///
    /// # Errors
    /// `NotFound` where they are none: for them there is nothing here.
    pub async fn operator(&self, caller: Caller, client: &Client) -> Result<Operator> {
        let (user, session) = (caller.user_id, caller.session_id);
        let lately = self.inner.lives.admin_reauth;
        let standing = operators::standing(&self.inner.pool, user, session, lately).await?;
        if standing.is_none() {
            tracing::info!(user.id = %user, "the operators' part was refused to somebody else");
            return Err(NOT_THERE);
        }
        Ok(Operator::SignedIn { caller, address: client.address })
    }

    /// Accounts, the newest first, those before `before`.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable`.
    pub async fn accounts(
        &self,
        _operator: &Operator,
        filter: &AccountFilter,
        before: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Account>> {
        let query = filter.query.as_deref().unwrap_or_default();
        if query.chars().count() > QUERY_CHARS || query.contains('\0') {
            let rule = format!("at most {QUERY_CHARS} characters, without NUL");
            return Err(Error::invalid("q", rule));
        }
        operators::list(&self.inner.pool, filter, before, limit).await
    }

    /// Rows of the audit log, the newest first, behind `behind`.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable`.
    pub async fn audit_rows(
        &self,
        _operator: &Operator,
        filter: &AuditFilter,
        behind: Option<AuditPosition>,
        limit: usize,
    ) -> Result<Vec<(AuditPosition, AuditRow)>> {
        let has_nul = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
        if has_nul(&filter.subject) || has_nul(&filter.action) {
            return Err(Error::invalid("query", "without NUL"));
        }
        audit::list(&self.inner.pool, filter, behind, limit).await
    }

    /// An account by its id, username or address.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_account(&self, _operator: &Operator, name: &str) -> Result<Account> {
        let found = operators::find_by_name(&self.inner.pool, name).await?;
        found.ok_or(Error::NotFound("user"))
    }

    /// Whether there is an operator who can act.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn has_operator(&self, _operator: &Operator) -> Result<bool> {
        operators::is_another(&self.inner.pool, None).await
    }

    /// Gives the badge, or takes it; without a wish nothing is changed.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` where the operator has to sign in again; `Unavailable`.
    pub async fn change_account(
        &self,
        operator: &Operator,
        user: UserId,
        verified: Option<bool>,
    ) -> Result<Account> {
        let (mut db, account) = self.begin_act(operator, user).await?;
        let Some(verified) = verified.filter(|verified| *verified != account.verified) else {
            return Ok(account);
        };
        operators::set_verified(&mut *db, user, verified).await?;
        let action = if verified { "user.verify" } else { "user.unverify" };
        audit::add(&mut *db, operator.entry(action, &user.to_string(), json!({}))).await?;
        db.commit().await?;
        Ok(Account { verified, ..account })
    }

    /// Keeps somebody out: their sessions end, and signing in looks like a wrong password.
    ///
    /// # Errors
    /// `Invalid` for the reason; `NotFound`; `Forbidden` for an operator, and where the caller has
    /// to sign in again; `Conflict` for the last operator; `Unavailable`.
    pub async fn suspend(
        &self,
        operator: &Operator,
        user: UserId,
        reason: Option<&str>,
    ) -> Result<Account> {
        let reason = reason.unwrap_or_default();
        if reason.chars().count() > REASON_CHARS || reason.contains('\0') {
            let rule = format!("at most {REASON_CHARS} characters, without NUL");
            return Err(Error::invalid("reason", rule));
        }
        let (mut db, account) = self.begin_act_against(operator, user).await?;
        if account.suspended_at.is_some() {
            return Ok(account);
        }
        if account.role == Role::Admin && !operators::is_another(&mut *db, Some(user)).await? {
            return Err(LAST_OPERATOR);
        }
        let account = operators::set_suspended(&mut *db, user, true).await?;
        let why = EndReason::Suspended;
        let ended = store::sessions::end(&mut db, user, Which::All, why).await?;
        let detail = json!({ "reason": reason, "sessionIds": ended });
        audit::add(&mut *db, operator.entry("user.suspend", &user.to_string(), detail)).await?;
        db.commit().await?;
        self.announce(user, &ended, why);
        tracing::info!(user.id = %user, "an account was suspended");
        Ok(account)
    }

    /// Lets somebody sign in again. Their sessions stay ended.
    ///
    /// # Errors
    /// As for [`Self::suspend`].
    pub async fn unsuspend(&self, operator: &Operator, user: UserId) -> Result<Account> {
        let (mut db, account) = self.begin_act_against(operator, user).await?;
        if account.suspended_at.is_none() {
            return Ok(account);
        }
        let account = operators::set_suspended(&mut *db, user, false).await?;
        audit::add(&mut *db, operator.entry("user.unsuspend", &user.to_string(), json!({})))
            .await?;
        db.commit().await?;
        tracing::info!(user.id = %user, "an account is no longer suspended");
        Ok(account)
    }

    /// Ends all sessions of somebody, who may sign in again.
    ///
    /// # Errors
    /// As for [`Self::suspend`].
    pub async fn end_sessions_of(&self, operator: &Operator, user: UserId) -> Result<()> {
        let (mut db, _) = self.begin_act_against(operator, user).await?;
        let why = EndReason::Revoked;
        let ended = store::sessions::end(&mut db, user, Which::All, why).await?;
        let detail = json!({ "sessionIds": ended });
        audit::add(&mut *db, operator.entry("user.endSessions", &user.to_string(), detail)).await?;
        db.commit().await?;
        self.announce(user, &ended, why);
        Ok(())
    }

    /// Makes an operator's account. Where there is one, `another` has to be said.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` for a name or address that is taken, and where there is an operator;
    /// `Unavailable`.
    pub async fn create_operator(
        &self,
        operator: &Operator,
        new: NewOperator,
        another: bool,
    ) -> Result<Account> {
        let mut problems = Problems::default();
        validate::username(&mut problems, "login", &new.username);
        validate::email(&mut problems, "email", &new.email);
        let local_part = new.email.split('@').next().unwrap_or_default();
        let context = [new.username.as_str(), local_part];
        let password = new.password.expose_secret();
        self.inner.rules.check(&mut problems, "password", password, &context);
        problems.finish()?;
        let password_hash = self.inner.passwords.hash(&new.password).await?;

        let mut db = self.inner.pool.begin().await?;
        operators::lock_roles(&mut *db).await?;
        if !another && operators::is_another(&mut *db, None).await? {
            return Err(Error::Conflict("there is an operator already"));
        }
        let id = UserId::new();
        let user = store::users::NewUser {
            id,
            username: &new.username,
            email: &new.email,
            display_name: &new.username,
            password_hash: &password_hash,
        };
        store::users::add(&mut *db, user).await?;
        operators::set_role(&mut *db, id, Role::Admin).await?;
        let detail = json!({ "another": another });
        audit::add(&mut *db, operator.entry("operator.create", &id.to_string(), detail)).await?;
        let made = operators::hold(&mut *db, &[id]).await?;
        db.commit().await?;
        made.into_iter().next().ok_or(Error::NotFound("user"))
    }

    /// Begins the transaction of an act: holds both accounts, and checks the operator's right as of
    /// now rather than as of the request's beginning.
    async fn begin_act(
        &self,
        operator: &Operator,
        user: UserId,
    ) -> Result<(Transaction<'static, Postgres>, Account)> {
        let mut db = self.inner.pool.begin().await?;
        operators::lock_roles(&mut *db).await?;
        let ids: Vec<UserId> = operator.user().into_iter().chain([user]).collect();
        let held = operators::hold(&mut *db, &ids).await?;
        if let Operator::SignedIn { caller, .. } = operator {
            let session: SessionId = caller.session_id;
            let lately = self.inner.lives.admin_reauth;
            let standing = operators::standing(&mut *db, caller.user_id, session, lately).await?;
            if !standing.ok_or(NOT_THERE)? {
                return Err(Error::Forbidden("sign in again: this takes a recent sign-in"));
            }
        }
        let account = held.into_iter().find(|account| account.id == user);
        Ok((db, account.ok_or(Error::NotFound("user"))?))
    }

    /// The same for what is done against somebody.
    async fn begin_act_against(
        &self,
        operator: &Operator,
        user: UserId,
    ) -> Result<(Transaction<'static, Postgres>, Account)> {
        let (db, account) = self.begin_act(operator, user).await?;
        if operator.user().is_some() && account.role == Role::Admin {
            return Err(Error::Forbidden("operators are acted upon at the command line alone"));
        }
        Ok((db, account))
    }
}

pub(super) const LAST_OPERATOR: Error = Error::Conflict("the last operator");
