//! The durable events of a chat: what the log carries, in `seq` order, to every reader.

use serde::{Deserialize, Serialize};

use super::chat::{Chat, ChatKind, Role, SharedChat};
use super::id::{ChatId, MessageId, UserId};
use super::message::Message;
use super::user::User;

/// One event: number `seq` of its chat, the same for every reader, for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub chat: ChatId,
    pub seq: i64,
    /// Whose command it was.
    pub actor: UserId,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    MessageCreated(Box<Message>),
    MessageEdited(Box<Message>),
    MessageDeleted { message_id: MessageId, message_seq: i64 },
    ReactionAdded(Reacting),
    ReactionRemoved(Reacting),
    ChatCreated(Box<Founding>),
    MemberJoined(Box<Joining>),
    MemberLeft { user: UserId },
    MemberRoleChanged { user: UserId, role: Role },
    ChatUpdated(Box<SharedChat>),
    ChatDeleted(Box<SharedChat>),
}

impl Change {
    pub fn kind(&self) -> EventKind {
        match self {
            Self::MessageCreated(_) => EventKind::MessageCreated,
            Self::MessageEdited(_) => EventKind::MessageEdited,
            Self::MessageDeleted { .. } => EventKind::MessageDeleted,
            Self::ReactionAdded(_) => EventKind::ReactionAdded,
            Self::ReactionRemoved(_) => EventKind::ReactionRemoved,
            Self::ChatCreated(_) => EventKind::ChatCreated,
            Self::MemberJoined(_) => EventKind::MemberJoined,
            Self::MemberLeft { .. } => EventKind::MemberLeft,
            Self::MemberRoleChanged { .. } => EventKind::MemberRoleChanged,
            Self::ChatUpdated(_) => EventKind::ChatUpdated,
            Self::ChatDeleted(_) => EventKind::ChatDeleted,
        }
    }
}

/// A reaction that came or went; whose it is, is whose command it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Reacting {
    pub message_id: MessageId,
    pub message_seq: i64,
    pub emoji: String,
    /// How many have reacted with it by then.
    pub count: i64,
}

/// A chat's beginning: seq 1, with its first members, who get no `memberJoined` of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Founding {
    pub chat: SharedChat,
    pub seats: Vec<Seat>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    pub user: UserId,
    pub role: Role,
    /// In a direct chat: whom this member sees at the other end.
    pub peer: Option<User>,
}

impl Founding {
    /// The new chat as the holder of `seat` sees it: nothing read, nothing to read.
    pub fn seen_by(&self, seat: &Seat) -> Chat {
        let peer = if self.chat.kind == ChatKind::Direct { seat.peer.clone() } else { None };
        Chat { peer, ..fresh(self.chat.clone(), seat.role, 0) }
    }
}

/// Somebody who comes later, and the chat that they come into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joining {
    pub user: UserId,
    pub role: Role,
    pub chat: SharedChat,
}

impl Joining {
    /// The chat as the one who joined at `seq` sees it: what was said before counts as read.
    pub fn seen_at(self, seq: i64) -> Chat {
        fresh(self.chat, self.role, seq)
    }
}

/// Somebody who left. Nodes read it to let their connections go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    pub user: UserId,
}

/// A chat as it stands for somebody who is new in it.
fn fresh(shared: SharedChat, role: Role, read_seq: i64) -> Chat {
    Chat {
        shared,
        last_message: None,
        role,
        read_seq,
        unread_count: 0,
        pinned: false,
        muted_until: None,
        peer: None,
    }
}

macro_rules! event_kinds {
    ($($kind:ident = $code:literal $name:literal),* $(,)?) => {
        /// The durable events by name. The number stands in the log: it is never used anew.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum EventKind {
            $($kind = $code),*
        }

        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),*
                }
            }

            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$kind => $code),*
                }
            }

            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$kind),)*
                    _ => None,
                }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

event_kinds! {
    MessageCreated = 1 "messageCreated",
    MessageEdited = 2 "messageEdited",
    MessageDeleted = 3 "messageDeleted",
    ChatCreated = 4 "chatCreated",
    MemberJoined = 5 "memberJoined",
    MemberLeft = 6 "memberLeft",
    MemberRoleChanged = 7 "memberRoleChanged",
    ChatUpdated = 8 "chatUpdated",
    ChatDeleted = 9 "chatDeleted",
    ReactionAdded = 10 "reactionAdded",
    ReactionRemoved = 11 "reactionRemoved",
}
