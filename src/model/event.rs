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
    ChatCreated(Box<Founding>),
}

impl Change {
    pub fn kind(&self) -> EventKind {
        match self {
            Self::MessageCreated(_) => EventKind::MessageCreated,
            Self::MessageEdited(_) => EventKind::MessageEdited,
            Self::MessageDeleted { .. } => EventKind::MessageDeleted,
            Self::ChatCreated(_) => EventKind::ChatCreated,
        }
    }
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
        Chat {
            shared: self.chat.clone(),
            role: seat.role,
            read_seq: 0,
            unread_count: 0,
            pinned: false,
            muted_until: None,
            peer: if self.chat.kind == ChatKind::Direct { seat.peer.clone() } else { None },
        }
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
}
