//! Sending, editing and deleting messages.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::Decision;
use crate::log::command::{Command, Draft};
use crate::log::entry::{Answer, Refusal};
use crate::model::chat::ChatAction;
use crate::model::event::{Change, Event, EventKind};
use crate::model::id::MessageId;
use crate::model::message::{Message, Quote};
use crate::store::events::EventData;
use crate::store::sends::{self, Answering, Drafts, Stored, verdict};
use crate::store::{changes, members, messages};

/// A send of a batch, with its place in it.
#[derive(Clone, Copy)]
pub(in crate::writer) struct Send<'a> {
    pub(in crate::writer) index: usize,
    pub(in crate::writer) partition: u16,
    pub(in crate::writer) command: &'a Command,
    pub(in crate::writer) draft: &'a Draft,
}

/// Decides and stores sends in bulk; gives each one's decision by its place in the batch.
pub(in crate::writer) async fn send_all(
    db: &mut PgConnection,
    terms: &[(i16, i64)],
    all: &[Send<'_>],
) -> Result<Vec<(usize, Decision)>, sqlx::Error> {
    let (firsts, repeats) = without_repeats(all);
    let rows = sends::store(&mut *db, terms, drafts(&firsts)).await?;
    let mut decisions: HashMap<usize, Decision> =
        firsts.iter().map(|send| (send.index, Decision::FenceLost)).collect();
    for row in rows {
        let place = usize::try_from(row.ord - 1).expect("ordinality counts from 1");
        let send = firsts[place];
        decisions.insert(send.index, decide(send, &row));
    }
    for (repeat, first) in repeats {
        let decision = decide_repeat(repeat, first, &decisions[&first.index]);
        decisions.insert(repeat.index, decision);
    }
    Ok(decisions.into_iter().collect())
}

/// Parts a batch into the first of every (chat, sender, client id) and what repeats it.
fn without_repeats<'a>(all: &[Send<'a>]) -> (Vec<Send<'a>>, Vec<(Send<'a>, Send<'a>)>) {
    let mut seen = HashMap::with_capacity(all.len());
    let (mut firsts, mut repeats) = (Vec::with_capacity(all.len()), Vec::new());
    for send in all {
        let key = (send.command.chat, send.command.actor, send.command.id);
        if let Some(first) = seen.get(&key) {
            repeats.push((*send, *first));
        } else {
            seen.insert(key, *send);
            firsts.push(*send);
        }
    }
    (firsts, repeats)
}

fn drafts<'a>(sends: &[Send<'a>]) -> Drafts<'a> {
    let mut drafts = Drafts::default();
    for send in sends {
        drafts.partitions.push(send.partition.cast_signed());
        drafts.chats.push(send.command.chat.0);
        drafts.senders.push(send.command.actor.0);
        drafts.client_ids.push(send.command.id.0);
        drafts.message_ids.push(send.draft.message_id.0);
        drafts.hashes.push(send.draft.content_hash());
        drafts.bodies.push(&send.draft.body);
        drafts.parents.push(send.draft.reply_to.map(|parent| parent.0));
        drafts.mentions.push((!send.draft.mentions.is_empty()).then(|| {
            let mentions: Vec<String> =
                send.draft.mentions.iter().map(ToString::to_string).collect();
            format!("{{{}}}", mentions.join(","))
        }));
    }
    drafts
}

fn decide(send: Send<'_>, row: &Stored) -> Decision {
    match row.verdict {
        verdict::STORED => stored(send, row),
        verdict::AGAIN => Decision::Again(
            row.seq..=row.seq,
            Answer::Sent {
                message_id: row.id,
                seq: row.seq,
                created_at: row.created_at.into(),
                again: true,
            },
        ),
        verdict::OTHER_CONTENT => Decision::Refused(Refusal::OtherContent),
        verdict::BLOCKED => Decision::Refused(Refusal::Blocked),
        verdict::NO_PARENT => Decision::Refused(Refusal::NoParent),
        verdict::TOO_DEEP => Decision::Refused(Refusal::TooDeep),
        _ => Decision::Refused(Refusal::NoChat),
    }
}

fn stored(send: Send<'_>, row: &Stored) -> Decision {
    let (command, draft) = (send.command, send.draft);
    let created_at = row.created_at.into();
    let quote = || {
        Some(Quote {
            message_id: row.parent_id?,
            seq: row.parent_seq?,
            sender_id: row.parent_sender_id?,
            excerpt: row.parent_excerpt.clone(),
        })
    };
    let message = Message {
        id: row.id,
        chat_id: command.chat,
        seq: row.seq,
        sender_id: command.actor,
        client_id: command.id,
        body: Some(draft.body.clone()),
        files: Vec::new(),
        reply_to: quote(),
        thread_root_id: row.thread_root_id,
        reply_count: 0,
        mentions: draft.mentions.clone(),
        reactions: Vec::new(),
        edited_at: None,
        deleted_at: None,
        created_at,
        hidden: false,
    };
    let change = Change::MessageCreated(Box::new(message));
    let event = Event { chat: command.chat, seq: row.seq, actor: command.actor, change };
    let answer = Answer::Sent { message_id: row.id, seq: row.seq, created_at, again: false };
    Decision::New(vec![event], answer)
}

