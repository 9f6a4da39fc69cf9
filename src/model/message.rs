//! A message, as the wire shows it.

use serde::{Deserialize, Serialize};

use super::id::{ChatId, CommandId, MessageId, UserId};
use super::time::Timestamp;

/// Characters of the answered message that a reply quotes.
pub const EXCERPT_CHARS: usize = 140;

/// How deep an answer to an answer to an … may go; each level costs one row's update per answer.
pub const MAX_THREAD_DEPTH: i16 = 500;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub id: MessageId,
    pub chat_id: ChatId,
    pub seq: i64,
    pub sender_id: UserId,
    pub client_id: CommandId,
    /// Null once deleted.
    #[schema(required)]
    pub body: Option<String>,
    #[schema(value_type = Vec<Object>)]
    pub files: Vec<serde_json::Value>,
    #[schema(required)]
    pub reply_to: Option<Quote>,
    #[schema(required)]
    pub thread_root_id: Option<MessageId>,
    pub reply_count: i32,
    pub mentions: Vec<UserId>,
    pub reactions: Vec<Reaction>,
    #[schema(required)]
    pub edited_at: Option<Timestamp>,
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// The answered message, in short. Its excerpt is gone when it is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    pub message_id: MessageId,
    pub seq: i64,
    pub sender_id: UserId,
    #[schema(required)]
    pub excerpt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reaction {
    pub emoji: String,
    pub count: i64,
    pub me: bool,
}
