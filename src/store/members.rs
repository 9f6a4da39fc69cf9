//! Table `chat_members`: who is in a chat, and what a user is in.

use std::collections::HashSet;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::chat::{ChatKind, Pair, Role};
use crate::model::id::{ChatId, UserId};

/// A member's row, without the person.
#[derive(FromRow)]
pub struct MemberRow {
    pub user_id: UserId,
    #[sqlx(try_from = "String")]
    pub role: Role,
    pub joined_at: OffsetDateTime,
    pub changed_seq: i64,
    pub left_seq: Option<i64>,
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).ok_or(name)
    }
}

/// The role of a present member.
pub async fn role(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
) -> Result<Option<Role>, sqlx::Error> {
    let role: Option<String> = sqlx::query_scalar(
        "select m.role
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.chat_id = $1 and m.user_id = $2 and m.left_seq is null and c.deleted_at is null",
    )
    .bind(chat)
    .bind(user)
    .fetch_optional(db)
    .await?;
    Ok(role.as_deref().and_then(Role::parse))
}

/// The same in a group, held until the transaction ends: the role is not taken away meanwhile.
pub async fn hold_role(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
) -> Result<Option<(Role, ChatKind)>> {
    let found: Option<(String, String)> = sqlx::query_as(
        "select m.role, c.kind
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.chat_id = $1 and m.user_id = $2 and m.left_seq is null and c.deleted_at is null
         for share of m",
    )
    .bind(chat)
    .bind(user)
    .fetch_optional(db)
    .await?;
    Ok(found.and_then(|(role, kind)| Some((Role::parse(&role)?, ChatKind::parse(&kind)?))))
}

/// Where a chat stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Standing {
    pub chat_id: ChatId,
    pub last_seq: i64,
    pub direct_low: Option<UserId>,
    pub direct_high: Option<UserId>,
}

impl Standing {
    /// Who talks there, where it is a direct chat.
    pub fn pair(&self) -> Option<Pair> {
        Pair::of(self.direct_low?, self.direct_high?)
    }
}

/// All chats that a user is in.
pub async fn chats_of(db: impl PgExecutor<'_>, user: UserId) -> Result<Vec<Standing>> {
    let chats = sqlx::query_as(
        "select c.id as chat_id, c.last_seq, c.direct_low, c.direct_high
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.user_id = $1 and m.left_seq is null and c.deleted_at is null",
    )
    .bind(user)
    .fetch_all(db)
    .await?;
    Ok(chats)
}

/// The groups that a user is in.
pub async fn groups_of(db: impl PgExecutor<'_>, user: UserId) -> Result<Vec<ChatId>> {
    let chats = sqlx::query_scalar(
        "select c.id
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.user_id = $1 and m.left_seq is null and c.kind = 'group'
           and c.deleted_at is null",
    )
    .bind(user)
    .fetch_all(db)
    .await?;
    Ok(chats)
}

/// Of these users, who is in which chat of a partition, and since which seq.
pub async fn in_partition(
    db: impl PgExecutor<'_>,
    partition: i16,
    users: &[UserId],
) -> Result<Vec<(UserId, ChatId, i64)>> {
    let found = sqlx::query_as(
        "select m.user_id, m.chat_id, m.joined_seq
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.user_id = any($2) and m.left_seq is null
           and c.partition = $1 and c.deleted_at is null",
    )
    .bind(partition)
    .bind(users)
    .fetch_all(db)
    .await?;
    Ok(found)
}

/// Those of `users` who are present members, the first to join first.
pub async fn some(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    users: &[UserId],
) -> Result<Vec<MemberRow>> {
    let rows = sqlx::query_as(
        "select user_id, role, joined_at, changed_seq, left_seq
         from chat_members
         where chat_id = $1 and user_id = any($2) and left_seq is null
         order by joined_at, user_id",
    )
    .bind(chat)
    .bind(users)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Of these users, who is in a chat that has not ended.
pub async fn present(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    users: &[UserId],
) -> Result<HashSet<UserId>> {
    let found: Vec<UserId> = sqlx::query_scalar(
        "select m.user_id
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.chat_id = $1 and m.user_id = any($2) and m.left_seq is null
           and c.deleted_at is null",
    )
    .bind(chat)
    .bind(users)
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().collect())
}

/// Present members, the first to join first, behind `after`.
pub async fn list(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    after: Option<(OffsetDateTime, UserId)>,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    let (joined_at, user) = after.unzip();
    let rows = sqlx::query_as(
        "select user_id, role, joined_at, changed_seq, left_seq
         from chat_members
         where chat_id = $1 and left_seq is null
           and ($2::timestamptz is null or (joined_at, user_id) > ($2, $3))
         order by joined_at, user_id
         limit $4",
    )
    .bind(chat)
    .bind(joined_at)
    .bind(user)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Those whose membership an event behind `seq` changed, in the order of the events.
pub async fn changed_after(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    seq: i64,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    let rows = sqlx::query_as(
        "select user_id, role, joined_at, changed_seq, left_seq
         from chat_members
         where chat_id = $1 and changed_seq > $2
         order by changed_seq, user_id
         limit $3",
    )
    .bind(chat)
    .bind(seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Who was in the chat from its first event on.
pub async fn founders(db: impl PgExecutor<'_>, chat: ChatId) -> Result<Vec<(UserId, Role)>> {
    let rows: Vec<(UserId, String)> = sqlx::query_as(
        "select user_id, role
         from chat_members
         where chat_id = $1 and joined_seq = 1
         order by user_id",
    )
    .bind(chat)
    .fetch_all(db)
    .await?;
    let known = rows.into_iter().filter_map(|(user, role)| Some((user, Role::parse(&role)?)));
    Ok(known.collect())
}
