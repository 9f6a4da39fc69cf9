//! What a writer stores for every command that is not a send, one at a time, inside its batch's
//! transaction.

use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgExecutor};

use super::events::EventData;
use super::visibility::{closed_direct, is_blocked};
use crate::model::chat::{ChatKind, Pair, Role};
use crate::model::event::EventKind;
use crate::model::id::{ChatId, CommandId, MessageId, UserId};

/// What an earlier command of the same id did.
#[derive(FromRow)]
pub struct Earlier {
    pub seq: i64,
    /// Where it did several things: the seq of the last one.
    pub last_seq: i64,
    pub actor_id: UserId,
    pub kind: String,
}

pub async fn earlier(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    command: CommandId,
) -> Result<Option<Earlier>, sqlx::Error> {
    sqlx::query_as(
        "select seq, coalesce((data->>'lastSeq')::int8, seq) as last_seq, actor_id, kind
         from chat_events
         where chat_id = $1 and command_id = $2",
    )
    .bind(chat)
    .bind(command)
    .fetch_optional(db)
    .await
}

/// Gives the chat's next seq to an event and stores it.
pub async fn add_event(
    db: &mut PgConnection,
    chat: ChatId,
    command: CommandId,
    actor: UserId,
    kind: EventKind,
    data: EventData,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with next as (
             update chats
             set last_seq = last_seq + 1
             where id = $1
             returning last_seq
         )
         insert into chat_events (chat_id, seq, command_id, actor_id, kind, data, created_at)
         select $1, last_seq, $2, $3, $4, $5, date_trunc('milliseconds', now())
         from next
         returning seq",
    )
    .bind(chat)
    .bind(command)
    .bind(actor)
    .bind(kind.name())
    .bind(Json(data))
    .fetch_one(db)
    .await
}

/// What must be known to edit or delete a message.
#[derive(FromRow)]
pub struct Subject {
    pub seq: i64,
    pub sender_id: UserId,
    /// `None` once deleted.
    pub body: Option<String>,
    pub version: i32,
    pub changed_seq: i64,
    /// In a direct chat, whether it is closed to the sender: by a block, either way, or because the
    /// other one takes no direct messages.
    pub closed: bool,
}

pub async fn subject(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    message: MessageId,
) -> Result<Option<Subject>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select m.seq, m.sender_id, m.body, m.version, m.changed_seq, ",
        closed_direct!("m.sender_id"),
        " as closed
         from messages m
         join chats c on c.id = m.chat_id
         where m.chat_id = $1 and m.id = $2"
    ))
    .bind(chat)
    .bind(message)
    .fetch_optional(db)
    .await
}

/// Gives a message another text and keeps the one before.
pub async fn edit_message(
    db: &mut PgConnection,
    chat: ChatId,
    message_seq: i64,
    body: &str,
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with former as (
             insert into message_edits (chat_id, message_seq, version, body, edited_at)
             select chat_id, seq, version, body, coalesce(edited_at, created_at)
             from messages
             where chat_id = $1 and seq = $2
         )
         update messages
         set body = $3,
             version = version + 1,
             edited_at = date_trunc('milliseconds', now()),
             changed_seq = $4
         where chat_id = $1 and seq = $2",
    )
    .bind(chat)
    .bind(message_seq)
    .bind(body)
    .bind(seq)
    .execute(db)
    .await?;
    Ok(())
}

/// Leaves of a message its place alone.
pub async fn delete_message(
    db: &mut PgConnection,
    chat: ChatId,
    message_seq: i64,
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with former as (
             delete from message_edits
             where chat_id = $1 and message_seq = $2
         ),
         reacted as (
             delete from message_reactions
             where chat_id = $1 and message_seq = $2
         )
         update messages
         set body = null,
             mentions = null,
             reactions = null,
             deleted_at = date_trunc('milliseconds', now()),
             changed_seq = $3
         where chat_id = $1 and seq = $2",
    )
    .bind(chat)
    .bind(message_seq)
    .bind(seq)
    .execute(db)
    .await?;
    Ok(())
}

