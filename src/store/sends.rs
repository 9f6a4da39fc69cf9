//! Storing messages, a whole batch in one statement: the hot path.
//!
//! For each draft it decides (is it a repetition, is the sender a member, are the two blocked, does
//! the answered message exist), numbers, and stores, in the order given. Reading `last_seq` from
//! the statement's snapshot is safe only because one fenced owner writes a chat and awaits each
//! batch. The statement must have no join of one CTE with another: that form is quadratic. Whether a
//! member is present is asked outside the look-up, so that it goes by the primary key: by the index
//! of a user's chats it would cost as much as they are in.

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::error::Result;
use crate::model::id::{ChatId, MessageId, UserId};
use crate::model::message::{EXCERPT_CHARS, MAX_THREAD_DEPTH};

/// The columns of a batch, a row a draft.
#[derive(Default)]
pub struct Drafts<'a> {
    pub partitions: Vec<i16>,
    pub chats: Vec<Uuid>,
    pub senders: Vec<Uuid>,
    pub client_ids: Vec<Uuid>,
    pub message_ids: Vec<Uuid>,
    pub hashes: Vec<i64>,
    pub bodies: Vec<&'a str>,
    pub parents: Vec<Option<Uuid>>,
    /// As Postgres writes an array of UUIDs: arrays of arrays cannot be passed.
    pub mentions: Vec<Option<String>>,
}

/// What became of a draft. `ord` is its place in the batch, from 1; a draft whose partition's fence
/// has moved on is missing.
#[derive(Debug, FromRow)]
pub struct Stored {
    pub ord: i64,
    pub verdict: i32,
    pub seq: i64,
    pub id: MessageId,
    pub created_at: OffsetDateTime,
    pub parent_id: Option<MessageId>,
    pub parent_seq: Option<i64>,
    pub parent_sender_id: Option<UserId>,
    pub parent_excerpt: Option<String>,
    pub thread_root_id: Option<MessageId>,
}

/// The verdicts of the statement.
pub mod verdict {
    pub const STORED: i32 = 0;
    pub const AGAIN: i32 = 1;
    pub const OTHER_CONTENT: i32 = 2;
    pub const NO_CHAT: i32 = 3;
    pub const BLOCKED: i32 = 4;
    pub const NO_PARENT: i32 = 5;
    pub const TOO_DEEP: i32 = 6;
}

const _: () = assert!(EXCERPT_CHARS == 140 && MAX_THREAD_DEPTH == 500, "the statement says so too");

