//! Table `users`, as operators see and change it.

use std::time::Duration;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::account::Account;
use crate::model::id::{SessionId, UserId};
use crate::model::user::Role;

#[derive(FromRow)]
struct AccountRow {
    id: UserId,
    username: String,
    email: String,
    display_name: String,
    email_verified: bool,
    verified: bool,
    role: Role,
    suspended_at: Option<OffsetDateTime>,
    deleted_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id,
            username: row.username,
            email: row.email,
            display_name: row.display_name,
            email_verified: row.email_verified,
            verified: row.verified,
            role: row.role,
            suspended_at: row.suspended_at.map(Into::into),
            deleted_at: row.deleted_at.map(Into::into),
            created_at: row.created_at.into(),
        }
    }
}

macro_rules! columns {
    () => {
        "id, username, email, display_name, email_verified, verified, role, suspended_at, \
         deleted_at, created_at"
    };
}

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The beginning of a username or an address, or a whole id.
    pub query: Option<String>,
    pub suspended: Option<bool>,
}

/// Accounts, the newest first, those before `before`. Deleted ones are found by their id alone.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    before: Option<UserId>,
    limit: usize,
) -> Result<Vec<Account>> {
    let query = filter.query.as_deref();
    let id = query.and_then(|text| text.parse::<UserId>().ok());
    let rows = sqlx::query_as::<_, AccountRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where ($1::text is null or lower(username) like $1 or lower(email) like $1 or id = $2)
           and ($3::bool is null or (suspended_at is not null) = $3)
           and ($4::uuid is null or id < $4)
           and (deleted_at is null or id = $2)
         order by id desc
         limit $5"
    ))
    .bind(query.map(beginning))
    .bind(id)
    .bind(filter.suspended)
    .bind(before)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A pattern for what begins like this; its own wildcards mean themselves.
fn beginning(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for c in text.to_lowercase().chars() {
        if ['\\', '%', '_'].contains(&c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// An account that was not deleted, by id, username or address.
pub async fn find_by_name(db: impl PgExecutor<'_>, name: &str) -> Result<Option<Account>> {
    let row = sqlx::query_as::<_, AccountRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where deleted_at is null
           and (lower(username) = lower($1) or lower(email) = lower($1) or id = $2)"
    ))
    .bind(name)
    .bind(name.parse::<UserId>().ok())
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Locks accounts for the rest of the transaction, in the order of their ids: two operators who act
/// on each other at once must not wait for each other. Gives those that were not deleted.
pub async fn hold(db: impl PgExecutor<'_>, ids: &[UserId]) -> Result<Vec<Account>> {
    let rows = sqlx::query_as::<_, AccountRow>(concat!(
        "select ",
        columns!(),
        "
         from users
         where id = any($1)
           and deleted_at is null
         order by id
         for no key update"
    ))
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Whether somebody is an operator by this session; none where they are not. The flag tells
/// whether they signed in within `lately`: a refreshed session is as old as its sign-in.
pub async fn standing(
    db: impl PgExecutor<'_>,
    user: UserId,
    session: SessionId,
    lately: Duration,
) -> Result<Option<bool>> {
    let signed_in_lately = sqlx::query_scalar(
        "select sessions.created_at > now() - $3 * interval '1 second'
         from users
         join sessions on sessions.user_id = users.id
         where users.id = $1
           and sessions.id = $2
           and users.role = 'admin'
           and users.suspended_at is null
           and users.deleted_at is null
           and sessions.ended_at is null
           and sessions.expires_at > now()",
    )
    .bind(user)
    .bind(session)
    .bind(lately.as_secs_f64())
    .fetch_optional(db)
    .await?;
    Ok(signed_in_lately)
}

/// Lets nobody else make or lose an operator until the transaction ends.
pub async fn lock_roles(db: impl PgExecutor<'_>) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('chat-service operators', 0))")
        .execute(db)
        .await?;
    Ok(())
}

/// Whether there is an operator beside this one who can act.
pub async fn is_another(db: impl PgExecutor<'_>, but: Option<UserId>) -> Result<bool> {
    let is_another = sqlx::query_scalar(
        "select exists (
             select
             from users
             where role = 'admin'
               and suspended_at is null
               and deleted_at is null
               and ($1::uuid is null or id <> $1)
         )",
    )
    .bind(but)
    .fetch_one(db)
    .await?;
    Ok(is_another)
}

pub async fn set_role(db: impl PgExecutor<'_>, id: UserId, role: Role) -> Result<()> {
    sqlx::query("update users set role = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(role)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn set_verified(db: impl PgExecutor<'_>, id: UserId, verified: bool) -> Result<()> {
    sqlx::query("update users set verified = $2, updated_at = now() where id = $1")
        .bind(id)
        .bind(verified)
        .execute(db)
        .await?;
    Ok(())
}

/// Suspends an account, or lets it in again.
pub async fn set_suspended(
    db: impl PgExecutor<'_>,
    id: UserId,
    suspended: bool,
) -> Result<Account> {
    let row = sqlx::query_as::<_, AccountRow>(concat!(
        "update users
         set suspended_at = case when $2 then now() end,
             updated_at = now()
         where id = $1
         returning ",
        columns!()
    ))
    .bind(id)
    .bind(suspended)
    .fetch_one(db)
    .await?;
    Ok(row.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F53.
    #[test]
    fn wildcards_mean_themselves() {
        assert_eq!(beginning("Ann"), "ann%");
        assert_eq!(beginning(r"a_b%c\d"), r"a\_b\%c\\d%");
    }
}
