//! The judge. After the run, with all faults healed, it holds what history says against what was
//! sent and against what every member saw.
//!
//! It reads plain data and no network, so that each kind of violation can be planted in a test.
//! Nothing here is trusted from one source alone: `seq`s must be dense, every acknowledgement must
//! be found, every input must be there once with its exact text, and every member must hold the
//! same event at the same `seq`.

pub(crate) mod history;
pub(crate) mod tally;

use std::cmp::Ordering;
use std::collections::HashMap;

use uuid::Uuid;

use self::tally::{Kind, Tally};
use crate::client::journal::{COVERED, Journal};
use crate::wire::{Message, Print};
use crate::world::{Entry, RunTag, SendKey, Texts};

/// A message as history has it, without its text once that was compared.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub seq: u64,
    pub id: Uuid,
    pub sender: Uuid,
    pub client_id: Option<Uuid>,
    pub reply_to: Option<Uuid>,
    pub print: Print,
    pub text_is_right: bool,
}

impl Stored {
    /// Compares the text on the spot, so that a page of history need not be kept.
    pub(crate) fn new(
        message: &Message<'_>,
        tag: RunTag,
        room: u32,
        texts: &Texts,
        inputs: usize,
    ) -> Self {
        let key = message.client_id.and_then(|id| tag.key(id));
        let key = key.filter(|key| key.room == room && (key.index as usize) < inputs);
        let text_is_right = key.is_some_and(|key| Some(texts.get(key).as_ref()) == message.body());
        Self {
            seq: message.seq,
            id: message.id,
            sender: message.sender_id,
            client_id: message.client_id,
            reply_to: message.reply_to.map(|reply| reply.message_id),
            print: message.print(),
            text_is_right,
        }
    }
}

/// Everything there is to say about one room.
pub(crate) struct Case<'a> {
    pub tag: RunTag,
    pub room: u32,
    pub name: &'a str,
    /// Messages only behind this `seq`; before it lie the chat's creation and its members.
    pub setup_seq: u64,
    /// What `GET /chats/{id}` says at the end.
    pub last_seq: u64,
    /// As read, page by page.
    pub history: &'a [Stored],
    pub book: &'a [Entry],
    pub members: Vec<Member<'a>>,
    /// User ids by seat, for every sender in the book.
    pub users: &'a dyn Fn(u32) -> Uuid,
}

pub(crate) struct Member<'a> {
    pub name: &'a str,
    pub user: Uuid,
    pub journal: &'a Journal,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages found with a member who did not send them.
    pub delivered: u64,
    /// Messages in history.
    pub stored: u64,
}

pub(crate) fn judge(case: &Case<'_>, tally: &mut Tally) -> Counts {
    check_history(case, tally);
    let found = index_by_input(case, tally);
    check_inputs(case, &found, tally);
    check_sender_order(case, tally);
    let delivered = case.members.iter().map(|member| check_member(case, member, tally)).sum();
    check_setup_events(case, tally);
    Counts { delivered, stored: case.history.len() as u64 }
}

/// Strictly ascending, and dense from the first message to the chat's `lastSeq`.
fn check_history(case: &Case<'_>, tally: &mut Tally) {
    let mut last = case.setup_seq;
    for message in case.history {
        let place = || format!("{}: history has seq {} after {last}", case.name, message.seq);
        match message.seq.cmp(&last) {
            Ordering::Equal => tally.note(Kind::Duplicated, place),
            Ordering::Less => tally.note(Kind::Reordered, place),
            Ordering::Greater => tally.note_many(Kind::Gap, message.seq - last - 1, place),
        }
        last = last.max(message.seq);
    }
    let missing = case.last_seq.saturating_sub(last);
    tally.note_many(Kind::Gap, missing, || {
        format!("{}: history ends at {last}, but lastSeq is {}", case.name, case.last_seq)
    });
    if last > case.last_seq {
        let text = || format!("{}: lastSeq is {}, history has {last}", case.name, case.last_seq);
        tally.note(Kind::Lost, text);
    }
}

fn index_by_input<'a>(case: &Case<'a>, tally: &mut Tally) -> HashMap<u32, &'a Stored> {
    let mut found: HashMap<u32, &Stored> = HashMap::with_capacity(case.history.len());
    let mut ids = HashMap::with_capacity(case.history.len());
    for message in case.history {
        let place = || format!("{}: seq {} ({})", case.name, message.seq, message.id);
        if let Some(first) = ids.insert(message.id, message.seq) {
            let text = || format!("{} has the id of seq {first}", place());
            tally.note(Kind::Duplicated, text);
            continue;
        }
        let key = message.client_id.and_then(|id| case.tag.key(id));
        let known = key.filter(|key| {
            key.room == case.room
                && case.book.get(key.index as usize).is_some_and(|entry| entry.attempts > 0)
        });
        let Some(SendKey { index, .. }) = known else {
            tally.note(Kind::Phantom, || format!("{} was never sent", place()));
            continue;
        };
        if let Some(first) = found.insert(index, message) {
            let text = || format!("{} is input {index}, as is seq {}", place(), first.seq);
            tally.note(Kind::Duplicated, text);
        }
    }
    found
}

