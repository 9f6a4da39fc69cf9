//! Pushes: what the server sends unasked.

use bytes::Bytes;
use serde::Serialize;

use crate::model::chat::{Chat, Role, SharedChat};
use crate::model::event::{Change, Event, EventKind};
use crate::model::id::{ChatId, ConnectionId, MessageId, SessionId, UserId};
use crate::model::message::Message;
use crate::model::session::EndReason;
use crate::model::time::Timestamp;
use crate::model::user::User;

macro_rules! notices {
    ($($kind:ident = $name:literal),* $(,)?) => {
        /// The pushes that are no durable events, by name. Whatever is added here has to be
        /// described by `ws::asyncapi` before it compiles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Notice {
            $($kind),*
        }

        impl Notice {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),*
                }
            }
        }
    };
}

notices! {
    Ready = "ready",
    Typing = "typing",
    ResyncRequired = "resyncRequired",
    GoingAway = "goingAway",
    TokenExpiring = "tokenExpiring",
    SessionRevoked = "sessionRevoked",
    UserUpdated = "userUpdated",
    PresenceChanged = "presenceChanged",
    ReadReceipt = "readReceipt",
    ChatStateChanged = "chatStateChanged",
}

/// A notice as a frame.
pub fn frame(notice: Notice, data: impl Serialize) -> Bytes {
    named(notice.name(), data)
}

fn named(event: &str, data: impl Serialize) -> Bytes {
    #[derive(Serialize)]
    struct Push<'a, T> {
        event: &'a str,
        data: T,
    }
    serde_json::to_vec(&Push { event, data }).expect("a push is plain data").into()
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePush<'a> {
    chat_id: ChatId,
    seq: i64,
    message: &'a Message,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeleted {
    chat_id: ChatId,
    seq: i64,
    message_id: MessageId,
    message_seq: i64,
    by: UserId,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactionChanged<'a> {
    chat_id: ChatId,
    seq: i64,
    message_id: MessageId,
    message_seq: i64,
    user_id: UserId,
    emoji: &'a str,
    /// How many have reacted with it now; 0 where it is gone.
    count: i64,
}

/// The frame of an event that brings a message.
pub fn message(kind: EventKind, chat_id: ChatId, seq: i64, message: &Message) -> Bytes {
    named(kind.name(), MessagePush { chat_id, seq, message })
}

/// The frame of a durable event that all readers get alike; `None` where each gets its own.
pub fn durable(event: &Event) -> Option<Bytes> {
    let (chat_id, seq) = (event.chat, event.seq);
    let name = event.change.kind().name();
    match &event.change {
        Change::MessageCreated(message) | Change::MessageEdited(message) => {
            Some(self::message(event.change.kind(), chat_id, seq, message))
        }
        Change::MessageDeleted { message_id, message_seq } => Some(named(
            name,
            MessageDeleted {
                chat_id,
                seq,
                message_id: *message_id,
                message_seq: *message_seq,
                by: event.actor,
            },
        )),
        Change::ReactionAdded(reacting) | Change::ReactionRemoved(reacting) => Some(named(
            name,
            ReactionChanged {
                chat_id,
                seq,
                message_id: reacting.message_id,
                message_seq: reacting.message_seq,
                user_id: event.actor,
                emoji: &reacting.emoji,
                count: reacting.count,
            },
        )),
        Change::ChatCreated(_) => None,
        Change::MemberJoined(joining) => {
            let (user_id, role) = (joining.user, Some(joining.role));
            Some(named(
                name,
                MemberChanged { chat_id, seq, user_id, role, by: event.actor, chat: None },
            ))
        }
        Change::MemberLeft { user } => {
            let (user_id, by) = (*user, event.actor);
            Some(named(name, MemberChanged { chat_id, seq, user_id, role: None, by, chat: None }))
        }
        Change::MemberRoleChanged { user, role } => {
            let (user_id, role, by) = (*user, Some(*role), event.actor);
            Some(named(name, MemberChanged { chat_id, seq, user_id, role, by, chat: None }))
        }
        Change::ChatUpdated(chat) | Change::ChatDeleted(chat) => {
            Some(named(name, ChatChanged { chat_id, seq, chat }))
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberChanged<'a> {
    chat_id: ChatId,
    seq: i64,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    by: UserId,
    /// For the one who joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<&'a Chat>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatChanged<'a> {
    chat_id: ChatId,
    seq: i64,
    chat: &'a SharedChat,
}

/// A joining, as the one who joined gets it: with the chat beside it.
pub fn joined(user_id: UserId, by: UserId, chat: &Chat) -> Bytes {
    let (chat_id, seq, role) = (chat.shared.id, chat.read_seq, Some(chat.role));
    let data = MemberChanged { chat_id, seq, user_id, role, by, chat: Some(chat) };
    named(EventKind::MemberJoined.name(), data)
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatCreated<'a> {
    chat_id: ChatId,
    seq: i64,
    chat: &'a Chat,
}

/// A new chat, as one of its first members sees it.
pub fn chat_created(chat: &Chat) -> Bytes {
    let data = ChatCreated { chat_id: chat.shared.id, seq: 1, chat };
    named(EventKind::ChatCreated.name(), data)
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    pub connection_id: ConnectionId,
    pub user_id: UserId,
    pub session_id: SessionId,
    pub server_time: Timestamp,
    pub heartbeat_ms: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    pub chat_id: ChatId,
    pub user_id: UserId,
    pub typing: bool,
}

/// Somebody has read up to there.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadReceipt {
    pub chat_id: ChatId,
    pub user_id: UserId,
    pub read_seq: i64,
}

/// How a chat stands for the user themselves, who did something to it on another of their sockets.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatState {
    pub chat_id: ChatId,
    pub read_seq: i64,
    pub unread_count: i64,
    pub pinned: bool,
    #[schema(required)]
    pub muted_until: Option<Timestamp>,
}

