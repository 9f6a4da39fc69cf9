//! A new account, signed in at once, and a mail to see whether its address is its user's.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::password_rules::PasswordRules;
use super::validate::{self, Problems};
use super::{Accounts, AuthResult, Client};
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::session::Device;
use crate::store::{self, audit};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignUp {
    #[schema(min_length = 3, max_length = 32, pattern = "^[A-Za-z0-9_.-]+$")]
    pub username: String,
    #[schema(min_length = 6, max_length = 254, format = Email)]
    pub email: String,
    #[schema(value_type = String, format = Password, write_only, min_length = 8, max_length = 256)]
    pub password: SecretString,
    /// The username, where it is not given.
    #[schema(min_length = 1, max_length = 64)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub device: Option<Device>,
}

impl SignUp {
    fn check(&self, rules: &PasswordRules) -> Result<()> {
        let mut problems = Problems::default();
        validate::username(&mut problems, "username", &self.username);
        validate::email(&mut problems, "email", &self.email);
        if let Some(name) = &self.display_name {
            validate::display_name(&mut problems, "displayName", name);
        }
        if let Some(device) = &self.device {
            validate::device(&mut problems, device);
        }
        let local_part = self.email.split('@').next().unwrap_or_default();
        let context = [self.username.as_str(), local_part];
        rules.check(&mut problems, "password", self.password.expose_secret(), &context);
        problems.finish()
    }
}

impl Accounts {
    /// Makes an account and its first session.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` for a name or an address that is taken; `Unavailable`.
    pub async fn sign_up(&self, request: SignUp, client: &Client) -> Result<AuthResult> {
        request.check(&self.inner.rules)?;
        // Hashed before the name is looked at, so that a taken one takes the same time.
        let password_hash = self.inner.passwords.hash(&request.password).await?;
        let new = store::users::NewUser {
            id: UserId::new(),
            username: &request.username,
            email: &request.email,
            display_name: request.display_name.as_deref().unwrap_or(&request.username),
            password_hash: &password_hash,
        };
        let mut db = self.inner.pool.begin().await?;
        let user = store::users::add(&mut *db, new).await?;
        let letter = self.issue_verification(&mut db, &user).await?;
        let device = request.device.unwrap_or_default();
        let result = self.open_session(&mut db, user, &device, client).await?;
        let entry = audit::Entry {
            actor: Some(result.user.user.id),
            action: "user.signUp",
            subject: &result.user.user.id.to_string(),
            detail: json!({ "sessionId": result.session.id }),
            ip: Some(client.address),
        };
        audit::add(&mut *db, entry).await?;
        db.commit().await?;
        if let Some(letter) = letter {
            self.inner.mailer.send(letter);
        }
        Ok(result)
    }
}
