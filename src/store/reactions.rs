//! Table `message_reactions`, and the counts that `messages` keeps of it.
//!
//! Only the owner of a chat's partition writes either, in one statement, so the counts are always
//! those of the rows.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use super::visibility::{closed_direct, is_blocked};
use crate::error::Result;
use crate::model::chat::Role;
use crate::model::id::{ChatId, MessageId, UserId};

/// How many have reacted with an emoji, as `messages.reactions` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub emoji: String,
    pub count: i64,
}

/// What must be known to decide about one emoji of a member's at a message.
#[derive(FromRow)]
pub struct Standing {
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// In a direct chat, whether it is closed to the member.
    pub closed: bool,
    /// None where there is no such message.
    pub message_seq: Option<i64>,
    pub is_deleted: Option<bool>,
    pub changed_seq: Option<i64>,
    pub reactions: Option<Json<Vec<Tally>>>,
    /// The event that added this very reaction, where it is there.
    pub added_seq: Option<i64>,
    /// How many other emoji the member has at the message.
    pub others: i64,
}

/// None where the user is not in the chat.
pub async fn standing(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
    message: MessageId,
    emoji: &str,
) -> Result<Option<Standing>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select me.role, ",
        closed_direct!("$2"),
        " as closed, m.seq as message_seq, m.deleted_at is not null as is_deleted,
          m.changed_seq, m.reactions, own.added_seq, own.others
         from chat_members me
         join chats c on c.id = me.chat_id and c.deleted_at is null
         left join messages m on m.chat_id = me.chat_id and m.id = $3
         cross join lateral (
             select min(r.seq) filter (where r.emoji = $4) as added_seq,
                    count(*) filter (where r.emoji <> $4) as others
             from message_reactions r
             where r.chat_id = $1 and r.user_id = $2 and r.message_seq = m.seq
         ) own
         where me.chat_id = $1 and me.user_id = $2 and me.left_seq is null"
    ))
    .bind(chat)
    .bind(user)
    .bind(message)
    .bind(emoji)
    .fetch_optional(db)
    .await
}

/// A reaction that comes or goes, and what the message's counts are with it.
#[derive(Clone, Copy)]
pub struct Effect<'a> {
    pub chat: ChatId,
    pub message_seq: i64,
    pub user: UserId,
    pub emoji: &'a str,
    pub tallies: &'a [Tally],
    /// Of the event.
    pub seq: i64,
}

impl Effect<'_> {
    fn tallies(&self) -> Option<Json<&[Tally]>> {
        (!self.tallies.is_empty()).then_some(Json(self.tallies))
    }
}

pub async fn add(db: impl PgExecutor<'_>, effect: Effect<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with added as (
             insert into message_reactions (chat_id, user_id, message_seq, emoji, seq, created_at)
             values ($1, $3, $2, $4, $6, date_trunc('milliseconds', now()))
         )
         update messages
         set reactions = $5, changed_seq = $6
         where chat_id = $1 and seq = $2",
    )
    .bind(effect.chat)
    .bind(effect.message_seq)
    .bind(effect.user)
    .bind(effect.emoji)
    .bind(effect.tallies())
    .bind(effect.seq)
    .execute(db)
    .await?;
    Ok(())
}

pub async fn remove(db: impl PgExecutor<'_>, effect: Effect<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with removed as (
             delete from message_reactions
             where chat_id = $1 and user_id = $3 and message_seq = $2 and emoji = $4
         )
         update messages
         set reactions = $5, changed_seq = $6
         where chat_id = $1 and seq = $2",
    )
    .bind(effect.chat)
    .bind(effect.message_seq)
    .bind(effect.user)
    .bind(effect.emoji)
    .bind(effect.tallies())
    .bind(effect.seq)
    .execute(db)
    .await?;
    Ok(())
}

/// A reaction as it was stored, without the person.
#[derive(FromRow)]
pub struct ReactionRow {
    pub seq: i64,
    pub user_id: UserId,
    pub emoji: String,
    pub created_at: OffsetDateTime,
}

/// Who reacted to a message behind `after`, the first first.
pub async fn list(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    message_seq: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<ReactionRow>> {
    let rows = sqlx::query_as(
        "select seq, user_id, emoji, created_at
         from message_reactions
         where chat_id = $1 and message_seq = $2 and seq > $3
         order by seq
         limit $4",
    )
    .bind(chat)
    .bind(message_seq)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}
