//! Tables `messages`, `message_answers` and `message_edits`: reading. Writing is the batch's, in [`super::sends`] and
//! [`super::changes`].

use sqlx::types::Json;
use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgExecutor};

use crate::error::Result;
use crate::model::id::{ChatId, CommandId, MessageId, UserId};
use crate::model::message::{EXCERPT_CHARS, Message, Quote, Reaction};

/// A message with the one that it answers, in short. `m` is the message, `p` its parent.
macro_rules! select {
    ($rest:expr) => {
        concat!(include_str!("messages/select.sql"), $rest)
    };
}

const _: () = assert!(EXCERPT_CHARS == 140, "the statement above says so too");

#[derive(FromRow)]
struct MessageRow {
    chat_id: ChatId,
    seq: i64,
    id: MessageId,
    sender_id: UserId,
    client_id: CommandId,
    body: Option<String>,
    thread_root_id: Option<MessageId>,
    reply_count: i32,
    mentions: Option<Vec<UserId>>,
    reactions: Option<Json<Vec<Reaction>>>,
    created_at: OffsetDateTime,
    edited_at: Option<OffsetDateTime>,
    deleted_at: Option<OffsetDateTime>,
    changed_seq: i64,
    parent_id: Option<MessageId>,
    parent_seq: Option<i64>,
    parent_sender_id: Option<UserId>,
    parent_excerpt: Option<String>,
}

impl MessageRow {
    fn quote(&self) -> Option<Quote> {
        Some(Quote {
            message_id: self.parent_id?,
            seq: self.parent_seq?,
            sender_id: self.parent_sender_id?,
            excerpt: self.parent_excerpt.clone(),
        })
    }
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            reply_to: row.quote(),
            id: row.id,
            chat_id: row.chat_id,
            seq: row.seq,
            sender_id: row.sender_id,
            client_id: row.client_id,
            body: row.body,
            files: Vec::new(),
            thread_root_id: row.thread_root_id,
            reply_count: row.reply_count,
            mentions: row.mentions.unwrap_or_default(),
            reactions: row.reactions.map(|Json(reactions)| reactions).unwrap_or_default(),
            edited_at: row.edited_at.map(Into::into),
            deleted_at: row.deleted_at.map(Into::into),
            created_at: row.created_at.into(),
            hidden: false,
        }
    }
}

fn messages(rows: Vec<MessageRow>) -> Vec<Message> {
    rows.into_iter().map(Into::into).collect()
}

pub async fn find(db: impl PgExecutor<'_>, chat: ChatId, id: MessageId) -> Result<Option<Message>> {
    let row = sqlx::query_as::<_, MessageRow>(select!("where m.chat_id = $1 and m.id = $2"))
        .bind(chat)
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(row.map(Into::into))
}

/// Where a message stands.
#[derive(FromRow)]
pub struct Place {
    pub seq: i64,
    /// Whether it answers another, rather than being the first of its thread.
    pub is_answer: bool,
}

pub async fn place(db: impl PgExecutor<'_>, chat: ChatId, id: MessageId) -> Result<Option<Place>> {
    let place = sqlx::query_as(
        "select seq, reply_to_seq is not null as is_answer
         from messages
         where chat_id = $1 and id = $2",
    )
    .bind(chat)
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(place)
}

/// The messages at these places, in no order; places of other events are left out.
pub async fn at(db: impl PgExecutor<'_>, places: &[(ChatId, i64)]) -> Result<Vec<Message>> {
    let (chats, seqs): (Vec<ChatId>, Vec<i64>) = places.iter().copied().unzip();
    let rows = sqlx::query_as::<_, MessageRow>(select!(
        "join unnest($1::uuid[], $2::int8[]) place (chat_id, seq)
           on place.chat_id = m.chat_id and place.seq = m.seq"
    ))
    .bind(chats)
    .bind(seqs)
    .fetch_all(db)
    .await?;
    Ok(messages(rows))
}

/// Those below `seq`, the newest first.
pub async fn before(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    seq: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    let rows = sqlx::query_as::<_, MessageRow>(select!(
        "where m.chat_id = $1 and m.seq < $2
         order by m.seq desc
         limit $3"
    ))
    .bind(chat)
    .bind(seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(messages(rows))
}

/// Those above `seq`, the oldest first.
pub async fn after(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    seq: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    let rows = sqlx::query_as::<_, MessageRow>(select!(
        "where m.chat_id = $1 and m.seq > $2
         order by m.seq
         limit $3"
    ))
    .bind(chat)
    .bind(seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(messages(rows))
}

/// The present state of the messages that an event behind `seq` made or changed, with the seq of
/// the last such event, in the order of these.
pub async fn changed_after(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    seq: i64,
    limit: i64,
) -> Result<Vec<(i64, Message)>> {
    let rows = sqlx::query_as::<_, MessageRow>(concat!(
        "(",
        select!(
            "where m.chat_id = $1 and m.seq > $2 and m.changed_seq = m.seq
             order by m.seq
             limit $3"
        ),
        ") union all (",
        select!(
            "where m.chat_id = $1 and m.changed_seq > $2 and m.changed_seq > m.seq
             order by m.changed_seq
             limit $3"
        ),
        ") order by changed_seq limit $3"
    ))
    .bind(chat)
    .bind(seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.changed_seq, row.into())).collect())
}

/// What answers the first message of a thread, at any depth, behind `after`, the oldest first.
pub async fn answers_to_root(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    root: MessageId,
    after: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    let rows =
        sqlx::query_as::<_, MessageRow>(select!(include_str!("messages/answers_to_root.sql")))
            .bind(chat)
            .bind(root)
            .bind(after)
            .bind(limit)
            .fetch_all(db)
            .await?;
    Ok(messages(rows))
}

/// The same for a message that is an answer itself.
pub async fn answers_to_answer(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    answered_seq: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    let rows =
        sqlx::query_as::<_, MessageRow>(select!(include_str!("messages/answers_to_answer.sql")))
            .bind(chat)
            .bind(answered_seq)
            .bind(after)
            .bind(limit)
            .fetch_all(db)
            .await?;
    Ok(messages(rows))
}

#[derive(FromRow)]
pub struct Edit {
    pub version: i32,
    pub body: String,
    pub edited_at: OffsetDateTime,
}

/// The text of one former version; none once the message is deleted.
pub async fn former_body(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    seq: i64,
    version: i32,
) -> Result<Option<String>> {
    let body = sqlx::query_scalar(
        "select body
         from message_edits
         where chat_id = $1 and message_seq = $2 and version = $3",
    )
    .bind(chat)
    .bind(seq)
    .bind(version)
    .fetch_optional(db)
    .await?;
    Ok(body)
}

/// The versions behind `after`, the present one last; none of a deleted message.
pub async fn edits(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    id: MessageId,
    after: i32,
    limit: i64,
) -> Result<Vec<Edit>> {
    let edits = sqlx::query_as(
        "(
             select e.version, e.body, e.edited_at
             from messages m
             join message_edits e on e.chat_id = m.chat_id and e.message_seq = m.seq
             where m.chat_id = $1 and m.id = $2 and e.version > $3
             order by e.version
             limit $4
         )
         union all
         select m.version, m.body, coalesce(m.edited_at, m.created_at)
         from messages m
         where m.chat_id = $1 and m.id = $2 and m.version > $3 and m.body is not null
         order by version
         limit $4",
    )
    .bind(chat)
    .bind(id)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(edits)
}
