//! Table `chat_invites`: links by which people come into a group.

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::{ChatId, UserId};

#[derive(Debug, FromRow)]
pub struct InviteRow {
    pub code: String,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub max_uses: Option<i32>,
    pub uses: i32,
}

/// An invite to be.
#[derive(Clone, Copy)]
pub struct NewInvite<'a> {
    pub chat: ChatId,
    pub code: &'a str,
    pub by: UserId,
    pub expires_at: Option<OffsetDateTime>,
    pub max_uses: Option<i32>,
    /// Usable invites that a chat may have.
    pub most: i64,
}

/// Makes an invite; `None` where there are `most` already.
pub async fn add(db: impl PgExecutor<'_>, new: NewInvite<'_>) -> Result<Option<InviteRow>> {
    let row = sqlx::query_as(
        "insert into chat_invites (chat_id, code, created_by, created_at, expires_at, max_uses)
         select $1, $3, $2, date_trunc('milliseconds', now()), $4, $5
         where (select count(*)
                from chat_invites
                where chat_id = $1 and revoked_at is null
                  and (expires_at is null or expires_at > now())
                  and (max_uses is null or uses < max_uses)) < $6
         returning code, created_at, expires_at, max_uses, uses",
    )
    .bind(new.chat)
    .bind(new.by)
    .bind(new.code)
    .bind(new.expires_at)
    .bind(new.max_uses)
    .bind(new.most)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Usable invites of a chat, the newest first, behind `before`.
pub async fn list(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    before: Option<OffsetDateTime>,
    limit: i64,
) -> Result<Vec<InviteRow>> {
    let rows = sqlx::query_as(
        "select code, created_at, expires_at, max_uses, uses
         from chat_invites
         where chat_id = $1 and revoked_at is null
           and (expires_at is null or expires_at > now())
           and (max_uses is null or uses < max_uses)
           and ($2::timestamptz is null or created_at < $2)
         order by created_at desc
         limit $3",
    )
    .bind(chat)
    .bind(before)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Ends an invite; `false` where there is no such one.
pub async fn revoke(db: impl PgExecutor<'_>, chat: ChatId, code: &str) -> Result<bool> {
    let done = sqlx::query(
        "update chat_invites
         set revoked_at = now()
         where chat_id = $1 and code = $2 and revoked_at is null",
    )
    .bind(chat)
    .bind(code)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What an invite shows to whoever has it.
#[derive(FromRow)]
pub struct Preview {
    pub chat_id: ChatId,
    pub title: Option<String>,
    pub description: Option<String>,
    pub member_count: i32,
    pub expires_at: Option<OffsetDateTime>,
}

/// The chat behind a usable invite.
pub async fn preview(db: impl PgExecutor<'_>, code: &str) -> Result<Option<Preview>> {
    let row = sqlx::query_as(
        "select c.id as chat_id, c.title, c.description, c.member_count, i.expires_at
         from chat_invites i
         join chats c on c.id = i.chat_id and c.deleted_at is null
         where i.code = $1 and i.revoked_at is null
           and (i.expires_at is null or i.expires_at > now())
           and (i.max_uses is null or i.uses < i.max_uses)",
    )
    .bind(code)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

/// Takes one use of an invite; `false` where none is left. For the chat's writer alone, which comes
/// to one at a time.
pub async fn take_use(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    code: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update chat_invites
         set uses = uses + 1
         where chat_id = $1 and code = $2 and revoked_at is null
           and (expires_at is null or expires_at > now())
           and (max_uses is null or uses < max_uses)",
    )
    .bind(chat)
    .bind(code)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
