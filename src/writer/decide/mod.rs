//! Deciding: what a command comes to. Permission and effect are one step, in the batch's
//! transaction, so no two nodes ever race about one chat.

pub(super) mod chats;
pub(super) mod members;
pub(super) mod messages;
pub(super) mod reactions;

use std::ops::RangeInclusive;

use sqlx::PgConnection;

use crate::log::command::{Action, Command};
use crate::log::entry::{Answer, Refusal};
use crate::model::event::{Event, EventKind};
use crate::store::changes::{self, Earlier};

/// What a command came to.
#[derive(Debug)]
pub(super) enum Decision {
    /// It made these events, in this order.
    New(Vec<Event>, Answer),
    /// It was done before, as these seqs: to be published again, in case they never were.
    Again(RangeInclusive<i64>, Answer),
    /// It need not be done: what it asks for is so already.
    Nothing(Answer),
    Refused(Refusal),
    /// Another owner has the partition; nothing was done.
    FenceLost,
}

impl Decision {
    pub(super) fn again(seqs: RangeInclusive<i64>) -> Self {
        let seq = *seqs.end();
        Self::Again(seqs, Answer::Done { seq, again: true })
    }

    /// Answered with the last event's seq.
    pub(super) fn done(events: Vec<Event>) -> Self {
        let seq = events.last().expect("what was done made an event").seq;
        Self::New(events, Answer::Done { seq, again: false })
    }
}

/// Decides one command that is not a send.
pub(super) async fn one(
    db: &mut PgConnection,
    partition: u16,
    command: &Command,
) -> Result<Decision, sqlx::Error> {
    if let Some(earlier) = changes::earlier(&mut *db, command.chat, command.id).await? {
        return Ok(repeated(command, &earlier));
    }
    match &command.action {
        Action::Send(_) => unreachable!("sends are decided in bulk"),
        Action::Edit { message_id, body } => messages::edit(db, command, *message_id, body).await,
        Action::Delete { message_id } => messages::delete(db, command, *message_id).await,
        Action::AddReaction { message_id, emoji } => {
            reactions::add(db, command, *message_id, emoji).await
        }
        Action::RemoveReaction { message_id, emoji } => {
            reactions::remove(db, command, *message_id, emoji).await
        }
        Action::CreateGroup { .. } | Action::CreateDirect { .. } => {
            chats::create(db, partition, command).await
        }
        Action::UpdateChat { title, description } => {
            chats::update(db, command, title.as_deref(), description.as_deref()).await
        }
        Action::DeleteChat => chats::delete(db, command).await,
        Action::AddMembers { users } => members::add(db, command, users).await,
        Action::Join { code } => members::join(db, command, code).await,
        Action::Leave => members::leave(db, command).await,
        Action::RemoveMember { user, ban } => members::remove(db, command, *user, *ban).await,
        Action::ChangeRole { user, role } => members::change_role(db, command, *user, *role).await,
    }
}

fn repeated(command: &Command, earlier: &Earlier) -> Decision {
    let is_same = EventKind::from_name(&earlier.kind)
        .is_some_and(|kind| begins_with(&command.action).contains(&kind));
    if earlier.actor_id == command.actor && is_same {
        Decision::again(earlier.seq..=earlier.last_seq)
    } else {
        Decision::Refused(Refusal::OtherContent)
    }
}

/// The events that a command's first one can be.
const fn begins_with(action: &Action) -> &'static [EventKind] {
    match action {
        Action::Send(_) => &[EventKind::MessageCreated],
        Action::Edit { .. } => &[EventKind::MessageEdited],
        Action::Delete { .. } => &[EventKind::MessageDeleted],
        Action::AddReaction { .. } => &[EventKind::ReactionAdded],
        Action::RemoveReaction { .. } => &[EventKind::ReactionRemoved],
        Action::CreateGroup { .. } | Action::CreateDirect { .. } => &[EventKind::ChatCreated],
        Action::UpdateChat { .. } => &[EventKind::ChatUpdated],
        Action::DeleteChat => &[EventKind::ChatDeleted],
        Action::AddMembers { .. } | Action::Join { .. } => &[EventKind::MemberJoined],
        // An owner hands over first.
        Action::Leave => &[EventKind::MemberLeft, EventKind::MemberRoleChanged],
        Action::RemoveMember { .. } => &[EventKind::MemberLeft],
        Action::ChangeRole { .. } => &[EventKind::MemberRoleChanged],
    }
}
