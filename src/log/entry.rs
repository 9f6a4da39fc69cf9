//! `out` entries: what an owner publishes, and how edges read it.
//!
//! | field | holds |
//! |---|---|
//! | `e` | events, packed, in the order of their making |
//! | `a` | answers to waiting edges, packed |
//! | `i` | the last `in` id that this and all earlier entries cover |
//! | `v` | in a takeover's marker: the tail that the new owner saw |
//!
//! An event's head is binary, so that a node tells whether it cares without reading the JSON behind
//! it, and hands the same bytes on to every socket.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::command::AnswerTo;
use crate::error::Error;
use crate::model::event::{Change, Event, EventKind, Leaving};
use crate::model::id::{ChatId, MessageId, UserId};
use crate::model::time::Timestamp;
use crate::protocol::push;

pub const EVENTS: &str = "e";
pub const ANSWERS: &str = "a";
pub const COVERS: &str = "i";
pub const TAIL_SEEN: &str = "v";

/// An event on its way: head, and bytes that nobody needs to read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub chat: ChatId,
    pub seq: i64,
    pub kind: EventKind,
    pub actor: UserId,
    /// The finished push, as every socket gets it; empty where each reader gets its own form.
    pub push: Bytes,
    /// JSON for the nodes alone, where `push` does not tell them enough.
    pub detail: Bytes,
}

const HEAD: usize = 16 + 8 + 1 + 16 + 4 + 4;

impl Published {
    pub fn of(event: &Event) -> Self {
        let detail = match &event.change {
            Change::ChatCreated(founding) => {
                serde_json::to_vec(founding).expect("a founding is plain data").into()
            }
            Change::MemberJoined(joining) => {
                serde_json::to_vec(joining).expect("a joining is plain data").into()
            }
            Change::MemberLeft { user } => {
                let leaving = Leaving { user: *user };
                serde_json::to_vec(&leaving).expect("a leaving is plain data").into()
            }
            _ => Bytes::new(),
        };
        Self {
            chat: event.chat,
            seq: event.seq,
            kind: event.change.kind(),
            actor: event.actor,
            push: push::durable(event).unwrap_or_default(),
            detail,
        }
    }

    pub fn encode(&self, into: &mut BytesMut) {
        into.reserve(HEAD + self.push.len() + self.detail.len());
        into.put_slice(self.chat.0.as_bytes());
        into.put_i64_le(self.seq);
        into.put_u8(self.kind.code());
        into.put_slice(self.actor.0.as_bytes());
        put_length(into, self.push.len());
        put_length(into, self.detail.len());
        into.put_slice(&self.push);
        into.put_slice(&self.detail);
    }
}

/// The events of an entry. One of an unknown kind is left out: a later version made it, and its
/// reader finds the gap and catches up.
pub fn events(mut packed: Bytes) -> Vec<Published> {
    let mut events = Vec::new();
    while packed.len() >= HEAD {
        let chat = ChatId(take_uuid(&mut packed));
        let seq = packed.get_i64_le();
        let kind = EventKind::from_code(packed.get_u8());
        let actor = UserId(take_uuid(&mut packed));
        let (push, detail) = (packed.get_u32_le() as usize, packed.get_u32_le() as usize);
        if packed.len() < push + detail {
            break;
        }
        let push = packed.split_to(push);
        let detail = packed.split_to(detail);
        if let Some(kind) = kind {
            events.push(Published { chat, seq, kind, actor, push, detail });
        }
    }
    events
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A message is stored; `again` where it was before.
    Sent { message_id: MessageId, seq: i64, created_at: Timestamp, again: bool },
    /// Done as event `seq`.
    Done { seq: i64, again: bool },
    /// Not done, and nothing changed.
    Refused(Refusal),
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal => $error:expr),* $(,)?) => {
        /// Why a writer does not do a command. The number stands in the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Refusal {
            $($(#[$doc])* $name = $code),*
        }

        impl Refusal {
            const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    _ => Self::Poisoned,
                }
            }

            /// What the client is told.
            pub fn into_error(self) -> Error {
                match self {
                    $(Self::$name => $error),*
                }
            }
        }
    };
}

