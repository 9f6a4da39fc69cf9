//! Keeping `message_search`: what changed in chats, and writing it down.
//!
//! Whoever writes names the seq up to which it found the chat to be indexed. Where that has moved
//! meanwhile, somebody else did the work, on a newer state, and nothing of it is written. So two
//! followers of a chat do no harm, however late one of them is.

use std::collections::{HashMap, HashSet};

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use super::lexemes::document;
use crate::error::Result;
use crate::model::id::{ChatId, UserId};

/// A chat that is behind, and what has to be indexed of it.
#[derive(Debug)]
pub struct Changed {
    pub chat: ChatId,
    /// Where its index stands, and where it will stand.
    pub from_seq: i64,
    pub to_seq: i64,
    /// Its newest seq.
    pub last_seq: i64,
    messages: Vec<ChangedMessage>,
}

impl Changed {
    pub fn messages(&self) -> usize {
        self.messages.len()
    }
}

#[derive(Debug)]
struct ChangedMessage {
    seq: i64,
    sender_id: UserId,
    created_at: OffsetDateTime,
    has_file: bool,
    body: Option<String>,
    is_deleted: bool,
}

#[derive(FromRow)]
struct ChangedRow {
    chat_id: ChatId,
    from_seq: i64,
    last_seq: i64,
    seq: Option<i64>,
    sender_id: Option<UserId>,
    created_at: Option<OffsetDateTime>,
    has_file: Option<bool>,
    body: Option<String>,
    is_deleted: Option<bool>,
    changed_seq: Option<i64>,
}

/// A chat that is behind, and by how much.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Behind {
    pub id: ChatId,
    pub from_seq: i64,
    pub last_seq: i64,
}

/// Chats of a partition whose index is behind, among the `look` next ones by id; and the last one that
/// was looked at, where there may be more.
pub async fn behind(
    db: impl PgExecutor<'_>,
    partition: i16,
    after: Option<ChatId>,
    look: i64,
) -> Result<(Vec<Behind>, Option<ChatId>)> {
    let rows: Vec<Behind> = sqlx::query_as(
        "select c.id, coalesce(p.seq, 0) as from_seq, c.last_seq
         from chats c
         left join search_progress p on p.chat_id = c.id
         where c.partition = $1 and ($2::uuid is null or c.id > $2)
         order by c.id
         limit $3",
    )
    .bind(partition)
    .bind(after)
    .bind(look)
    .fetch_all(db)
    .await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= look);
    let next = rows.last().filter(|_| is_full).map(|row| row.id);
    let behind = rows.into_iter().filter(|row| row.from_seq < row.last_seq);
    Ok((behind.collect(), next))
}

/// What changed in these chats since they were indexed, at most `limit` messages of each, the earliest
/// changes first.
pub async fn changed(
    db: impl PgExecutor<'_>,
    chats: &[ChatId],
    limit: i64,
) -> Result<Vec<Changed>> {
    // All of it is one snapshot: what is not in it of a chat has a seq above `last_seq`. `has_file` is
    // for what messages will say of their files; now none has any.
    let rows: Vec<ChangedRow> = sqlx::query_as(
        "select c.id as chat_id, coalesce(p.seq, 0) as from_seq, c.last_seq,
                m.seq, m.sender_id, m.created_at, m.body, m.has_file, m.is_deleted, m.changed_seq
         from unnest($1::uuid[]) i (chat_id)
         join chats c on c.id = i.chat_id
         left join search_progress p on p.chat_id = i.chat_id
         left join lateral (
             (select n.seq, n.sender_id, n.created_at, n.body, false as has_file,
                     n.deleted_at is not null as is_deleted, n.changed_seq
              from messages n
              where n.chat_id = i.chat_id
                and n.seq > coalesce(p.seq, 0)
                and n.changed_seq = n.seq
              order by n.seq
              limit $2)
             union all
             (select o.seq, o.sender_id, o.created_at, o.body, false as has_file,
                     o.deleted_at is not null as is_deleted, o.changed_seq
              from messages o
              where o.chat_id = i.chat_id
                and o.changed_seq > coalesce(p.seq, 0)
                and o.changed_seq > o.seq
              order by o.changed_seq
              limit $2)
             order by changed_seq
             limit $2
         ) m on true",
    )
    .bind(chats)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(by_chat(rows, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn by_chat(rows: Vec<ChangedRow>, limit: usize) -> Vec<Changed> {
    let mut chats: HashMap<ChatId, Changed> = HashMap::new();
    for row in rows {
        let ChangedRow { chat_id: chat, from_seq, last_seq, .. } = row;
        let chat = chats.entry(chat).or_insert_with(|| Changed {
            chat,
            from_seq,
            to_seq: from_seq,
            last_seq,
            messages: Vec::new(),
        });
        if let (Some(seq), Some(sender_id), Some(created_at), Some(changed_seq)) =
            (row.seq, row.sender_id, row.created_at, row.changed_seq)
        {
            chat.to_seq = chat.to_seq.max(changed_seq);
            let (has_file, is_deleted) =
                (row.has_file.unwrap_or(false), row.is_deleted.unwrap_or(false));
            let body = row.body;
            chat.messages.push(ChangedMessage {
                seq,
                sender_id,
                created_at,
                has_file,
                body,
                is_deleted,
            });
        }
    }
    // What was not cut is all that there is.
    let all = chats.into_values().map(|mut chat| {
        if chat.messages.len() < limit {
            chat.to_seq = chat.last_seq;
        }
        chat
    });
    all.collect()
}

/// The columns of what is written, a row a message.
#[derive(Default)]
struct Rows {
    chats: Vec<ChatId>,
    created: Vec<OffsetDateTime>,
    seqs: Vec<i64>,
    senders: Vec<UserId>,
    with_file: Vec<bool>,
    with_places: Vec<bool>,
    terms: Vec<String>,
}

/// Writes down what changed: all of a chat, with its progress, or nothing. Gives the chats that were
/// written; those that somebody else has brought further meanwhile are left alone.
pub async fn write(db: impl PgExecutor<'_>, changed: &[Changed]) -> Result<HashSet<ChatId>> {
    let mut kept = Rows::default();
    let mut gone = Rows::default();
    for chat in changed {
        for message in &chat.messages {
            let rows = if message.is_deleted { &mut gone } else { &mut kept };
            rows.chats.push(chat.chat);
            rows.created.push(message.created_at);
            rows.seqs.push(message.seq);
            if !message.is_deleted {
                let body = message.body.as_deref().unwrap_or_default();
                let document = document(chat.chat, message.sender_id, message.has_file, body);
                rows.senders.push(message.sender_id);
                rows.with_file.push(message.has_file);
                rows.with_places.push(document.has_places);
                rows.terms.push(document.terms);
            }
        }
    }
    let column = |of: fn(&Changed) -> i64| changed.iter().map(of).collect::<Vec<i64>>();
    let written: Vec<ChatId> = sqlx::query_scalar(include_str!("write.sql"))
        .bind(changed.iter().map(|chat| chat.chat).collect::<Vec<_>>())
        .bind(column(|chat| chat.from_seq))
        .bind(column(|chat| chat.to_seq))
        .bind(gone.chats)
        .bind(gone.created)
        .bind(gone.seqs)
        .bind(kept.chats)
        .bind(kept.created)
        .bind(kept.seqs)
        .bind(kept.senders)
        .bind(kept.with_file)
        .bind(kept.with_places)
        .bind(kept.terms)
        .fetch_all(db)
        .await?;
    Ok(written.into_iter().collect())
}