fn check_inputs(case: &Case<'_>, found: &HashMap<u32, &Stored>, tally: &mut Tally) {
    for (index, entry) in (0..).zip(case.book) {
        let place = || format!("{}: input {index}", case.name);
        let stored = found.get(&index).copied();
        match (entry.ack, stored) {
            (Some(ack), Some(stored)) if ack.seq == stored.seq && ack.message_id == stored.id => {}
            (Some(ack), None) => {
                tally.note(Kind::Lost, || format!("{} was acked as seq {}", place(), ack.seq));
            }
            (Some(ack), Some(stored)) => {
                let text = || format!("{} acked as {ack:?}, stored at {}", place(), stored.seq);
                tally.note(Kind::AckChanged, text);
            }
            (None, _) if entry.refused.is_some() => {
                if let Some(stored) = stored {
                    let text = || format!("{} was refused, yet is seq {}", place(), stored.seq);
                    tally.note(Kind::Phantom, text);
                }
            }
            (None, _) => tally.note(Kind::Unanswered, || format!("{} has no answer", place())),
        }
        if let Some(stored) = stored {
            check_content(case, index, entry, stored, tally);
        }
    }
}

fn check_content(case: &Case<'_>, index: u32, entry: &Entry, stored: &Stored, tally: &mut Tally) {
    let place = || format!("{}: input {index}, seq {}", case.name, stored.seq);
    if !stored.text_is_right || stored.sender != (case.users)(entry.sender) {
        tally.note(Kind::Corrupt, || format!("{}: not the text or sender that was sent", place()));
    }
    let parent = entry.reply_to.and_then(|parent| case.book[parent as usize].ack);
    let asked = parent.map(|ack| ack.message_id);
    if asked != stored.reply_to {
        let text = || format!("{}: replyTo {:?} instead of {asked:?}", place(), stored.reply_to);
        tally.note(Kind::WrongReply, text);
    }
}

/// Among messages sent once only, one sender's order is the order of the input.
fn check_sender_order(case: &Case<'_>, tally: &mut Tally) {
    let mut last: HashMap<u32, u64> = HashMap::new();
    for (index, entry) in case.book.iter().enumerate() {
        let Some(ack) = entry.ack.filter(|_| entry.attempts == 1) else { continue };
        let before = last.insert(entry.sender, ack.seq).unwrap_or(0);
        if before >= ack.seq {
            tally.note(Kind::Reordered, || {
                format!("{}: input {index} is seq {} behind {before}", case.name, ack.seq)
            });
        }
    }
}

fn check_member(case: &Case<'_>, member: &Member<'_>, tally: &mut Tally) -> u64 {
    let journal = member.journal;
    let place = |seq: u64| format!("{}: {} at seq {seq}", case.name, member.name);
    let mut delivered = 0;
    for message in case.history {
        if message.seq < journal.base() {
            continue;
        }
        match journal.mark(message.seq) {
            mark if mark == message.print => delivered += u64::from(message.sender != member.user),
            0 => tally.note(Kind::Lost, || format!("{}: never received", place(message.seq))),
            COVERED => {
                let text = || format!("{}: left out by the sync over it", place(message.seq));
                tally.note(Kind::Lost, text);
            }
            _ => tally.note(Kind::Reordered, || {
                format!("{}: received something else than history has", place(message.seq))
            }),
        }
    }
    if journal.base() > case.setup_seq {
        let missed = journal.base() - case.setup_seq;
        tally.note_many(Kind::Gap, missed, || format!("{}: starts there", place(journal.base())));
    }
    let last = case.history.last().map_or(case.setup_seq, |message| message.seq);
    for seq in last + 1..=journal.top() {
        if journal.mark(seq) > COVERED {
            tally.note(Kind::Lost, || format!("{}: seen, but not in history", place(seq)));
        }
    }
    delivered
}

/// Events without a message are in no history: members are held against each other instead.
fn check_setup_events(case: &Case<'_>, tally: &mut Tally) {
    for seq in 1..=case.setup_seq {
        let mut first: Option<(&str, Print)> = None;
        for member in case.members.iter().filter(|member| member.journal.base() <= seq) {
            let place = || format!("{}: {} at seq {seq}", case.name, member.name);
            match member.journal.mark(seq) {
                0 => tally.note(Kind::Gap, || format!("{}: no event", place())),
                COVERED => {}
                mark => match first {
                    None => first = Some((member.name, mark)),
                    Some((_, print)) if print == mark => {}
                    Some((other, _)) => {
                        tally.note(Kind::Reordered, || format!("{}: not as {other}", place()));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