refusals! {
    /// No such chat, or the actor is not in it: the two look the same from outside.
    NoChat = 1 => Error::NotFound("chat"),
    NoMessage = 2 => Error::NotFound("message"),
    NoParent = 3 => Error::NotFound("the message that replyTo names"),
    /// The role does not allow it.
    NotAllowed = 4 => Error::Forbidden("this is not yours to do"),
    Blocked = 5 => Error::Blocked,
    /// The id was used for something else.
    OtherContent = 6 => Error::Conflict("this clientId was used with other content"),
    Deleted = 7 => Error::Conflict("the message is deleted"),
    NoUser = 8 => Error::NotFound("user"),
    /// An answer to an answer to an … beyond the bound.
    TooDeep = 9 => Error::invalid("replyTo", "the thread is too deep"),
    /// The command could not be done for a reason of ours and was set aside.
    Poisoned = 10 => Error::internal("the command was set aside"),
    NoMember = 11 => Error::NotFound("member"),
    Banned = 12 => Error::Forbidden("you were banned from this chat"),
    /// Revoked, expired, used up, or never made: they look the same from outside.
    NoInvite = 13 => Error::NotFound("invite"),
    NotAGroup = 14 => Error::Forbidden("a direct chat has its two members, for ever"),
    Full = 15 => Error::Conflict("the chat is full"),
    TooManyReactions = 20 => Error::Conflict("the message has all the different reactions that it can have"),
    TooManyOwnReactions = 21 => Error::Conflict("you have reacted to the message as often as one can"),
}

const SENT: u8 = 1;
const DONE: u8 = 2;
const REFUSED: u8 = 3;

pub fn encode_answer(into: &mut BytesMut, to: AnswerTo, answer: &Answer) {
    into.put_u64_le(to.node);
    into.put_u64_le(to.request);
    match answer {
        Answer::Sent { message_id, seq, created_at, again } => {
            into.put_u8(SENT);
            into.put_slice(message_id.0.as_bytes());
            into.put_i64_le(*seq);
            into.put_i64_le(created_at.unix_millis());
            into.put_u8(u8::from(*again));
        }
        Answer::Done { seq, again } => {
            into.put_u8(DONE);
            into.put_i64_le(*seq);
            into.put_u8(u8::from(*again));
        }
        Answer::Refused(refusal) => {
            into.put_u8(REFUSED);
            into.put_u8(*refusal as u8);
        }
    }
}

/// The answers of an entry that are for `node`, by request.
pub fn answers(mut packed: Bytes, node: u64) -> Vec<(u64, Answer)> {
    let mut answers = Vec::new();
    while packed.len() > 17 {
        let (to, request, tag) = (packed.get_u64_le(), packed.get_u64_le(), packed.get_u8());
        let answer = match tag {
            SENT if packed.len() >= 33 => Answer::Sent {
                message_id: MessageId(take_uuid(&mut packed)),
                seq: packed.get_i64_le(),
                created_at: Timestamp::from_unix_millis(packed.get_i64_le()),
                again: packed.get_u8() != 0,
            },
            DONE if packed.len() >= 9 => {
                Answer::Done { seq: packed.get_i64_le(), again: packed.get_u8() != 0 }
            }
            REFUSED => Answer::Refused(Refusal::from_code(packed.get_u8())),
            _ => break,
        };
        if to == node {
            answers.push((request, answer));
        }
    }
    answers
}

fn put_length(into: &mut BytesMut, length: usize) {
    into.put_u32_le(u32::try_from(length).expect("a message's size is bounded"));
}

fn take_uuid(from: &mut Bytes) -> Uuid {
    let mut bytes = [0; 16];
    from.copy_to_slice(&mut bytes);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_were_and_a_cut_end_is_left_out() {
        let event = |seq: i64, push: &str| Published {
            chat: ChatId::new(),
            seq,
            kind: EventKind::MessageCreated,
            actor: UserId::new(),
            push: Bytes::copy_from_slice(push.as_bytes()),
            detail: Bytes::from_static(b"{}"),
        };
        let sent = vec![event(1, "eins"), event(i64::MAX, "")];
        let mut packed = BytesMut::new();
        for event in &sent {
            event.encode(&mut packed);
        }
        let packed = packed.freeze();
        assert_eq!(events(packed.clone()), sent);
        assert_eq!(events(packed.slice(..packed.len() - 1)), sent[..1]);
    }

    #[test]
    fn a_node_reads_its_own_answers() {
        let to = |node, request| AnswerTo { node, request };
        let sent = Answer::Sent {
            message_id: MessageId::new(),
            seq: 5,
            created_at: Timestamp::from_unix_millis(7),
            again: true,
        };
        let done = Answer::Done { seq: 9, again: false };
        let refused = Answer::Refused(Refusal::Blocked);
        let mut packed = BytesMut::new();
        encode_answer(&mut packed, to(1, 10), &sent);
        encode_answer(&mut packed, to(2, 11), &done);
        encode_answer(&mut packed, to(1, 12), &refused);
        encode_answer(&mut packed, to(1, 13), &done);
        let packed = packed.freeze();
        let mine = answers(packed.clone(), 1);
        assert_eq!(mine, [(10, sent), (12, refused), (13, done.clone())]);
        assert_eq!(answers(packed, 2), [(11, done)]);
    }
}
