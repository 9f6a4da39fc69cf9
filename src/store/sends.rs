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
    sqlx::query_as(include_str!("sends.sql"))
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

/// A new answer: where the message stands that it answers, and where it stands itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answering {
    pub chat: ChatId,
    pub answered_seq: i64,
    pub seq: i64,
}

/// Counts new answers on all that they answer, at every depth, and notes them there. Of what they
/// answer directly, and of the first of the thread, it is a change that catching up tells.
pub async fn count_answers(
    db: impl PgExecutor<'_>,
    answers: &[Answering],
) -> Result<(), sqlx::Error> {
    let chats: Vec<ChatId> = answers.iter().map(|answer| answer.chat).collect();
    let answered: Vec<i64> = answers.iter().map(|answer| answer.answered_seq).collect();
    let seqs: Vec<i64> = answers.iter().map(|answer| answer.seq).collect();
    sqlx::query(
        "with recursive above as (
             select m.chat_id, m.seq, m.reply_to_seq, i.answer, true as is_direct
             from unnest($1::uuid[], $2::int8[], $3::int8[]) i (chat_id, answered_seq, answer)
             join messages m on m.chat_id = i.chat_id and m.seq = i.answered_seq
             union all
             select m.chat_id, m.seq, m.reply_to_seq, a.answer, false
             from above a
             join messages m on m.chat_id = a.chat_id and m.seq = a.reply_to_seq
         ),
         noted as (
             insert into message_answers (chat_id, answered_seq, seq)
             select chat_id, seq, answer
             from above
             where reply_to_seq is not null
         )
         update messages m
         set reply_count = m.reply_count + n.n,
             changed_seq = greatest(m.changed_seq, n.told)
         from (
             select chat_id, seq, count(*) as n,
                    max(answer) filter (where is_direct or reply_to_seq is null) as told
             from above
             group by chat_id, seq
         ) n
         where m.chat_id = n.chat_id and m.seq = n.seq",
    )
    .bind(chats)
    .bind(answered)
    .bind(seqs)
    .execute(db)
    .await?;
    Ok(())
}
