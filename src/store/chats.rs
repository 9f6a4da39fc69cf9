//! Tables `chats` and `direct_chats`: reading, and claiming a pair's chat.

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::{Error, Result};
use crate::model::chat::{ChatKind, Pair, Role};
use crate::model::id::{ChatId, UserId};

/// A chat as one member sees it, without people and messages.
#[derive(FromRow)]
pub struct ChatRow {
    pub id: ChatId,
    #[sqlx(try_from = "String")]
    pub kind: ChatKind,
    pub title: Option<String>,
    pub description: Option<String>,
    pub direct_low: Option<UserId>,
    pub direct_high: Option<UserId>,
    pub last_seq: i64,
    pub message_count: i64,
    pub member_count: i32,
    pub last_message_seq: Option<i64>,
    pub last_activity_at: OffsetDateTime,
    pub changed_seq: i64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    #[sqlx(try_from = "String")]
    pub role: Role,
    pub read_seq: i64,
    pub read_count: i64,
    pub pinned_at: Option<OffsetDateTime>,
    pub muted_until: Option<OffsetDateTime>,
}

impl ChatRow {
    /// The other one of a direct chat.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        let (low, high) = (self.direct_low?, self.direct_high?);
        Some(if low == user { high } else { low })
    }
}

impl TryFrom<String> for ChatKind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).ok_or(name)
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.id, c.kind, c.title, c.description, c.direct_low, c.direct_high, c.last_seq,
                    c.message_count, c.member_count, c.last_message_seq, c.last_activity_at,
                    c.changed_seq, c.created_at, c.updated_at, m.role, m.read_seq, m.read_count,
                    m.pinned_at,
                    case when m.muted_until > now() then m.muted_until end as muted_until
             from chat_members m
             join chats c on c.id = m.chat_id
             where m.user_id = $1 and m.left_seq is null and c.deleted_at is null ",
            $rest
        )
    };
}

/// One chat of a user's.
pub async fn find(db: impl PgExecutor<'_>, user: UserId, chat: ChatId) -> Result<Option<ChatRow>> {
    let row =
        sqlx::query_as(select!("and c.id = $2")).bind(user).bind(chat).fetch_optional(db).await?;
    Ok(row)
}

/// These chats, as far as the user is in them.
pub async fn some(db: impl PgExecutor<'_>, user: UserId, chats: &[ChatId]) -> Result<Vec<ChatRow>> {
    let rows =
        sqlx::query_as(select!("and c.id = any($2)")).bind(user).bind(chats).fetch_all(db).await?;
    Ok(rows)
}

/// Where a page of the chat list begins: behind this row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPosition {
    pub pinned: bool,
    pub last_activity_at: OffsetDateTime,
    pub chat: ChatId,
}

/// A user's chats, pinned ones first, then by last activity.
pub async fn list(
    db: impl PgExecutor<'_>,
    user: UserId,
    after: Option<ListPosition>,
    pinned_only: bool,
    limit: i64,
) -> Result<Vec<ChatRow>> {
    let rows = sqlx::query_as(select!(
        "and (not $2 or m.pinned_at is not null)
         and ($3::bool is null
              or (m.pinned_at is not null, c.last_activity_at, c.id) < ($3, $4, $5))
         order by (m.pinned_at is not null) desc, c.last_activity_at desc, c.id desc
         limit $6"
    ))
    .bind(user)
    .bind(pinned_only)
    .bind(after.map(|position| position.pinned))
    .bind(after.map(|position| position.last_activity_at))
    .bind(after.map(|position| position.chat))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The chat of a pair: `chat` where nobody claimed one before, else the one that was claimed. Two
/// nodes that ask at once get the same.
pub async fn claim_direct(db: impl PgExecutor<'_>, pair: Pair, chat: ChatId) -> Result<ChatId> {
    let claimed = sqlx::query_scalar(
        "insert into direct_chats (low, high, chat_id)
         values ($1, $2, $3)
         on conflict (low, high) do update set chat_id = direct_chats.chat_id
         returning chat_id",
    )
    .bind(pair.low)
    .bind(pair.high)
    .bind(chat)
    .fetch_one(db)
    .await?;
    Ok(claimed)
}

/// Who shares a direct chat with a user, those of the liveliest chats first.
pub async fn direct_peers(
    db: impl PgExecutor<'_>,
    user: UserId,
    limit: i64,
) -> Result<Vec<UserId>> {
    let peers = sqlx::query_scalar(
        "select p.peer
         from (
             select high as peer, chat_id from direct_chats where low = $1
             union all
             select low, chat_id from direct_chats where high = $1
         ) p
         join chats c on c.id = p.chat_id and c.deleted_at is null
         order by c.last_activity_at desc
         limit $2",
    )
    .bind(user)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(peers)
}

/// The newest seq of these chats.
pub async fn last_seqs(db: impl PgExecutor<'_>, chats: &[ChatId]) -> Result<Vec<(ChatId, i64)>> {
    let rows = sqlx::query_as("select id, last_seq from chats where id = any($1)")
        .bind(chats)
        .fetch_all(db)
        .await?;
    Ok(rows)
}

/// What a chat is to everybody.
#[derive(FromRow)]
pub struct SharedRow {
    #[sqlx(try_from = "String")]
    pub kind: ChatKind,
    pub title: Option<String>,
    pub description: Option<String>,
    pub member_count: i32,
    pub last_seq: i64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// Also of a chat that has ended.
pub async fn shared(db: impl PgExecutor<'_>, chat: ChatId) -> Result<SharedRow> {
    let row = sqlx::query_as(
        "select kind, title, description, member_count, last_seq, created_at, updated_at
         from chats
         where id = $1",
    )
    .bind(chat)
    .fetch_optional(db)
    .await?;
    row.ok_or(Error::NotFound("chat"))
}
