//! Commands: what somebody wants done in a chat, on its way from an edge to the chat's writer.
//!
//! An `in` entry packs several commands of one partition. They are JSON behind a length each: new
//! fields can come without breaking a node of the version before, and an operator can read them.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::model::chat::Role;
use crate::model::id::{ChatId, CommandId, MessageId, UserId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Repeated with the same id (and actor), it is done once.
    pub id: CommandId,
    pub chat: ChatId,
    pub actor: UserId,
    pub answer_to: AnswerTo,
    pub action: Action,
}

/// Which node waits for the answer, and under which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerTo {
    /// Drawn anew at each start of a node.
    pub node: u64,
    pub request: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Send(Draft),
    Edit {
        message_id: MessageId,
        body: String,
    },
    Delete {
        message_id: MessageId,
    },
    /// `emoji` is in its one form.
    AddReaction {
        message_id: MessageId,
        emoji: String,
    },
    RemoveReaction {
        message_id: MessageId,
        emoji: String,
    },
    CreateGroup {
        title: String,
        description: Option<String>,
        members: Vec<UserId>,
    },
    CreateDirect {
        peer: UserId,
    },
    AddMembers {
        users: Vec<UserId>,
    },
    /// By an invite link.
    Join {
        code: String,
    },
    Leave,
    RemoveMember {
        user: UserId,
        ban: bool,
    },
    ChangeRole {
        user: UserId,
        role: Role,
    },
    /// What is `None` stays as it is; a description of no characters is none.
    UpdateChat {
        title: Option<String>,
        description: Option<String>,
    },
    DeleteChat,
}

impl Action {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::AddReaction { .. } => "add_reaction",
            Self::RemoveReaction { .. } => "remove_reaction",
            Self::CreateGroup { .. } => "create_group",
            Self::CreateDirect { .. } => "create_direct",
            Self::AddMembers { .. } => "add_members",
            Self::Join { .. } => "join",
            Self::Leave => "leave",
            Self::RemoveMember { .. } => "remove_member",
            Self::ChangeRole { .. } => "change_role",
            Self::UpdateChat { .. } => "update_chat",
            Self::DeleteChat => "delete_chat",
        }
    }
}

/// A message to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The id that it gets, unless it is a repetition.
    pub message_id: MessageId,
    pub body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
}

impl Draft {
    /// Tells a repetition from another message under the same client id. Not for secrecy: the two
    /// are the same sender's.
    pub fn content_hash(&self) -> i64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        hasher.update(self.body.as_bytes());
        hasher.update(&[0xff]);
        if let Some(parent) = self.reply_to {
            hasher.update(parent.0.as_bytes());
        }
        for user in &self.mentions {
            hasher.update(user.0.as_bytes());
        }
        hasher.digest().cast_signed()
    }
}

/// Appends `command` to a packed entry.
pub fn pack(into: &mut BytesMut, command: &Command) {
    let start = into.len();
    into.put_u32_le(0);
    serde_json::to_writer(into.writer(), command).expect("a command is plain data");
    let length = u32::try_from(into.len() - start - 4).expect("edges bound a command's size");
    into[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The commands of an entry, in order; a part that cannot be read comes as it is, with the reason.
pub fn unpack(mut entry: Bytes) -> Vec<Result<Command, Unreadable>> {
    let mut commands = Vec::new();
    while !entry.is_empty() {
        let length = entry.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let Some(length) = length.filter(|length| entry.len() >= 4 + length) else {
            commands.push(Err(Unreadable { bytes: entry, reason: "a cut length".into() }));
            break;
        };
        let mut bytes = entry.split_to(4 + length);
        let bytes = bytes.split_off(4);
        commands.push(
            serde_json::from_slice(&bytes)
                .map_err(|error| Unreadable { reason: error.to_string(), bytes }),
        );
    }
    commands
}

/// Bytes in `in` that are no command.
#[derive(Debug)]
pub struct Unreadable {
    pub bytes: Bytes,
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(body: &str) -> Command {
        Command {
            id: CommandId::new(),
            chat: ChatId::new(),
            actor: UserId::new(),
            answer_to: AnswerTo { node: u64::MAX, request: 7 },
            action: Action::Send(Draft {
                message_id: MessageId::new(),
                body: body.to_owned(),
                reply_to: None,
                mentions: vec![],
            }),
        }
    }

    #[test]
    fn packed_commands_come_back_in_order() {
        let sent = [command("eins"), command("\u{1F600}\n\" zwei"), command("")];
        let mut entry = BytesMut::new();
        for command in &sent {
            pack(&mut entry, command);
        }
        let got: Vec<Command> = unpack(entry.freeze()).into_iter().map(Result::unwrap).collect();
        assert_eq!(got, sent);
    }

    #[test]
    fn garbage_is_told_apart_and_does_not_hide_its_neighbours() {
        let mut entry = BytesMut::new();
        pack(&mut entry, &command("before"));
        entry.put_u32_le(3);
        entry.put_slice(b"{x}");
        pack(&mut entry, &command("behind"));
        entry.put_slice(b"\xff\xff");
        let read: Vec<bool> = unpack(entry.freeze()).iter().map(Result::is_ok).collect();
        assert_eq!(read, [true, false, true, false]);
    }

    #[test]
    fn other_content_has_another_hash() {
        let Action::Send(draft) = command("a").action else { unreachable!() };
        let other = Draft { body: "b".into(), ..draft.clone() };
        let answer = Draft { reply_to: Some(MessageId::new()), ..draft.clone() };
        let again = Draft { message_id: MessageId::new(), ..draft.clone() };
        assert_ne!(draft.content_hash(), other.content_hash());
        assert_ne!(draft.content_hash(), answer.content_hash());
        assert_eq!(draft.content_hash(), again.content_hash());
    }
}
