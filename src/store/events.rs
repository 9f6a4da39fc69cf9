//! The durable events of a chat, made again from Postgres: for a reader that missed them, and for
//! publishing what was committed but not published.
//!
//! A message appears in its present state as far as that is its own affair: its text is the one of
//! the event's version, unless it was deleted since, in which case no event shows it any more. An
//! edit brings the reactions of now: each event of a reaction sets their number, so they come out
//! right.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};

use super::{chats, members, messages, users};
use crate::error::{Error, Result};
use crate::model::chat::{ChatKind, Role, SharedChat};
use crate::model::event::{Change, Event, EventKind, Founding, Joining, Reacting, Seat};
use crate::model::id::{ChatId, MessageId, UserId};
use crate::model::message::Message;

/// What a `chat_events` row keeps of an event, beyond its kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// How many had reacted with it by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Where a command made several events: the last one's seq, kept with the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<i64>,
}

#[derive(FromRow)]
struct EventRow {
    seq: i64,
    actor_id: UserId,
    kind: String,
    #[sqlx(json)]
    data: EventData,
}

/// The events of these seqs, in order; a seq that does not exist is left out.
pub async fn load(db: &mut PgConnection, chat: ChatId, seqs: &[i64]) -> Result<Vec<Event>> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "select seq, actor_id, kind, data
         from chat_events
         where chat_id = $1 and seq = any($2)",
    )
    .bind(chat)
    .bind(seqs)
    .fetch_all(&mut *db)
    .await?;
    let edits = rows.iter().filter(|row| row.kind == EventKind::MessageEdited.name());
    let of_events = edits.filter_map(|row| row.data.message_seq);
    let places: Vec<(ChatId, i64)> =
        seqs.iter().copied().chain(of_events).map(|seq| (chat, seq)).collect();
    let found = messages::at(&mut *db, &places).await?;
    let found: HashMap<i64, Message> =
        found.into_iter().map(|message| (message.seq, message)).collect();

    let mut events = Vec::with_capacity(seqs.len());
    for seq in seqs {
        if let Some(message) = found.get(seq) {
            events.push(created(db, message.clone()).await?);
        }
    }
    for row in rows {
        let (seq, actor) = (row.seq, row.actor_id);
        let change = change(db, chat, row, &found).await?;
        events.push(Event { chat, seq, actor, change });
    }
    events.sort_unstable_by_key(|event| event.seq);
    events.dedup_by_key(|event| event.seq);
    Ok(events)
}

async fn created(db: &mut PgConnection, mut message: Message) -> Result<Event> {
    message.reactions.clear();
    if message.edited_at.take().is_some() && message.body.is_some() {
        let (chat, seq) = (message.chat_id, message.seq);
        message.body = messages::former_body(&mut *db, chat, seq, 1).await?.or(message.body);
    }
    Ok(Event {
        chat: message.chat_id,
        seq: message.seq,
        actor: message.sender_id,
        change: Change::MessageCreated(Box::new(message)),
    })
}

async fn change(
    db: &mut PgConnection,
    chat: ChatId,
    row: EventRow,
    found: &HashMap<i64, Message>,
) -> Result<Change> {
    let seq = row.seq;
    let broken = || Error::internal(format!("event {seq} of chat {chat} is incomplete"));
    let message = row.data.message_seq.and_then(|seq| found.get(&seq));
    match EventKind::from_name(&row.kind) {
        Some(EventKind::MessageEdited) => {
            let mut message = message.ok_or_else(broken)?.clone();
            let version = row.data.version.ok_or_else(broken)?;
            if message.body.is_some() {
                let former = messages::former_body(db, chat, message.seq, version).await?;
                message.body = former.or(message.body);
            }
            Ok(Change::MessageEdited(Box::new(message)))
        }
        Some(EventKind::MessageDeleted) => Ok(Change::MessageDeleted {
            message_id: row.data.message_id.ok_or_else(broken)?,
            message_seq: row.data.message_seq.ok_or_else(broken)?,
        }),
        Some(EventKind::ReactionAdded) => {
            Ok(Change::ReactionAdded(reacting(row.data).ok_or_else(broken)?))
        }
        Some(EventKind::ReactionRemoved) => {
            Ok(Change::ReactionRemoved(reacting(row.data).ok_or_else(broken)?))
        }
        Some(EventKind::ChatCreated) => {
            Ok(Change::ChatCreated(Box::new(founding(db, chat).await?)))
        }
        Some(EventKind::MemberJoined) => {
            let (user, role) = row.data.user_id.zip(row.data.role).ok_or_else(broken)?;
            let chat = shared(db, chat).await?;
            Ok(Change::MemberJoined(Box::new(Joining { user, role, chat })))
        }
        Some(EventKind::MemberLeft) => {
            Ok(Change::MemberLeft { user: row.data.user_id.ok_or_else(broken)? })
        }
        Some(EventKind::MemberRoleChanged) => {
            let (user, role) = row.data.user_id.zip(row.data.role).ok_or_else(broken)?;
            Ok(Change::MemberRoleChanged { user, role })
        }
        Some(EventKind::ChatUpdated) => Ok(Change::ChatUpdated(Box::new(shared(db, chat).await?))),
        Some(EventKind::ChatDeleted) => Ok(Change::ChatDeleted(Box::new(shared(db, chat).await?))),
        Some(EventKind::MessageCreated) | None => Err(broken()),
    }
}

fn reacting(data: EventData) -> Option<Reacting> {
    Some(Reacting {
        message_id: data.message_id?,
        message_seq: data.message_seq?,
        emoji: data.emoji?,
        count: data.count?,
    })
}

/// What all members see of a chat alike, at present; also of one that has ended.
pub async fn shared(db: &mut PgConnection, chat: ChatId) -> Result<SharedChat> {
    let row = chats::shared(db, chat).await?;
    Ok(SharedChat {
        id: chat,
        kind: row.kind,
        title: row.title,
        description: row.description,
        avatar_url: None,
        member_count: row.member_count,
        last_seq: row.last_seq,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    })
}

/// A chat's beginning, with its first members.
pub async fn founding(db: &mut PgConnection, chat: ChatId) -> Result<Founding> {
    let mut shared = shared(&mut *db, chat).await?;
    let founders = members::founders(&mut *db, chat).await?;
    let mut peers = HashMap::new();
    if shared.kind == ChatKind::Direct {
        let ids: Vec<UserId> = founders.iter().map(|(user, _)| *user).collect();
        let found = users::by_ids(&mut *db, &ids).await?;
        peers.extend(found.into_iter().map(|user| (user.id, user)));
    }
    let other = |user: UserId| peers.values().find(|peer| peer.id != user).cloned();
    let seats: Vec<Seat> = founders
        .iter()
        .map(|(user, role)| Seat { user: *user, role: *role, peer: other(*user) })
        .collect();
    shared.member_count = i32::try_from(seats.len()).unwrap_or(i32::MAX);
    shared.last_seq = 1;
    shared.updated_at = shared.created_at;
    Ok(Founding { chat: shared, seats })
}
