//! What clients ask on a socket.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::id::{ChatId, CommandId, FileId, MessageId, UserId};

/// Characters of a request's `id`.
pub const ID_CHARS: usize = 64;

macro_rules! requests {
    ($($kind:ident = $name:literal),* $(,)?) => {
        /// Everything that a client can ask, by name. Whatever is added here has to be answered by
        /// `ws::dispatch` and described by `ws::asyncapi` before it compiles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RequestKind {
            $($kind),*
        }

        impl RequestKind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),*
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

requests! {
    Authenticate = "authenticate",
    SendMessage = "sendMessage",
    EditMessage = "editMessage",
    DeleteMessage = "deleteMessage",
    AddReaction = "addReaction",
    RemoveReaction = "removeReaction",
    GetMessages = "getMessages",
    JoinChat = "joinChat",
    LeaveChat = "leaveChat",
    MarkRead = "markRead",
    Typing = "typing",
    Sync = "sync",
    Subscribe = "subscribe",
    SubscribePresence = "subscribePresence",
    UnsubscribePresence = "unsubscribePresence",
}

/// A request's frame. `data` is read when the event is known.
#[derive(Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    pub id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    pub event: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    pub token: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinChat {
    pub chat_id: ChatId,
    #[serde(default)]
    pub after_seq: Option<i64>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaveChat {
    pub chat_id: ChatId,
}

/// A message to be sent; on REST the chat stands in the path.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    pub client_id: CommandId,
    #[serde(default)]
    #[schema(max_length = 8000)]
    pub body: String,
    #[serde(default)]
    #[schema(max_items = 10)]
    pub file_ids: Vec<FileId>,
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    #[serde(default)]
    #[schema(max_items = 50)]
    pub mentions: Vec<UserId>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessage {
    pub chat_id: ChatId,
    pub client_id: CommandId,
    #[serde(default)]
    #[schema(max_length = 8000)]
    pub body: String,
    #[serde(default)]
    #[schema(max_items = 10)]
    pub file_ids: Vec<FileId>,
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    #[serde(default)]
    #[schema(max_items = 50)]
    pub mentions: Vec<UserId>,
}

impl SendMessage {
    pub fn split(self) -> (ChatId, NewMessage) {
        let Self { chat_id, client_id, body, file_ids, reply_to, mentions } = self;
        (chat_id, NewMessage { client_id, body, file_ids, reply_to, mentions })
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditMessage {
    pub chat_id: ChatId,
    pub message_id: MessageId,
    #[schema(min_length = 1, max_length = 8000)]
    pub body: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteMessage {
    pub chat_id: ChatId,
    pub message_id: MessageId,
}

/// Of `addReaction` and `removeReaction`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReactionRequest {
    pub chat_id: ChatId,
    pub message_id: MessageId,
    /// One emoji, or a word that stands for one.
    #[schema(min_length = 1, max_length = 64)]
    pub emoji: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetMessages {
    pub chat_id: ChatId,
    #[serde(default)]
    pub before: Option<i64>,
    #[serde(default)]
    pub after: Option<i64>,
    #[serde(default)]
    pub around: Option<i64>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarkRead {
    pub chat_id: ChatId,
    /// Beyond the newest event it is the newest.
    #[schema(minimum = 0)]
    pub seq: i64,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TypingRequest)]
pub struct Typing {
    pub chat_id: ChatId,
    pub typing: bool,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    pub chats: Vec<Known>,
}

/// How far a client knows a chat.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    pub chat_id: ChatId,
    pub after_seq: i64,
}

/// Of `subscribePresence` and `unsubscribePresence`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PresenceOf {
    #[schema(max_items = 500)]
    pub user_ids: Vec<UserId>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    pub events: Vec<String>,
}