/// Stores a batch. Drafts must not repeat a (chat, sender, client id) within it.
pub async fn store(
    db: impl PgExecutor<'_>,
    terms: &[(i16, i64)],
    drafts: Drafts<'_>,
) -> Result<Vec<Stored>, sqlx::Error> {
    let (partitions, fences): (Vec<i16>, Vec<i64>) = terms.iter().copied().unzip();
    sqlx::query_as(
        "with held as (
             select p.id
             from unnest($1::int2[], $2::int8[]) term (id, fence)
             join partitions p on p.id = term.id and p.fence = term.fence
             for share of p
         ),
         decided as materialized (
             select i.*, v.verdict, c.last_seq, c.message_count,
                    d.seq as again_seq, d.id as again_id, d.created_at as again_at,
                    r.seq as parent_seq, r.id as parent_id, r.sender_id as parent_sender_id,
                    left(r.body, 140) as parent_excerpt,
                    coalesce(r.thread_root_id, r.id) as thread_root_id, r.depth as parent_depth,
                    row_number() over (partition by i.chat_id, v.verdict = 0 order by i.ord) as nth
             from unnest($3::int2[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::int8[],
                         $9::text[], $10::uuid[], $11::text[]) with ordinality
                  i (partition, chat_id, sender_id, client_id, message_id, content_hash,
                     body, parent, mentions, ord)
             left join lateral (
                 select c.id, c.kind, c.last_seq, c.message_count, c.direct_low, c.direct_high
                 from chats c
                 where c.id = i.chat_id and c.deleted_at is null
                 limit 1
             ) c on true
             left join lateral (
                 select m.left_seq is null as is_present
                 from chat_members m
                 where m.chat_id = i.chat_id and m.user_id = i.sender_id
                 limit 1
             ) m on true
             left join lateral (
                 select d.seq, d.id, d.content_hash, d.created_at
                 from messages d
                 where d.chat_id = i.chat_id and d.sender_id = i.sender_id
                   and d.client_id = i.client_id
                 limit 1
             ) d on true
             left join lateral (
                 select r.seq, r.id, r.sender_id, r.body, r.thread_root_id, r.depth
                 from messages r
                 where r.chat_id = i.chat_id and r.id = i.parent
                 limit 1
             ) r on i.parent is not null
             cross join lateral (
                 select case
                     when d.seq is not null and d.content_hash = i.content_hash then 1
                     when d.seq is not null then 2
                     when c.id is null or m.is_present is not true then 3
                     when c.kind = 'direct' and exists (
                         select from user_blocks b
                         where (b.blocker_id = c.direct_low and b.blocked_id = c.direct_high)
                            or (b.blocker_id = c.direct_high and b.blocked_id = c.direct_low)
                     ) then 4
                     when i.parent is not null and r.seq is null then 5
                     when r.depth >= 500 then 6
                     else 0
                 end as verdict
             ) v
             where i.partition in (select id from held)
         ),
         added as (
             insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal,
                                   body, reply_to_seq, thread_root_id, depth, mentions,
                                   changed_seq, created_at)
             select chat_id, last_seq + nth, message_id, sender_id, client_id, content_hash,
                    message_count + nth, body, parent_seq, thread_root_id,
                    coalesce(parent_depth + 1, 0), mentions::uuid[], last_seq + nth,
                    date_trunc('milliseconds', now())
             from decided
             where verdict = 0
         ),
         advanced as (
             update chats c
             set last_seq = n.seq,
                 message_count = c.message_count + n.n,
                 last_message_seq = n.seq,
                 last_activity_at = date_trunc('milliseconds', now())
             from (
                 select chat_id, max(last_seq + nth) as seq, count(*) as n
                 from decided
                 where verdict = 0
                 group by chat_id
             ) n
             where c.id = n.chat_id
         ),
         read_by_senders as (
             update chat_members m
             set read_seq = n.seq,
                 read_count = n.ordinal,
                 read_at = date_trunc('milliseconds', now())
             from (
                 select chat_id, sender_id, max(last_seq + nth) as seq,
                        max(message_count + nth) as ordinal
                 from decided
                 where verdict = 0
                 group by chat_id, sender_id
             ) n
             where m.chat_id = n.chat_id and m.user_id = n.sender_id
         )
         select ord, verdict,
                coalesce(again_seq, last_seq + nth, 0) as seq,
                coalesce(again_id, message_id) as id,
                coalesce(again_at, date_trunc('milliseconds', now())) as created_at,
                parent_id, parent_seq, parent_sender_id, parent_excerpt, thread_root_id
         from decided",
    )
    .bind(partitions)
    .bind(fences)
    .bind(drafts.partitions)
    .bind(drafts.chats)
    .bind(drafts.senders)
    .bind(drafts.client_ids)
    .bind(drafts.message_ids)
    .bind(drafts.hashes)
    .bind(drafts.bodies)
    .bind(drafts.parents)
    .bind(drafts.mentions)
    .fetch_all(db)
    .await
}

/// Counts new answers on all that they answer, at every depth. `answered` are the parents' places,
/// one for each answer.
pub async fn count_answers(
    db: impl PgExecutor<'_>,
    answered: &[(ChatId, i64)],
) -> Result<(), sqlx::Error> {
    let (chats, seqs): (Vec<ChatId>, Vec<i64>) = answered.iter().copied().unzip();
    sqlx::query(
        "with recursive above as (
             select chat_id, seq
             from unnest($1::uuid[], $2::int8[]) parent (chat_id, seq)
             union all
             select a.chat_id, m.reply_to_seq
             from above a
             join messages m on m.chat_id = a.chat_id and m.seq = a.seq
             where m.reply_to_seq is not null
         )
         update messages m
         set reply_count = m.reply_count + n.n
         from (select chat_id, seq, count(*) as n from above group by chat_id, seq) n
         where m.chat_id = n.chat_id and m.seq = n.seq",
    )
    .bind(chats)
    .bind(seqs)
    .execute(db)
    .await?;
    Ok(())
}
