//! Table `users`.

use std::collections::HashMap;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use super::OnConstraint;
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::{Audience, Me, Privacy, Role, User};

/// What every reader of a user needs, and never the password.
macro_rules! columns {
    () => {
        "users.id, users.username, users.email, users.display_name, users.bio, \
         users.email_verified, users.verified, users.role, users.privacy_last_seen, \
         users.privacy_direct_messages, users.privacy_group_invites, users.discoverable, \
         users.privacy_read_receipts, users.privacy_typing, users.created_at"
    };
}

#[derive(Debug, FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "a row, as the table has it")]
struct UserRow {
    id: UserId,
    username: String,
    email: String,
    display_name: String,
    bio: String,
    email_verified: bool,
    verified: bool,
    role: Role,
    privacy_last_seen: Audience,
    privacy_direct_messages: Audience,
    privacy_group_invites: Audience,
    discoverable: bool,
    privacy_read_receipts: bool,
    privacy_typing: bool,
    created_at: OffsetDateTime,
}

impl From<UserRow> for Me {
    fn from(row: UserRow) -> Self {
        Self {
            user: User {
                id: row.id,
                username: row.username,
                display_name: row.display_name,
                bio: row.bio,
                avatar_url: None,
                verified: row.verified,
                online: None,
                last_seen_at: None,
                created_at: row.created_at.into(),
            },
            email: row.email,
            email_verified: row.email_verified,
            role: row.role,
            privacy: Privacy {
                last_seen: row.privacy_last_seen,
                direct_messages: row.privacy_direct_messages,
                group_invites: row.privacy_group_invites,
                discoverable: row.discoverable,
                read_receipts: row.privacy_read_receipts,
                typing: row.privacy_typing,
            },
        }
    }
}

/// A user to be made; everything else begins with its default.
#[derive(Clone, Copy, Debug)]
pub struct NewUser<'a> {
    pub id: UserId,
    pub username: &'a str,
    pub email: &'a str,
    pub display_name: &'a str,
    pub password_hash: &'a str,
}

/// Makes a user.
///
/// # Errors
/// `Conflict("username")` or `Conflict("email")` where another has it already.
pub async fn add(db: impl PgExecutor<'_>, new: NewUser<'_>) -> Result<Me> {
    let row = sqlx::query_as::<_, UserRow>(concat!(
        "insert into users (id, username, email, display_name, password_hash)
         values ($1, $2, $3, $4, $5)
         returning ",
        columns!()
    ))
    .bind(new.id)
    .bind(new.username)
    .bind(new.email)
    .bind(new.display_name)
    .bind(new.password_hash)
    .fetch_one(db)
    .await
    .on_constraint(&[("users_username_key", "username"), ("users_email_key", "email")])?;
    Ok(row.into())
}

/// A user who has not been deleted, with what is theirs alone.
pub async fn find(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<Me>> {
    let row = sqlx::query_as::<_, UserRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where users.id = $1
           and users.deleted_at is null"
    ))
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// These users, in no order; who does not exist or was deleted is left out.
pub async fn by_ids(db: impl PgExecutor<'_>, ids: &[UserId]) -> Result<Vec<User>> {
    let rows = sqlx::query_as::<_, UserRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where users.id = any($1)
           and users.deleted_at is null"
    ))
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Me::from(row).user).collect())
}

/// The same, in the order of the ids.
pub async fn in_order(db: impl PgExecutor<'_>, ids: &[UserId]) -> Result<Vec<User>> {
    let mut users: HashMap<UserId, User> =
        by_ids(db, ids).await?.into_iter().map(|user| (user.id, user)).collect();
    Ok(ids.iter().filter_map(|id| users.remove(id)).collect())
}

/// What is to be changed of a user; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'a> {
    pub username: Option<&'a str>,
    pub display_name: Option<&'a str>,
    pub bio: Option<&'a str>,
    pub last_seen: Option<Audience>,
    pub direct_messages: Option<Audience>,
    pub group_invites: Option<Audience>,
    pub discoverable: Option<bool>,
    pub read_receipts: Option<bool>,
    pub typing: Option<bool>,
}

