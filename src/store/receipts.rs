//! Up to where members have read, in table `chat_members`.
//!
//! The columns `read_seq`, `read_count` and `read_at` only go forward, whoever writes them: the
//! writer with its sender's messages, whoever stores marks, and a joining, which begins at its own
//! event. So no statement here needs the fence: one that comes late changes nothing.

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::{ChatId, UserId};

/// A mark that somebody wants to set.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub chat: ChatId,
    pub user: UserId,
    /// Beyond the end it is the end.
    pub seq: i64,
}

/// What a mark is set from and to.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Standing {
    /// Its place among those that were asked for, from 1.
    pub ord: i64,
    /// Where it goes, and how many messages there are up to there.
    pub seq: i64,
    pub count: i64,
    /// Where Postgres has it.
    pub read_seq: i64,
    pub read_count: i64,
    pub message_count: i64,
    /// Whether others in the chat are to hear of it.
    pub is_told: bool,
}

/// How these marks stand; those of strangers are left out. In chats of more than `most` members
/// nobody hears of a mark, nor over a block in a direct chat, nor where the reader does not want it.
///
/// Each member is looked up by the primary key: see `sends.rs`.
pub async fn standings(
    db: impl PgExecutor<'_>,
    wanted: &[Wanted],
    most: i32,
) -> Result<Vec<Standing>> {
    let chats: Vec<ChatId> = wanted.iter().map(|mark| mark.chat).collect();
    let users: Vec<UserId> = wanted.iter().map(|mark| mark.user).collect();
    let seqs: Vec<i64> = wanted.iter().map(|mark| mark.seq).collect();
    let found = sqlx::query_as(
        "select i.ord, least(i.seq, c.last_seq) as seq, coalesce(o.ordinal, 0) as count,
                m.read_seq, m.read_count, c.message_count,
                u.privacy_read_receipts and c.member_count <= $4 and not (
                    c.kind = 'direct' and exists (
                        select from user_blocks b
                        where (b.blocker_id = c.direct_low and b.blocked_id = c.direct_high)
                           or (b.blocker_id = c.direct_high and b.blocked_id = c.direct_low)
                    )
                ) as is_told
         from unnest($1::uuid[], $2::uuid[], $3::int8[]) with ordinality
              i (chat_id, user_id, seq, ord)
         join lateral (
             select c.kind, c.last_seq, c.message_count, c.member_count, c.direct_low,
                    c.direct_high
             from chats c
             where c.id = i.chat_id and c.deleted_at is null
             limit 1
         ) c on true
         join lateral (
             select m.read_seq, m.read_count, m.left_seq is null as is_present
             from chat_members m
             where m.chat_id = i.chat_id and m.user_id = i.user_id
             limit 1
         ) m on m.is_present
         join lateral (
             select u.privacy_read_receipts from users u where u.id = i.user_id limit 1
         ) u on true
         left join lateral (
             select o.ordinal
             from messages o
             where o.chat_id = i.chat_id and o.seq <= least(i.seq, c.last_seq)
             order by o.seq desc
             limit 1
         ) o on true",
    )
    .bind(chats)
    .bind(users)
    .bind(seqs)
    .bind(most)
    .fetch_all(db)
    .await?;
    Ok(found)
}

/// A mark to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub chat: ChatId,
    pub user: UserId,
    pub seq: i64,
    pub count: i64,
    pub at: OffsetDateTime,
}

