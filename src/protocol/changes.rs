//! What a reader has missed, as the present state of whatever changed.

use serde::{Deserialize, Serialize};

use crate::model::chat::{Chat, Member};
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::model::time::Timestamp;

/// The present state of whatever changed in a chat after `from_seq`, up to `to_seq`: catching up
/// costs what changed, not what happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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

impl Changes {
    /// How many messages, members and chats it brings.
    pub fn rows(&self) -> usize {
        self.messages.len() + self.members.len() + usize::from(self.chat.is_some())
    }
}

/// A page of history, ascending by `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    pub items: Vec<Message>,
    pub has_before: bool,
    pub has_after: bool,
}

/// Up to where a member has read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub user_id: UserId,
    pub read_seq: i64,
    pub at: Timestamp,
}

/// The answer to `markRead`: how the chat stands for the caller then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    pub chat_id: ChatId,
    pub read_seq: i64,
    pub unread_count: i64,
}

/// The answer to `sync`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Synced {
    /// A chat without changes may be left out.
    pub chats: Vec<Changes>,
    /// Named by the client, but no longer the caller's.
    pub removed: Vec<ChatId>,
    /// The caller's, but not named.
    pub added: Vec<Chat>,
}

/// How many of a page's messages fit, given the sizes of their texts: at least one, so that a
/// reader gets on.
pub fn fitting(texts: impl Iterator<Item = usize>, limit: usize, text_bytes: usize) -> usize {
    let mut sum = 0;
    let fits = texts.take(limit).enumerate().take_while(|(index, text)| {
        sum += text;
        *index == 0 || sum <= text_bytes
    });
    fits.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_by_number_and_by_size_but_never_empty() {
        assert_eq!(fitting([1, 1, 1].into_iter(), 2, 100), 2);
        assert_eq!(fitting([60, 40, 1].into_iter(), 9, 100), 2);
        assert_eq!(fitting([500, 1].into_iter(), 9, 100), 1);
        assert_eq!(fitting(std::iter::empty(), 9, 100), 0);
    }
}
