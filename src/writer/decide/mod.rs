//! Deciding: what a command comes to. Permission and effect are one step, in the batch's
//! transaction, so no two nodes ever race about one chat.

pub(super) mod chats;
pub(super) mod messages;

use sqlx::PgConnection;

use crate::log::command::{Action, Command};
use crate::log::entry::{Answer, Refusal};
use crate::model::event::{Event, EventKind};
use crate::store::changes::{self, Earlier};

/// What a command came to.
#[derive(Debug)]
pub(super) enum Decision {
    /// It made this event.
    New(Box<Event>, Answer),
    /// It was done before, as this seq: to be published again, in case it never was.
    Again(i64, Answer),
    /// It need not be done: what it asks for is so already.
    Nothing(Answer),
    Refused(Refusal),
    /// Another owner has the partition; nothing was done.
    FenceLost,
}

impl Decision {
    pub(super) fn again(seq: i64) -> Self {
        Self::Again(seq, Answer::Done { seq, again: true })
    }

    pub(super) fn done(event: Event) -> Self {
        let answer = Answer::Done { seq: event.seq, again: false };
        Self::New(Box::new(event), answer)
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
        Action::CreateGroup { .. } | Action::CreateDirect { .. } => {
            chats::create(db, partition, command).await
        }
    }
}

fn repeated(command: &Command, earlier: &Earlier) -> Decision {
    let kind = match command.action {
        Action::Send(_) => EventKind::MessageCreated,
        Action::Edit { .. } => EventKind::MessageEdited,
        Action::Delete { .. } => EventKind::MessageDeleted,
        Action::CreateGroup { .. } | Action::CreateDirect { .. } => EventKind::ChatCreated,
    };
    if earlier.actor_id == command.actor && earlier.kind == kind.name() {
        Decision::again(earlier.seq)
    } else {
        Decision::Refused(Refusal::OtherContent)
    }
}
