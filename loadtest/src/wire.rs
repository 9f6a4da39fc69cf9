//! The parts of the wire contract that a client under test needs, and no more.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// What stands for an event in a member's log: equal events have equal prints.
pub(crate) type Print = u64;

/// Any frame from the server; which fields are there tells what it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    pub id: Option<&'a str>,
    pub event: Option<&'a str>,
    pub ok: Option<bool>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    pub error: Option<WireError>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireError {
    pub code: String,
    #[serde(default)]
    pub message: String,
    pub retry_after_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Request<'a, T> {
    pub id: &'a str,
    pub event: &'a str,
    pub data: T,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendMessage<'a> {
    pub chat_id: Uuid,
    pub client_id: Uuid,
    pub body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ack {
    pub message_id: Uuid,
    pub seq: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    #[serde(default = "default_heartbeat")]
    pub heartbeat_ms: u64,
}

fn default_heartbeat() -> u64 {
    25_000
}

#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    pub id: Uuid,
    pub seq: u64,
    pub sender_id: Uuid,
    pub client_id: Option<Uuid>,
    #[serde(borrow)]
    pub body: Option<Text<'a>>,
    pub reply_to: Option<ReplyTo>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplyTo {
    pub message_id: Uuid,
}

impl Message<'_> {
    pub(crate) fn body(&self) -> Option<&str> {
        self.body.as_ref().map(|text| text.0.as_ref())
    }

    /// The same however the message was read: pushed, synced, or from history.
    pub(crate) fn print(&self) -> Print {
        let answered = self.reply_to.map(|reply| reply.message_id);
        print_of(&("message", self.id, self.sender_id, self.client_id, self.body(), answered))
    }
}

/// A durable event, as far as all of them have fields in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Durable<'a> {
    pub chat_id: Uuid,
    pub seq: u64,
    #[serde(borrow)]
    pub message: Option<Message<'a>>,
    pub user_id: Option<Uuid>,
    pub message_id: Option<Uuid>,
}

impl Durable<'_> {
    pub(crate) fn print(&self, event: &str) -> Print {
        match &self.message {
            Some(message) if event == "messageCreated" => message.print(),
            _ => print_of(&(event, self.chat_id, self.seq, self.user_id, self.message_id)),
        }
    }
}

/// Zero means "not seen" and one "covered by a sync" in a member's log, so no print is either.
fn print_of(parts: &impl Hash) -> Print {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish().max(2)
}

pub(crate) fn is_durable(event: &str) -> bool {
    const DURABLE: [&str; 11] = [
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
    ];
    DURABLE.contains(&event)
}

#[derive(Debug, Serialize)]
pub(crate) struct SyncRequest {
    pub chats: Vec<SyncFrom>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SyncFrom {
    pub chat_id: Uuid,
    pub after_seq: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SyncAnswer<'a> {
    #[serde(borrow, default)]
    pub chats: Vec<Changes<'a>>,
    #[serde(default)]
    pub removed: Vec<Uuid>,
    #[serde(default)]
    pub added: Vec<ChatRef>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes<'a> {
    pub chat_id: Uuid,
    pub to_seq: u64,
    pub complete: bool,
    #[serde(borrow, default)]
    pub messages: Vec<Message<'a>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatRef {
    pub id: Uuid,
    pub last_seq: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resync {
    #[serde(default)]
    pub chat_ids: Vec<Uuid>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GoingAway {
    #[serde(default)]
    pub reconnect_after_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_and_a_page_of_history_give_the_same_print() {
        let message = r#"{"id":"01890000-0000-7000-8000-000000000001","chatId":"01890000-0000-7000-8000-0000000000aa",
            "seq":4,"senderId":"01890000-0000-7000-8000-000000000002","clientId":"01890000-0000-4000-8000-000000000003",
            "body":"tab\there é","files":[],"replyTo":null,"createdAt":"x"}"#;
        let push = format!(
            r#"{{"event":"messageCreated","data":{{"chatId":"01890000-0000-7000-8000-0000000000aa","seq":4,"message":{message}}}}}"#
        );
        let frame: Frame<'_> = serde_json::from_str(&push).expect("a frame");
        let data = frame.data.expect("has data").get();
        let event: Durable<'_> = serde_json::from_str(data).expect("an event");
        let read: Message<'_> = serde_json::from_str(message).expect("a message");
        assert_eq!(event.print("messageCreated"), read.print());
        assert_eq!(read.body(), Some("tab\there é"));
        let other = message.replace("here", "her");
        let other: Message<'_> = serde_json::from_str(&other).expect("a message");
        assert_ne!(other.print(), read.print());
    }
}
