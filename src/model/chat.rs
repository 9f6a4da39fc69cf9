//! Chats and their members, as the wire shows them.

use serde::{Deserialize, Serialize};

use super::id::{ChatId, UserId};
use super::message::Message;
use super::time::Timestamp;
use super::user::User;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChatKind {
    Direct,
    Group,
}

impl ChatKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Direct, Self::Group].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a member may do, from the least to the most.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChatRole)]
pub enum Role {
    Member,
    Moderator,
    Admin,
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Member, Self::Moderator, Self::Admin, Self::Owner];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The table Role × Action: the one place that says who may do what in a chat.
    pub fn may(self, action: ChatAction) -> bool {
        match action {
            ChatAction::Send
            | ChatAction::React
            | ChatAction::EditOwn
            | ChatAction::DeleteOwn
            | ChatAction::Leave => true,
            ChatAction::DeleteOthers | ChatAction::Invite | ChatAction::Remove => {
                self >= Self::Moderator
            }
            ChatAction::EditChat | ChatAction::AddMembers | ChatAction::GiveRoles => {
                self >= Self::Admin
            }
            ChatAction::DeleteChat | ChatAction::HandOver => self == Self::Owner,
        }
    }
}

/// What somebody does in a chat. Beyond the table above: nobody edits another's text, and whoever
/// acts on another member needs the higher role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatAction {
    Send,
    React,
    EditOwn,
    DeleteOwn,
    Leave,
    DeleteOthers,
    /// Make, list and revoke invite links.
    Invite,
    /// Remove and ban members.
    Remove,
    /// Change title, description and avatar.
    EditChat,
    AddMembers,
    /// Give roles below one's own.
    GiveRoles,
    DeleteChat,
    /// Make another member the owner.
    HandOver,
}

impl ChatAction {
    pub const ALL: [Self; 13] = [
        Self::Send,
        Self::React,
        Self::EditOwn,
        Self::DeleteOwn,
        Self::Leave,
        Self::DeleteOthers,
        Self::Invite,
        Self::Remove,
        Self::EditChat,
        Self::AddMembers,
        Self::GiveRoles,
        Self::DeleteChat,
        Self::HandOver,
    ];
}

/// What all members of a chat see of it alike. Pushes carry this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedChat {
    pub id: ChatId,
    pub kind: ChatKind,
    #[schema(required)]
    pub title: Option<String>,
    #[schema(required)]
    pub description: Option<String>,
    #[schema(required)]
    pub avatar_url: Option<String>,
    pub member_count: i32,
    pub last_seq: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A chat as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    #[serde(flatten)]
    pub shared: SharedChat,
    /// Not among what all see alike: it may be hidden from some.
    #[schema(required)]
    pub last_message: Option<Message>,
    pub role: Role,
    pub read_seq: i64,
    pub unread_count: i64,
    pub pinned: bool,
    #[schema(required)]
    pub muted_until: Option<Timestamp>,
    /// The other one of a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<User>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub user: User,
    pub role: Role,
    pub joined_at: Timestamp,
}

/// Who is in a direct chat: the lower id first, so that a pair has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub low: UserId,
    pub high: UserId,
}

impl Pair {
    /// `None` for somebody with themselves.
    pub fn of(one: UserId, other: UserId) -> Option<Self> {
        (one != other).then(|| Self { low: one.min(other), high: one.max(other) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the contract, cell by cell: member, moderator, admin, owner.
    #[test]
    fn who_may_do_what() {
        use ChatAction as A;
        let expected = |action| match action {
            A::Send | A::React | A::EditOwn | A::DeleteOwn | A::Leave => [true; 4],
            A::DeleteOthers | A::Invite | A::Remove => [false, true, true, true],
            A::EditChat | A::AddMembers | A::GiveRoles => [false, false, true, true],
            A::DeleteChat | A::HandOver => [false, false, false, true],
        };
        for action in ChatAction::ALL {
            let may = Role::ALL.map(|role| role.may(action));
            assert_eq!(may, expected(action), "{action:?}");
        }
    }
}
