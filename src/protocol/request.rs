//! What clients ask on a socket.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::id::{ChatId, CommandId, FileId, MessageId, UserId};

/// Characters of a request's `id`.
pub const ID_CHARS: usize = 64;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    pub token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinChat {
    pub chat_id: ChatId,
    #[serde(default)]
    pub after_seq: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaveChat {
    pub chat_id: ChatId,
}

/// A message to be sent; on REST the chat stands in the path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    pub client_id: CommandId,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub file_ids: Vec<FileId>,
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    #[serde(default)]
    pub mentions: Vec<UserId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessage {
    pub chat_id: ChatId,
    pub client_id: CommandId,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub file_ids: Vec<FileId>,
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    #[serde(default)]
    pub mentions: Vec<UserId>,
}

impl SendMessage {
    pub fn split(self) -> (ChatId, NewMessage) {
        let Self { chat_id, client_id, body, file_ids, reply_to, mentions } = self;
        (chat_id, NewMessage { client_id, body, file_ids, reply_to, mentions })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditMessage {
    pub chat_id: ChatId,
    pub message_id: MessageId,
    pub body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteMessage {
    pub chat_id: ChatId,
    pub message_id: MessageId,
}

#[derive(Deserialize)]
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
    pub limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Typing {
    pub chat_id: ChatId,
    pub typing: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    pub chats: Vec<Known>,
}

/// How far a client knows a chat.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    pub chat_id: ChatId,
    pub after_seq: i64,
}

/// Of `subscribePresence` and `unsubscribePresence`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PresenceOf {
    #[schema(value_type = Vec<uuid::Uuid>, max_items = 500)]
    pub user_ids: Vec<UserId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    pub events: Vec<String>,
}
