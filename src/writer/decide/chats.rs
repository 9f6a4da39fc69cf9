//! Making, changing and ending chats.

use sqlx::PgConnection;

use super::{Decision, members};
use crate::log::command::{Action, Command};
use crate::log::entry::Refusal;
use crate::model::chat::{ChatAction, ChatKind, Pair, Role};
use crate::model::event::{Change, Event, EventKind};
use crate::model::id::UserId;
use crate::store::changes::{self, ChatPatch, NewChat};
use crate::store::events::{self, EventData};
use crate::store::visibility;

pub(in crate::writer) async fn create(
    db: &mut PgConnection,
    partition: u16,
    command: &Command,
) -> Result<Decision, sqlx::Error> {
    let owner = command.actor;
    match &command.action {
        Action::CreateGroup { title, description, members } => {
            let others = members.iter().filter(|user| **user != owner);
            let mut members: Vec<(UserId, Role)> =
                others.map(|user| (*user, Role::Member)).chain([(owner, Role::Owner)]).collect();
            members.sort_unstable();
            members.dedup_by_key(|(user, _)| *user);
            let users: Vec<UserId> = members.iter().map(|(user, _)| *user).collect();
            if !visibility::may_add(&mut *db, owner, &users).await? {
                return Ok(Decision::Refused(Refusal::Blocked));
            }
            let new = NewChat {
                id: command.chat,
                kind: ChatKind::Group,
                partition: partition.cast_signed(),
                title: Some(title),
                description: description.as_deref(),
                created_by: owner,
                pair: None,
                members: &members,
            };
            add(db, command, new).await
        }
        Action::CreateDirect { peer } => {
            let Some(pair) = Pair::of(owner, *peer) else {
                return Ok(Decision::Refused(Refusal::NoUser));
            };
            // Both of a pair opened their chat at once: the second finds the first one's.
            if changes::chat_exists(&mut *db, command.chat).await? {
                return Ok(Decision::again(1..=1));
            }
            // One answer for a block and for privacy, found in one statement: nobody can tell which.
            if !visibility::may_open_direct(&mut *db, owner, *peer).await? {
                return Ok(Decision::Refused(Refusal::Blocked));
            }
            let new = NewChat {
                id: command.chat,
                kind: ChatKind::Direct,
                partition: partition.cast_signed(),
                title: None,
                description: None,
                created_by: owner,
                pair: Some(pair),
                members: &[(pair.low, Role::Member), (pair.high, Role::Member)],
            };
            add(db, command, new).await
        }
        _ => unreachable!("only these make chats"),
    }
}

async fn add(
    db: &mut PgConnection,
    command: &Command,
    new: NewChat<'_>,
) -> Result<Decision, sqlx::Error> {
    let chat = command.chat;
    if changes::chat_exists(&mut *db, chat).await? {
        return Ok(Decision::Refused(Refusal::OtherContent));
    }
    // Edges checked that the people exist; who vanished since is simply not in.
    changes::add_chat(&mut *db, new).await?;
    let kind = EventKind::ChatCreated;
    let data = EventData::default();
    let seq = changes::add_event(&mut *db, chat, command.id, command.actor, kind, data).await?;
    let founding =
        events::founding(db, chat).await.map_err(|error| sqlx::Error::Decode(error.into()))?;
    let change = Change::ChatCreated(Box::new(founding));
    Ok(Decision::done(vec![Event { chat, seq, actor: command.actor, change }]))
}

pub(in crate::writer) async fn update(
    db: &mut PgConnection,
    command: &Command,
    title: Option<&str>,
    description: Option<&str>,
) -> Result<Decision, sqlx::Error> {
    if let Err(refusal) = members::seat_for(db, command, ChatAction::EditChat).await? {
        return Ok(Decision::Refused(refusal));
    }
    let (chat, kind) = (command.chat, EventKind::ChatUpdated);
    let data = EventData::default();
    let seq = changes::add_event(&mut *db, chat, command.id, command.actor, kind, data).await?;
    changes::update_chat(&mut *db, chat, ChatPatch { title, description }, seq).await?;
    let change = Change::ChatUpdated(Box::new(members::shared(db, command).await?));
    Ok(Decision::done(vec![Event { chat, seq, actor: command.actor, change }]))
}

pub(in crate::writer) async fn delete(
    db: &mut PgConnection,
    command: &Command,
) -> Result<Decision, sqlx::Error> {
    if let Err(refusal) = members::seat_for(db, command, ChatAction::DeleteChat).await? {
        return Ok(Decision::Refused(refusal));
    }
    let (chat, kind) = (command.chat, EventKind::ChatDeleted);
    let data = EventData::default();
    let seq = changes::add_event(&mut *db, chat, command.id, command.actor, kind, data).await?;
    changes::end_chat(&mut *db, chat).await?;
    let change = Change::ChatDeleted(Box::new(members::shared(db, command).await?));
    Ok(Decision::done(vec![Event { chat, seq, actor: command.actor, change }]))
}
