//! What readers see of an event who block somebody: the same frame, but for what is hidden in it.
//!
//! An event has three forms at the most: whole, hidden, and whole but for what it quotes. Each is
//! made once an event, when the first reader needs it, and shared by all who do.

use std::cell::OnceCell;
use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::log::entry::Published;
use crate::model::event::EventKind;
use crate::model::id::UserId;
use crate::model::message::Message;
use crate::protocol::push;

/// An event on its way to readers of whom some block somebody.
pub(super) struct Screen<'a> {
    event: &'a Published,
    /// Whom the message answers; read when the first reader blocks anybody.
    answer: OnceCell<Option<Answer>>,
    hidden: OnceCell<Option<Bytes>>,
    unquoted: OnceCell<Option<Bytes>>,
}

#[derive(Deserialize)]
struct Frame<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    message: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    reply_to: Option<Quoted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quoted {
    sender_id: UserId,
}

impl<'a> Screen<'a> {
    pub(super) fn of(event: &'a Published) -> Self {
        Self { event, answer: OnceCell::new(), hidden: OnceCell::new(), unquoted: OnceCell::new() }
    }

    /// The frame for a reader who blocks these. None where the event cannot be read: what may have
    /// to be hidden is rather not shown.
    pub(super) fn seen_by(&self, blocks: &HashSet<UserId>) -> Option<&Bytes> {
        match self.event.kind {
            EventKind::MessageCreated | EventKind::MessageEdited => {}
            // Names people and places, but nothing that anybody said; a reaction in a group is
            // counted for all alike.
            EventKind::MessageDeleted
            | EventKind::ReactionAdded
            | EventKind::ReactionRemoved
            | EventKind::ChatCreated
            | EventKind::ChatUpdated
            | EventKind::ChatDeleted
            | EventKind::MemberJoined
            | EventKind::MemberLeft
            | EventKind::MemberRoleChanged => return Some(&self.event.push),
        }
        let author = self.event.actor;
        if blocks.contains(&author) {
            return self.hidden.get_or_init(|| self.made(|_| true)).as_ref();
        }
        let answer = self.answer.get_or_init(|| self.read()).as_ref()?;
        if answer.reply_to.as_ref().is_some_and(|quoted| blocks.contains(&quoted.sender_id)) {
            return self.unquoted.get_or_init(|| self.made(|user| user != author)).as_ref();
        }
        Some(&self.event.push)
    }

    fn made(&self, is_blocked: impl Fn(UserId) -> bool) -> Option<Bytes> {
        let mut message = self.read::<Message>()?;
        message.screen(is_blocked);
        let Published { kind, chat, seq, .. } = self.event;
        Some(push::message(*kind, *chat, *seq, &message))
    }

    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let read = serde_json::from_slice::<Frame<T>>(&self.event.push);
        read.map(|frame| frame.data.message)
            .inspect_err(|error| tracing::error!(%error, "an event cannot be read"))
            .ok()
    }
}
