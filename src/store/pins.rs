//! What members do to a chat for themselves alone: pinning and muting, in table `chat_members`.
//!
//! These two columns are written here, though the rest of the row is its partition's owner's. Nobody
//! reads them to decide anything or to write them: each statement sets what its user asked for, in a
//! row that it takes as it is by then. The one other that sets them is a joining, which begins a
//! membership anew. Each holds one row and waits for none behind that, so no writer waits for more
//! than it.

use sqlx::PgExecutor;
use sqlx::types::time::OffsetDateTime;

use crate::error::Result;
use crate::model::id::{ChatId, UserId};

/// What became of pinning a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    Done,
    /// The user is not in it.
    Nowhere,
    TooMany,
}

/// Pins a chat, unless `most` are pinned already; one that is pinned stays so. Two calls at once may
/// pass that by one.
pub async fn pin(db: impl PgExecutor<'_>, user: UserId, chat: ChatId, most: i64) -> Result<Pinned> {
    let found: Option<(bool, bool)> = sqlx::query_as(
        "with known as (
             select m.pinned_at is not null as before,
                    (select count(*)
                     from chat_members p
                     join chats pc on pc.id = p.chat_id and pc.deleted_at is null
                     where p.user_id = $1 and p.pinned_at is not null and p.left_seq is null
                    ) >= $3 as is_full
             from chat_members m
             join chats c on c.id = m.chat_id
             where m.chat_id = $2 and m.user_id = $1 and m.left_seq is null
               and c.deleted_at is null
         ),
         pinned as (
             update chat_members m
             set pinned_at = now()
             from known
             where m.chat_id = $2 and m.user_id = $1 and m.left_seq is null
               and not known.before and not known.is_full
         )
         select before, is_full
         from known",
    )
    .bind(user)
    .bind(chat)
    .bind(most)
    .fetch_optional(db)
    .await?;
    Ok(match found {
        None => Pinned::Nowhere,
        Some((false, true)) => Pinned::TooMany,
        Some(_) => Pinned::Done,
    })
}

/// Ends that; `false` where the user is not in the chat.
pub async fn unpin(db: impl PgExecutor<'_>, user: UserId, chat: ChatId) -> Result<bool> {
    let done = sqlx::query(
        "update chat_members m
         set pinned_at = null
         from chats c
         where m.chat_id = $2 and m.user_id = $1 and m.left_seq is null
           and c.id = m.chat_id and c.deleted_at is null",
    )
    .bind(user)
    .bind(chat)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Mutes a chat until then, or no longer; `false` where the user is not in it.
pub async fn mute(
    db: impl PgExecutor<'_>,
    user: UserId,
    chat: ChatId,
    until: Option<OffsetDateTime>,
) -> Result<bool> {
    let done = sqlx::query(
        "update chat_members m
         set muted_until = $3
         from chats c
         where m.chat_id = $2 and m.user_id = $1 and m.left_seq is null
           and c.id = m.chat_id and c.deleted_at is null",
    )
    .bind(user)
    .bind(chat)
    .bind(until)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
