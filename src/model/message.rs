//! A message, as the wire shows it.

use serde::{Deserialize, Serialize};

use super::id::{ChatId, CommandId, MessageId, UserId};
use super::time::Timestamp;
use super::user::User;

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
    /// The emoji that came first first; none once deleted.
    pub reactions: Vec<Reaction>,
    #[schema(required)]
    pub edited_at: Option<Timestamp>,
    #[schema(required)]
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Written in a group by somebody whom the reader blocks: it keeps its place without what it
    /// says. Left out where it is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

impl Message {
    /// About how much of an answer the message takes, beyond what every message does.
    pub fn text_bytes(&self) -> usize {
        let body = self.body.as_ref().map_or(0, String::len);
        let reactions = self.reactions.iter();
        body + reactions.map(|reaction| REACTION_BYTES + reaction.emoji.len()).sum::<usize>()
    }

    /// Makes it what a reader sees who blocks these people: nothing of what they wrote, and nothing
    /// quoted of it. Who they are stays, so that `seq` has no hole and threads hang together.
    pub fn screen(&mut self, is_blocked: impl Fn(UserId) -> bool) {
        let hides = is_blocked(self.sender_id);
        if hides {
            self.hidden = true;
            self.body = None;
            self.files = Vec::new();
            self.mentions = Vec::new();
        }
        if let Some(quote) = &mut self.reply_to
            && (hides || is_blocked(quote.sender_id))
        {
            quote.excerpt = None;
        }
    }
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

/// What is written around an emoji.
const REACTION_BYTES: usize = 36;

/// How many have reacted to a message with one emoji.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reaction {
    pub emoji: String,
    pub count: i64,
    /// Whether the reader is one of them. In pushes, which all get alike, it is always false.
    #[serde(default)]
    pub me: bool,
}

/// Somebody's reaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReactionBy {
    pub emoji: String,
    pub user: User,
    pub at: Timestamp,
}

/// Different emoji of one message, at the most: one more is refused.
pub const REACTIONS: usize = 20;

/// Of these, one user's own, at the most: so that nobody takes all places alone.
pub const OWN_REACTIONS: i64 = 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(sender: UserId, quoted: UserId) -> Message {
        let quote = Quote {
            message_id: MessageId::new(),
            seq: 2,
            sender_id: quoted,
            excerpt: Some("what was said".to_owned()),
        };
        Message {
            id: MessageId::new(),
            chat_id: ChatId::new(),
            seq: 3,
            sender_id: sender,
            client_id: CommandId::new(),
            body: Some("an answer".to_owned()),
            files: vec![json!({})],
            reply_to: Some(quote),
            thread_root_id: None,
            reply_count: 1,
            mentions: vec![UserId::new()],
            reactions: Vec::new(),
            edited_at: None,
            deleted_at: None,
            created_at: Timestamp::from_unix_millis(0),
            hidden: false,
        }
    }

    #[test]
    fn what_a_blocked_person_wrote_is_hidden_and_what_quotes_them_quotes_nothing() {
        let (ann, bob) = (UserId::new(), UserId::new());
        let shown = answer(ann, bob);
        let seen_by = |blocks: &[UserId]| {
            let mut seen = shown.clone();
            seen.screen(|user| blocks.contains(&user));
            seen
        };
        assert_eq!(seen_by(&[]), shown);
        assert!(serde_json::to_value(&shown).unwrap().get("hidden").is_none());
        let unquoted = seen_by(&[bob]);
        assert_eq!(unquoted.reply_to.as_ref().unwrap().excerpt, None);
        assert_eq!((unquoted.hidden, &unquoted.body), (false, &shown.body));
        let hidden = serde_json::to_value(seen_by(&[ann])).unwrap();
        assert_eq!(hidden["hidden"], true);
        assert_eq!((&hidden["body"], &hidden["files"]), (&json!(null), &json!([])));
        assert_eq!((&hidden["mentions"], &hidden["seq"]), (&json!([]), &json!(3)));
        assert_eq!(hidden["replyTo"]["excerpt"], json!(null));
        assert_eq!(hidden["senderId"], ann.to_string());
    }
}
