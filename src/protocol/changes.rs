//! What a reader has missed, as the present state of whatever changed.

use serde::{Deserialize, Serialize};

use crate::model::chat::{Chat, Member};
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::model::time::Timestamp;

/// The present state of whatever changed in a chat after `from_seq`, up to `to_seq`: catching up
/// costs what changed, not what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    pub chat_id: ChatId,
    pub from_seq: i64,
    pub to_seq: i64,
    /// `false` asks for another call from `to_seq`.
    pub complete: bool,
    pub messages: Vec<Message>,
    pub members: Vec<Member>,
    pub left: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
}

/// A page of history, ascending by `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    pub items: Vec<Message>,
    pub has_before: bool,
    pub has_after: bool,
}

/// Up to where a member has read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub user_id: UserId,
    pub read_seq: i64,
    pub at: Timestamp,
}

/// The answer to `sync`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Synced {
    /// A chat without changes may be left out.
    pub chats: Vec<Changes>,
    /// Named by the client, but no longer the caller's.
    pub removed: Vec<ChatId>,
    /// The caller's, but not named.
    pub added: Vec<Chat>,
}