/// Never with `online` or `lastSeenAt`: it goes to all alike, and those are not for all.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserUpdated<'a> {
    pub user: &'a User,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResyncRequired<'a> {
    pub chat_ids: &'a [ChatId],
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoingAway {
    pub reconnect_after_ms: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenExpiring {
    pub expires_at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRevoked {
    pub session_id: SessionId,
    pub reason: EndReason,
}

/// What `subscribe` can name. A connection keeps its choice as a set of bits.
pub const NAMES: &[&str] = &[
    "messageCreated",
    "messageEdited",
    "messageDeleted",
    "reactionAdded",
    "reactionRemoved",
    "memberJoined",
    "memberLeft",
    "memberRoleChanged",
    "chatCreated",
    "chatUpdated",
    "chatDeleted",
    "readReceipt",
    "typing",
    "presenceChanged",
    "chatStateChanged",
    "userUpdated",
];

/// Which pushes a connection wants. What concerns the connection itself always comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(u32);

impl Wanted {
    pub const ALL: Self = Self(u32::MAX);

    /// # Errors
    /// The first name that is not one of [`NAMES`] or `*`.
    pub fn of(names: &[String]) -> Result<Self, &str> {
        names.iter().try_fold(Self(0), |wanted, name| match name.as_str() {
            "*" => Ok(Self::ALL),
            name => Self::bit(name).map(|bit| Self(wanted.0 | bit)).ok_or(name),
        })
    }

    pub fn has(self, name: &str) -> bool {
        self == Self::ALL || Self::bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    fn bit(name: &str) -> Option<u32> {
        NAMES.iter().position(|known| *known == name).map(|index| 1 << index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_durable_event_can_be_subscribed_to() {
        for kind in EventKind::ALL {
            assert!(NAMES.contains(&kind.name()), "{}", kind.name());
        }
    }

    #[test]
    fn only_what_was_asked_for_is_wanted() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let wanted = names(&["typing", "messageCreated"]);
        let wanted = Wanted::of(&wanted).unwrap();
        assert!(wanted.has("typing") && wanted.has("messageCreated"));
        assert!(!wanted.has("messageEdited"));
        assert!(Wanted::of(&names(&["*"])).unwrap().has("chatDeleted"));
        assert_eq!(Wanted::of(&names(&["typing", "nonsense"])), Err("nonsense"));
        assert!(!Wanted::of(&[]).unwrap().has("typing"));
    }
}