/// Changes a user who has not been deleted.
///
/// # Errors
/// `Conflict("username")` where another has it already.
pub async fn edit(db: impl PgExecutor<'_>, id: UserId, edit: Edit<'_>) -> Result<Option<Me>> {
    let row = sqlx::query_as::<_, UserRow>(concat!(
        "update users
         set username = coalesce($2, username),
             display_name = coalesce($3, display_name),
             bio = coalesce($4, bio),
             privacy_last_seen = coalesce($5, privacy_last_seen),
             privacy_direct_messages = coalesce($6, privacy_direct_messages),
             privacy_group_invites = coalesce($7, privacy_group_invites),
             discoverable = coalesce($8, discoverable),
             privacy_read_receipts = coalesce($9, privacy_read_receipts),
             privacy_typing = coalesce($10, privacy_typing),
             updated_at = now()
         where users.id = $1
           and users.deleted_at is null
         returning ",
        columns!()
    ))
    .bind(id)
    .bind(edit.username)
    .bind(edit.display_name)
    .bind(edit.bio)
    .bind(edit.last_seen)
    .bind(edit.direct_messages)
    .bind(edit.group_invites)
    .bind(edit.discoverable)
    .bind(edit.read_receipts)
    .bind(edit.typing)
    .fetch_optional(db)
    .await
    .on_constraint(&[("users_username_key", "username")])?;
    Ok(row.map(Into::into))
}

/// These users as authors and members are shown, in no order; who was deleted is a tombstone.
pub async fn shown(db: impl PgExecutor<'_>, ids: &[UserId]) -> Result<Vec<User>> {
    let rows = sqlx::query_as::<_, UserRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where users.id = any($1)"
    ))
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Me::from(row).user).collect())
}

/// What a sign-in is checked against.
#[derive(FromRow)]
pub struct Credentials {
    pub id: UserId,
    pub password_hash: String,
    /// Neither suspended nor deleted.
    pub active: bool,
}

/// By username or e-mail address, without regard to case. A username has no `@`, so no login can
/// mean two people.
pub async fn find_credentials(db: impl PgExecutor<'_>, login: &str) -> Result<Option<Credentials>> {
    let found = sqlx::query_as(
        "select id,
                password_hash,
                suspended_at is null and deleted_at is null as active
         from users
         where lower(username) = lower($1)
            or lower(email) = lower($1)",
    )
    .bind(login)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// What a password is chosen for.
#[derive(FromRow)]
pub struct Account {
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub password_hash: String,
}

/// The account of a user who is neither suspended nor deleted.
pub async fn find_account(db: impl PgExecutor<'_>, id: UserId) -> Result<Option<Account>> {
    let found = sqlx::query_as(
        "select id, username, email, password_hash
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

/// The same by its address, without regard to case.
pub async fn find_account_by_email(
    db: impl PgExecutor<'_>,
    email: &str,
) -> Result<Option<Account>> {
    let found = sqlx::query_as(
        "select id, username, email, password_hash
         from users
         where lower(email) = lower($1)
           and suspended_at is null
           and deleted_at is null",
    )
    .bind(email)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Holds an active user with this password hash for the rest of the transaction, so that neither
/// a suspension nor a change of password slips in between the check and what is built on it.
pub async fn hold_active(
    db: impl PgExecutor<'_>,
    id: UserId,
    password_hash: &str,
) -> Result<Option<Me>> {
    let row = sqlx::query_as::<_, UserRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where users.id = $1
           and users.password_hash = $2
           and users.suspended_at is null
           and users.deleted_at is null
         for share"
    ))
    .bind(id)
    .bind(password_hash)
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Replaces a password hash, unless it was changed meanwhile.
pub async fn replace_password_hash(
    db: impl PgExecutor<'_>,
    id: UserId,
    old: &str,
    new: &str,
) -> Result<bool> {
    let done = sqlx::query(
        "update users
         set password_hash = $3,
             updated_at = now()
         where id = $1
           and password_hash = $2",
    )
    .bind(id)
    .bind(old)
    .bind(new)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a password hash, whatever it was.
pub async fn set_password_hash(db: impl PgExecutor<'_>, id: UserId, new: &str) -> Result<()> {
    sqlx::query(
        "update users
         set password_hash = $2,
             updated_at = now()
         where id = $1",
    )
    .bind(id)
    .bind(new)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a user's present address is theirs.
pub async fn set_email_verified(db: impl PgExecutor<'_>, id: UserId) -> Result<()> {
    sqlx::query(
        "update users
         set email_verified = true,
             updated_at = now()
         where id = $1",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}
