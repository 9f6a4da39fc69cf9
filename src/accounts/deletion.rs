//! The end of an account, by its owner.
//!
//! Its row becomes a tombstone: the id stays, since others' history names it as author; name,
//! address, texts about the person and the password go at once, and the name and the address are
//! free again. All sessions end. What the person wrote stays with those they wrote to. When the
//! rest goes is said in docs/OPERATIONS.md.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::operators::LAST_OPERATOR;
use super::passwords::Verdict;
use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::model::session::EndReason;
use crate::model::user::{PersonChanged, Role};
use crate::store::deletion::{self, Tombstone};
use crate::store::sessions::Which;
use crate::store::{self, audit, operators, visibility};

/// The owner's password, since this cannot be undone.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteAccount {
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

/// Not 401: the session is good, and a client that took it for ended would sign the user out.
const WRONG: Error = Error::Forbidden("the password is wrong");

impl Accounts {
    /// Deletes the caller's account.
    ///
    /// # Errors
    /// `Forbidden` for a wrong password; `Conflict` for the last operator; `Unavailable`: then
    /// nothing is deleted.
    pub async fn delete_account(
        &self,
        caller: Caller,
        request: DeleteAccount,
        client: &Client,
    ) -> Result<()> {
        let user = caller.user_id;
        let pool = &self.inner.pool;
        let owner = deletion::find_owner(pool, user).await?.ok_or(Error::NotFound("user"))?;
        let (subject, ip) = (user.to_string(), Some(client.address));
        let entry = |action, detail| {
            let subject = subject.as_str();
            audit::Entry { actor: Some(user), action, subject, detail, ip }
        };
        let hash = owner.password_hash.as_str();
        if self.inner.passwords.verify(&request.password, Some(hash)).await? == Verdict::Wrong {
            audit::add(pool, entry("user.deleteRefused", json!({}))).await?;
            return Err(WRONG);
        }
        let nobodys = SecretString::from(format!("{:032x}", rand::random::<u128>()));
        let nobodys = self.inner.passwords.hash(&nobodys).await?;
        let username = &format!("deleted-{:032x}", rand::random::<u128>())[..32];
        let email = format!("{username}@deleted.invalid");
        let tombstone = Tombstone { username, email: &email, password_hash: &nobodys };

        let mut db = pool.begin().await?;
        if owner.role == Role::Admin {
            operators::lock_roles(&mut *db).await?;
            if !operators::is_another(&mut *db, Some(user)).await? {
                return Err(LAST_OPERATOR);
            }
        }
        // Everybody locks these before the user.
        deletion::remove_one_time_tokens(&mut *db, user).await?;
        // The row is held from here on, so no session begins behind the end of all of them.
        if !deletion::bury(&mut *db, user, hash, tombstone).await? {
            return Err(WRONG);
        }
        let why = EndReason::AccountDeleted;
        let ended = store::sessions::end(&mut db, user, Which::All, why).await?;
        deletion::erase_devices(&mut *db, user).await?;
        deletion::remove_blocks(&mut *db, user).await?;
        deletion::forget_last_seen(&mut *db, user).await?;
        visibility::note_change(&mut db, &[user]).await?;
        audit::add(&mut *db, entry("user.delete", json!({ "sessionIds": ended }))).await?;
        db.commit().await?;
        self.announce(user, &ended, why);
        self.tell(PersonChanged::Visibility { users: vec![user] });
        tracing::info!(user.id = %user, "an account was deleted");
        Ok(())
    }
}
