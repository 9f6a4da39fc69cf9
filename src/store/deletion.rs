//! Making a tombstone of an account: what stays is an id that others' history points to.

use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::Role;

/// What deleted accounts are shown as.
pub const DISPLAY_NAME: &str = "Deleted account";

/// What a deletion is checked against.
#[derive(FromRow)]
pub struct Owner {
    pub password_hash: String,
    pub role: Role,
}

pub async fn find_owner(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<Owner>> {
    let found = sqlx::query_as(
        "select password_hash, role
         from users
         where id = $1
           and suspended_at is null
           and deleted_at is null",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// What stands in the row from now on. Nobody can guess the name, so nobody can have taken it.
#[derive(Clone, Copy, Debug)]
pub struct Tombstone<'a> {
    pub username: &'a str,
    /// In a domain that cannot exist.
    pub email: &'a str,
    /// Of a password that nobody knows.
    pub password_hash: &'a str,
}

/// Erases a person from their row, unless the password was changed since it was checked. Waits for
/// a sign-in that is under way; a later one finds another password.
pub async fn bury(
    db: impl PgExecutor<'_>,
    id: UserId,
    checked_hash: &str,
    tombstone: Tombstone<'_>,
) -> Result<bool> {
    let done = sqlx::query(
        "update users
         set username = $3,
             email = $4,
             password_hash = $5,
             display_name = $6,
             bio = '',
             email_verified = false,
             verified = false,
             role = 'user',
             privacy_last_seen = 'nobody',
             privacy_direct_messages = 'nobody',
             privacy_group_invites = 'nobody',
             privacy_read_receipts = false,
             privacy_typing = false,
             discoverable = false,
             deleted_at = now(),
             updated_at = now()
         where id = $1
           and password_hash = $2
           and suspended_at is null
           and deleted_at is null",
    )
    .bind(id)
    .bind(checked_hash)
    .bind(tombstone.username)
    .bind(tombstone.email)
    .bind(tombstone.password_hash)
    .bind(DISPLAY_NAME)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Erases what the sessions of a user tell of their devices. The rows stay a while, so that nodes
/// can see that the sessions have ended.
pub async fn erase_devices(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query(
        "update sessions
         set device_id = null,
             device_name = null,
             device_platform = null,
             ip = null,
             user_agent = null
         where user_id = $1",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes the tokens of mails that a user was sent.
pub async fn remove_one_time_tokens(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query("delete from one_time_tokens where user_id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Forgets when a user was last there.
pub async fn forget_last_seen(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query("delete from user_last_seen where user_id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// Removes whom a user blocked. Who blocked *them* stays: what they wrote stays hidden, too.
pub async fn remove_blocks(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query("delete from user_blocks where blocker_id = $1").bind(id).execute(db).await?;
    Ok(())
}
