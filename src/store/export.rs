//! All that is held on one user, a page at a time.
//!
//! What others wrote or are called is never in it: of them it has ids alone. Each page goes on
//! behind the last row of the one before, so no statement grows with what came before it.

use serde::Serialize;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::error::Result;
use crate::model::id::{ChatId, CommandId, MessageId, SessionId, UserId};

/// Seqs of a chat that one statement looks at: others' messages are passed over, so a part is
/// bounded by what it reads and not by what it finds.
///
/// The sender is compared by `is not distinct from`, which no index serves: a plan that was made
/// while a chat was small, and kept, went by the index of senders, and read all that somebody ever
/// wrote there for each window.
const WINDOW: i64 = 250;

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    pub id: SessionId,
    pub device_id: Option<String>,
    pub device_name: Option<String>,
    pub device_platform: Option<String>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    pub end_reason: Option<String>,
}

/// All sessions that are still known, ended ones too.
pub async fn sessions(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query_as(
        "select id, device_id, device_name, device_platform, host(ip) as ip, user_agent,
                created_at, last_seen_at, expires_at, ended_at, end_reason
         from sessions
         where user_id = $1
           and ($2::uuid is null or id > $2)
         order by id
         limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockRow {
    pub user_id: UserId,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Whom the user blocked; not who blocked them.
pub async fn blocks(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<BlockRow>> {
    let rows = sqlx::query_as(
        "select blocked_id as user_id, created_at
         from user_blocks
         where blocker_id = $1
           and ($2::uuid is null or blocked_id > $2)
         order by blocked_id
         limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatRow {
    pub chat_id: ChatId,
    pub kind: String,
    /// Null where the user is no longer in the chat: it is not theirs to know any more.
    pub title: Option<String>,
    pub description: Option<String>,
    /// The other one of a direct chat.
    pub peer_id: Option<UserId>,
    pub role: String,
    #[serde(with = "time::serde::rfc3339")]
    pub joined_at: OffsetDateTime,
    pub is_member: bool,
    #[serde(skip)]
    pub last_seq: i64,
    pub read_seq: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub read_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub pinned_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub muted_until: Option<OffsetDateTime>,
}

/// Chats that the user is in, or was.
pub async fn chats(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<ChatId>,
    limit: i64,
) -> Result<Vec<ChatRow>> {
    let rows = sqlx::query_as(
        "select m.chat_id,
                c.kind,
                case when v.is_member then c.title end as title,
                case when v.is_member then c.description end as description,
                case when c.direct_low = $1 then c.direct_high else c.direct_low end as peer_id,
                m.role,
                m.joined_at,
                v.is_member,
                c.last_seq,
                m.read_seq,
                m.read_at,
                m.pinned_at,
                m.muted_until
         from chat_members m
         join chats c on c.id = m.chat_id
         cross join lateral (
             select m.left_seq is null and c.deleted_at is null as is_member
         ) v
         where m.user_id = $1
           and ($2::uuid is null or m.chat_id > $2)
         order by m.chat_id
         limit $3",
    )
    .bind(user)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Part of a chat, and behind which place the next one begins.
pub struct Part<T, P> {
    pub rows: Vec<T>,
    pub next: P,
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRow {
    pub id: MessageId,
    pub seq: i64,
    pub client_id: CommandId,
    /// Null once deleted.
    pub body: Option<String>,
    pub reply_to_seq: Option<i64>,
    pub mentions: Option<Vec<UserId>>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub edited_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub deleted_at: Option<OffsetDateTime>,
}

/// What the user wrote in a chat, in the window behind `after`.
pub async fn messages(
    db: impl PgExecutor<'_>,
    user: UserId,
    chat: ChatId,
    after: i64,
) -> Result<Part<MessageRow, i64>> {
    let window_end = after.saturating_add(WINDOW);
    let rows: Vec<MessageRow> = sqlx::query_as(
        "select id, seq, client_id, body, reply_to_seq, mentions, created_at, edited_at, deleted_at
         from messages
         where chat_id = $1
           and seq > $2
           and seq <= $3
           and sender_id is not distinct from $4
         order by seq",
    )
    .bind(chat)
    .bind(after)
    .bind(window_end)
    .bind(user)
    .fetch_all(db)
    .await?;
    Ok(Part { rows, next: window_end })
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactionRow {
    pub message_seq: i64,
    pub emoji: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What the user reacted with in a chat, behind `after` (seq of the message, emoji).
pub async fn reactions(
    db: impl PgExecutor<'_>,
    user: UserId,
    chat: ChatId,
    after: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<ReactionRow>> {
    let (seq, emoji) = after.unwrap_or_default();
    let rows = sqlx::query_as(
        "select message_seq, emoji, created_at
         from message_reactions
         where chat_id = $1
           and user_id = $2
           and (message_seq, emoji) > ($3, $4)
         order by message_seq, emoji
         limit $5",
    )
    .bind(chat)
    .bind(user)
    .bind(seq)
    .bind(emoji)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EditRow {
    pub message_seq: i64,
    pub version: i32,
    pub body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub edited_at: OffsetDateTime,
}

/// Former versions of what the user wrote in a chat, behind `after` (seq, version).
pub async fn edits(
    db: impl PgExecutor<'_>,
    user: UserId,
    chat: ChatId,
    after: (i64, i32),
    limit: i64,
) -> Result<Part<EditRow, (i64, i32)>> {
    let window_end = after.0.saturating_add(WINDOW);
    let rows: Vec<EditRow> = sqlx::query_as(
        "select e.message_seq, e.version, e.body, e.edited_at
         from message_edits e
         join messages m on m.chat_id = e.chat_id and m.seq = e.message_seq
         where e.chat_id = $1
           and (e.message_seq, e.version) > ($2, $3)
           and e.message_seq <= $4
           and m.sender_id is not distinct from $5
         order by e.message_seq, e.version
         limit $6",
    )
    .bind(chat)
    .bind(after.0)
    .bind(after.1)
    .bind(window_end)
    .bind(user)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
    let last = rows.last().filter(|_| is_full);
    // No version is above this one: the next page begins with the next message.
    let next = last.map_or((window_end, i32::MAX), |row| (row.message_seq, row.version));
    Ok(Part { rows, next })
}

#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    pub id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub action: String,
    /// Whether the user did it; who else did is not told.
    pub by_yourself: bool,
    pub subject: Option<String>,
    pub detail: Option<serde_json::Value>,
    pub ip: Option<String>,
}

/// What the audit log holds on the user, behind `after`: what they did, and what was done to them
/// or to their sessions. Of what others did it tells neither who nor from where, nor why.
pub async fn audit_rows(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<AuditRow>> {
    let (at, id) = after.unzip();
    let rows = sqlx::query_as(
        "select a.id,
                a.at,
                a.action,
                v.own as by_yourself,
                a.subject,
                case when v.own then a.detail end as detail,
                case when v.own then host(a.ip) end as ip
         from audit_log a
         cross join lateral (select a.actor_id is not distinct from $1 as own) v
         where (a.actor_id = $1
                or a.subject = $1::text
                or a.subject in (select s.id::text from sessions s where s.user_id = $1))
           and ($2::timestamptz is null or (a.at, a.id) > ($2, $3))
         order by a.at, a.id
         limit $4",
    )
    .bind(user)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}