/// Stores marks, each forward only; a member may stand in it once. Returns the places, from 0, of
/// those that are stored now, or were already. A row that another holds is left for later: so this
/// never waits with rows in hand, and a writer that wants one of them waits for this statement alone.
pub async fn advance(db: impl PgExecutor<'_>, marks: &[Mark]) -> Result<Vec<usize>> {
    let chats: Vec<ChatId> = marks.iter().map(|mark| mark.chat).collect();
    let users: Vec<UserId> = marks.iter().map(|mark| mark.user).collect();
    let seqs: Vec<i64> = marks.iter().map(|mark| mark.seq).collect();
    let counts: Vec<i64> = marks.iter().map(|mark| mark.count).collect();
    let ats: Vec<OffsetDateTime> = marks.iter().map(|mark| mark.at).collect();
    let done: Vec<i64> = sqlx::query_scalar(
        "with wanted as materialized (
             select *
             from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::timestamptz[])
                  with ordinality i (chat_id, user_id, seq, count, at, ord)
         ),
         held as materialized (
             select i.*
             from wanted i
             join chat_members m on m.chat_id = i.chat_id and m.user_id = i.user_id
             where m.read_seq < i.seq
             for no key update of m skip locked
         ),
         moved as (
             update chat_members m
             set read_seq = h.seq,
                 read_count = h.count,
                 read_at = least(h.at, date_trunc('milliseconds', now()))
             from held h
             where m.chat_id = h.chat_id and m.user_id = h.user_id
         )
         select i.ord
         from wanted i
         left join chat_members m on m.chat_id = i.chat_id and m.user_id = i.user_id
         where m.user_id is null
            or m.read_seq >= i.seq
            or i.ord in (select h.ord from held h)",
    )
    .bind(chats)
    .bind(users)
    .bind(seqs)
    .bind(counts)
    .bind(ats)
    .fetch_all(db)
    .await?;
    let places = done.into_iter().filter_map(|ord| usize::try_from(ord - 1).ok());
    Ok(places.collect())
}

/// How a chat stands for one member.
#[derive(Clone, Debug, FromRow)]
pub struct State {
    pub chat_id: ChatId,
    pub user_id: UserId,
    pub read_seq: i64,
    pub read_count: i64,
    pub last_seq: i64,
    pub message_count: i64,
    pub pinned: bool,
    pub muted_until: Option<OffsetDateTime>,
}

/// How these chats stand for these members; strangers are left out.
pub async fn states(db: impl PgExecutor<'_>, pairs: &[(ChatId, UserId)]) -> Result<Vec<State>> {
    let (chats, users): (Vec<ChatId>, Vec<UserId>) = pairs.iter().copied().unzip();
    let found = sqlx::query_as(
        "select i.chat_id, i.user_id, m.read_seq, m.read_count, c.last_seq, c.message_count,
                m.pinned_at is not null as pinned, m.muted_until
         from unnest($1::uuid[], $2::uuid[]) i (chat_id, user_id)
         join chats c on c.id = i.chat_id and c.deleted_at is null
         join lateral (
             select m.read_seq, m.read_count, m.pinned_at, m.left_seq is null as is_present,
                    case when m.muted_until > now() then m.muted_until end as muted_until
             from chat_members m
             where m.chat_id = i.chat_id and m.user_id = i.user_id
             limit 1
         ) m on m.is_present",
    )
    .bind(chats)
    .bind(users)
    .fetch_all(db)
    .await?;
    Ok(found)
}

/// Up to where one member has read; never, where the moment is missing.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Reading {
    pub user_id: UserId,
    pub read_seq: i64,
    pub read_at: Option<OffsetDateTime>,
}

/// The present members of a chat whose reading the viewer may know of, in the order of their ids,
/// behind `after`. Not of those who keep it to themselves; of those whom the viewer blocks nobody
/// hears in groups, and over a block in a direct chat neither of the other.
pub async fn list(
    db: impl PgExecutor<'_>,
    viewer: UserId,
    chat: ChatId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<Reading>> {
    let found = sqlx::query_as(
        "select m.user_id, m.read_seq, m.read_at
         from chat_members m
         join chats c on c.id = m.chat_id
         join users u on u.id = m.user_id
         where m.chat_id = $2 and m.left_seq is null and ($3::uuid is null or m.user_id > $3)
           and (m.user_id = $1
                or (u.privacy_read_receipts and not exists (
                    select from user_blocks b
                    where (b.blocker_id = $1 and b.blocked_id = m.user_id)
                       or (c.kind = 'direct'
                           and b.blocker_id = m.user_id and b.blocked_id = $1)
                )))
         order by m.user_id
         limit $4",
    )
    .bind(viewer)
    .bind(chat)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(found)
}
