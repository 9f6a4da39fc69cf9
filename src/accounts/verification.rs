//! Whether an e-mail address is its user's: who can read a mail to it, and only who can, verifies it.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::recovery::{APART, bad_token};
use super::refresh::Token;
use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::mail::{Content, Letter};
use crate::model::user::Me;
use crate::store::one_time_tokens::{NewToken, Purpose};
use crate::store::{self, audit};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// From the link in the mail.
    #[schema(value_type = String)]
    pub token: SecretString,
}

impl Accounts {
    /// Notes that an address is its user's. Whoever holds the token need not be signed in: the mail
    /// is often read on another device.
    ///
    /// # Errors
    /// `Invalid` for a token that is unknown, used, over, or sent to a former address.
    pub async fn verify_email(&self, request: VerifyEmail, client: &Client) -> Result<()> {
        let token = Token::parse(request.token.expose_secret()).ok_or_else(bad_token)?;
        let mut db = self.inner.pool.begin().await?;
        let purpose = Purpose::EmailVerification;
        let owner = store::one_time_tokens::take(&mut *db, purpose, &token.hash()).await?;
        let owner = owner.ok_or_else(bad_token)?;
        store::users::set_email_verified(&mut *db, owner.id).await?;
        let entry = audit::Entry {
            actor: None,
            action: "user.emailVerified",
            subject: &owner.id.to_string(),
            detail: json!({}),
            ip: Some(client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        Ok(())
    }

    /// Sends the caller another link. Nothing is sent where the address is verified, or where the
    /// last mail is less than a minute old.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn resend_verification(&self, caller: Caller) -> Result<()> {
        let me = store::users::find(&self.inner.pool, caller.user_id).await?;
        let me = me.ok_or(Error::Unauthenticated("the account is gone"))?;
        if me.email_verified {
            return Ok(());
        }
        let mut db = self.inner.pool.acquire().await?;
        if let Some(letter) = self.issue_verification(&mut db, &me).await? {
            self.inner.mailer.send(letter);
        }
        Ok(())
    }

    /// The letter to a user's address, to be sent once its token is committed; none where the last
    /// one is too young.
    pub(super) async fn issue_verification(
        &self,
        db: &mut PgConnection,
        me: &Me,
    ) -> Result<Option<Letter>> {
        let token = Token::random();
        let life = self.inner.lives.email_verification;
        let new = NewToken {
            user_id: me.user.id,
            purpose: Purpose::EmailVerification,
            token_hash: &token.hash(),
            email: &me.email,
            life,
        };
        let issued = store::one_time_tokens::issue(db, new, APART).await?;
        Ok(issued.then(|| Letter {
            user_id: me.user.id,
            username: me.user.username.clone(),
            email: me.email.clone(),
            content: Content::VerifyEmail { token: token.to_text().into(), life },
        }))
    }
}