fn decide_repeat(repeat: Send<'_>, first: Send<'_>, decided: &Decision) -> Decision {
    if repeat.draft.content_hash() != first.draft.content_hash() {
        return Decision::Refused(Refusal::OtherContent);
    }
    match decided {
        Decision::New(_, Answer::Sent { message_id, seq, created_at, .. })
        | Decision::Again(_, Answer::Sent { message_id, seq, created_at, .. }) => {
            let (message_id, seq, created_at) = (*message_id, *seq, *created_at);
            Decision::Nothing(Answer::Sent { message_id, seq, created_at, again: true })
        }
        Decision::Refused(refusal) => Decision::Refused(*refusal),
        _ => Decision::FenceLost,
    }
}

/// The new answers, for the counts of what they answer.
pub(in crate::writer) fn answers(decisions: &[(usize, Decision)]) -> Vec<Answering> {
    let events = decisions.iter().flat_map(|(_, decision)| match decision {
        Decision::New(events, _) => events.as_slice(),
        _ => &[],
    });
    let answers = events.filter_map(|event| match &event.change {
        Change::MessageCreated(message) => {
            let answered_seq = message.reply_to.as_ref()?.seq;
            Some(Answering { chat: event.chat, answered_seq, seq: event.seq })
        }
        _ => None,
    });
    answers.collect()
}

pub(in crate::writer) async fn edit(
    db: &mut PgConnection,
    command: &Command,
    id: MessageId,
    body: &str,
) -> Result<Decision, sqlx::Error> {
    let chat = command.chat;
    let Some(role) = members::role(&mut *db, chat, command.actor).await? else {
        return Ok(Decision::Refused(Refusal::NoChat));
    };
    let Some(subject) = changes::subject(&mut *db, chat, id).await? else {
        return Ok(Decision::Refused(Refusal::NoMessage));
    };
    if subject.sender_id != command.actor || !role.may(ChatAction::EditOwn) {
        return Ok(Decision::Refused(Refusal::NotAllowed));
    }
    if subject.closed {
        return Ok(Decision::Refused(Refusal::Blocked));
    }
    let Some(former) = subject.body else {
        return Ok(Decision::Refused(Refusal::Deleted));
    };
    if former == body {
        return Ok(Decision::Nothing(Answer::Done { seq: subject.changed_seq, again: true }));
    }
    let data = EventData {
        message_seq: Some(subject.seq),
        message_id: Some(id),
        version: Some(subject.version + 1),
        ..EventData::default()
    };
    let kind = EventKind::MessageEdited;
    let seq = changes::add_event(&mut *db, chat, command.id, command.actor, kind, data).await?;
    changes::edit_message(&mut *db, chat, subject.seq, body, seq).await?;
    let message = messages::find(&mut *db, chat, id).await;
    let message = message.map_err(|error| sqlx::Error::Decode(error.into()))?;
    let message = message.ok_or(sqlx::Error::RowNotFound)?;
    let change = Change::MessageEdited(Box::new(message));
    Ok(Decision::done(vec![Event { chat, seq, actor: command.actor, change }]))
}

pub(in crate::writer) async fn delete(
    db: &mut PgConnection,
    command: &Command,
    id: MessageId,
) -> Result<Decision, sqlx::Error> {
    let chat = command.chat;
    let Some(role) = members::role(&mut *db, chat, command.actor).await? else {
        return Ok(Decision::Refused(Refusal::NoChat));
    };
    let Some(subject) = changes::subject(&mut *db, chat, id).await? else {
        return Ok(Decision::Refused(Refusal::NoMessage));
    };
    let own = subject.sender_id == command.actor;
    let action = if own { ChatAction::DeleteOwn } else { ChatAction::DeleteOthers };
    // Nobody acts on an equal or higher role; who has left has none.
    let outranks = own || members::role(&mut *db, chat, subject.sender_id).await? < Some(role);
    if !role.may(action) || !outranks {
        return Ok(Decision::Refused(Refusal::NotAllowed));
    }
    if subject.body.is_none() {
        return Ok(Decision::Nothing(Answer::Done { seq: subject.changed_seq, again: true }));
    }
    let data =
        EventData { message_seq: Some(subject.seq), message_id: Some(id), ..EventData::default() };
    let kind = EventKind::MessageDeleted;
    let seq = changes::add_event(&mut *db, chat, command.id, command.actor, kind, data).await?;
    changes::delete_message(&mut *db, chat, subject.seq, seq).await?;
    let change = Change::MessageDeleted { message_id: id, message_seq: subject.seq };
    Ok(Decision::done(vec![Event { chat, seq, actor: command.actor, change }]))
}