/// A chat to be.
pub struct NewChat<'a> {
    pub id: ChatId,
    pub kind: ChatKind,
    pub partition: i16,
    pub title: Option<&'a str>,
    pub description: Option<&'a str>,
    pub created_by: UserId,
    pub pair: Option<Pair>,
    pub members: &'a [(UserId, Role)],
}

/// Makes a chat without events; its members join with the event that comes next, seq 1. Returns
/// how many of the members exist as users.
pub async fn add_chat(db: &mut PgConnection, new: NewChat<'_>) -> Result<i64, sqlx::Error> {
    let (users, roles): (Vec<UserId>, Vec<&str>) =
        new.members.iter().map(|(user, role)| (*user, role.as_str())).unzip();
    sqlx::query(
        "insert into chats (id, kind, partition, title, description, created_by, direct_low,
                            direct_high, changed_seq, last_activity_at, created_at, updated_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, 1, t, t, t
         from date_trunc('milliseconds', now()) t",
    )
    .bind(new.id)
    .bind(new.kind.as_str())
    .bind(new.partition)
    .bind(new.title)
    .bind(new.description)
    .bind(new.created_by)
    .bind(new.pair.map(|pair| pair.low))
    .bind(new.pair.map(|pair| pair.high))
    .execute(&mut *db)
    .await?;
    if new.kind == ChatKind::Group {
        keep_name(&mut *db, new.id).await?;
    }
    sqlx::query_scalar(
        "with joined as (
             insert into chat_members (chat_id, user_id, role, joined_at, joined_seq, changed_seq)
             select $1, u.id, i.role, date_trunc('milliseconds', now()), 1, 1
             from unnest($2::uuid[], $3::text[]) i (user_id, role)
             join users u on u.id = i.user_id and u.deleted_at is null
             returning user_id
         ),
         counted as (
             select count(*) as n from joined
         )
         update chats
         set member_count = counted.n
         from counted
         where id = $1
         returning counted.n",
    )
    .bind(new.id)
    .bind(users)
    .bind(roles)
    .fetch_one(db)
    .await
}

/// What of a chat is to change; the rest stays.
pub struct ChatPatch<'a> {
    pub title: Option<&'a str>,
    /// An empty one takes it away.
    pub description: Option<&'a str>,
}

/// Changes a chat, by event `seq`.
pub async fn update_chat(
    db: &mut PgConnection,
    chat: ChatId,
    patch: ChatPatch<'_>,
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update chats
         set title = coalesce($2, title),
             description = case when $3 is null then description else nullif($3, '') end,
             changed_seq = $4,
             updated_at = date_trunc('milliseconds', now())
         where id = $1",
    )
    .bind(chat)
    .bind(patch.title)
    .bind(patch.description)
    .bind(seq)
    .execute(&mut *db)
    .await?;
    keep_name(db, chat).await
}

/// Brings what a search compares with up to what the chat is called.
async fn keep_name(db: impl PgExecutor<'_>, chat: ChatId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into chat_names (chat_id, title_key, description_key)
         select id,
                lower(normalize(coalesce(title, ''), nfkc)),
                lower(normalize(coalesce(description, ''), nfkc))
         from chats
         where id = $1
         on conflict (chat_id) do update
         set title_key = excluded.title_key, description_key = excluded.description_key",
    )
    .bind(chat)
    .execute(db)
    .await?;
    Ok(())
}

/// Ends a chat: nobody is in it any more. Its rows stay.
pub async fn end_chat(db: impl PgExecutor<'_>, chat: ChatId) -> Result<(), sqlx::Error> {
    sqlx::query("update chats set deleted_at = now() where id = $1").bind(chat).execute(db).await?;
    Ok(())
}

/// Whether a chat exists already.
pub async fn chat_exists(db: impl PgExecutor<'_>, chat: ChatId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from chats where id = $1)")
        .bind(chat)
        .fetch_one(db)
        .await
}
