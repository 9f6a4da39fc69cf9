//! Chats and members with the people and messages in them.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::error::{Error, Result};
use crate::model::chat::{Chat, Member, SharedChat};
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::model::user::User;
use crate::store::chats::ChatRow;
use crate::store::members::MemberRow;
use crate::store::{messages, users, visibility};

pub(super) async fn one(db: &mut PgConnection, caller: UserId, row: ChatRow) -> Result<Chat> {
    let all = all(db, caller, vec![row]).await?;
    all.into_iter().next().ok_or(Error::NotFound("chat"))
}

/// The rows as the caller sees them, in their order.
pub(super) async fn all(
    db: &mut PgConnection,
    caller: UserId,
    rows: Vec<ChatRow>,
) -> Result<Vec<Chat>> {
    let mut last = last_messages(&mut *db, caller, &rows).await?;
    let peers: Vec<UserId> = rows.iter().filter_map(|row| row.peer_of(caller)).collect();
    let peers = people(db, &peers).await?;
    let views = rows.into_iter().map(|row| {
        let peer = row.peer_of(caller).and_then(|peer| peers.get(&peer).cloned());
        let last_message = last.remove(&row.id);
        view(row, last_message, peer)
    });
    Ok(views.collect())
}

async fn last_messages(
    db: &mut PgConnection,
    caller: UserId,
    rows: &[ChatRow],
) -> Result<HashMap<ChatId, Message>> {
    let places: Vec<(ChatId, i64)> =
        rows.iter().filter_map(|row| Some((row.id, row.last_message_seq?))).collect();
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let mut messages = messages::at(&mut *db, &places).await?;
    visibility::screen(db, caller, &mut messages).await?;
    Ok(messages.into_iter().map(|message| (message.chat_id, message)).collect())
}

async fn people(db: &mut PgConnection, ids: &[UserId]) -> Result<HashMap<UserId, User>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let users = users::shown(db, ids).await?;
    Ok(users.into_iter().map(|user| (user.id, user)).collect())
}

fn view(row: ChatRow, last_message: Option<Message>, peer: Option<User>) -> Chat {
    Chat {
        shared: SharedChat {
            id: row.id,
            kind: row.kind,
            title: row.title,
            description: row.description,
            avatar_url: None,
            member_count: row.member_count,
            last_seq: row.last_seq,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        },
        last_message,
        role: row.role,
        read_seq: row.read_seq,
        unread_count: row.message_count - row.read_count,
        pinned: row.pinned_at.is_some(),
        muted_until: row.muted_until.map(Into::into),
        peer,
    }
}

/// Members with their people; whose account was deleted is a tombstone.
pub(super) async fn members(db: &mut PgConnection, rows: Vec<MemberRow>) -> Result<Vec<Member>> {
    let ids: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
    let mut people = people(db, &ids).await?;
    let members = rows.into_iter().filter_map(|row| {
        let user = people.remove(&row.user_id)?;
        Some(Member { user, role: row.role, joined_at: row.joined_at.into() })
    });
    Ok(members.collect())
}
