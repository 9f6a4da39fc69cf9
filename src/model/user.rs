//! People, as others see them and as they see themselves.

use serde::{Deserialize, Serialize};

use super::id::UserId;
use super::time::Timestamp;

/// A person, as any signed-in other may see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub display_name: String,
    pub bio: String,
    #[schema(required)]
    pub avatar_url: Option<String>,
    /// The badge, given by an operator.
    pub verified: bool,
    /// Left out where the asker may not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// The caller, with what is theirs alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    #[serde(flatten)]
    pub user: User,
    pub email: String,
    pub email_verified: bool,
    pub role: Role,
    pub privacy: Privacy,
}

/// News of a person, for all nodes: said once it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PersonChanged {
    /// Their profile; for their own sockets and those of these users.
    Profile { user: Box<User>, to: Vec<UserId> },
    /// Whom they block, or their privacy: whoever may see or hear whom is to be asked anew for each
    /// of these users.
    Visibility { users: Vec<UserId> },
}

/// What an account may do beyond its own affairs; roles within a chat are another thing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[schema(as = AccountRole)]
pub enum Role {
    #[default]
    User,
    Admin,
}

/// Who may see or do what with a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Privacy {
    /// Governs `online` and `lastSeenAt` alike.
    pub last_seen: Audience,
    pub direct_messages: Audience,
    pub group_invites: Audience,
    /// Whether a search finds them.
    pub discoverable: bool,
    /// Whether others are told up to where they have read.
    pub read_receipts: bool,
    /// Whether others are told that they are typing.
    pub typing: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            last_seen: Audience::Everyone,
            direct_messages: Audience::Everyone,
            group_invites: Audience::Everyone,
            discoverable: true,
            read_receipts: true,
            typing: true,
        }
    }
}

/// A contact is somebody with whom one shares a direct chat.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Audience {
    Everyone,
    Contacts,
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_those_of_the_contract() {
        let me = Me {
            user: User {
                id: UserId(uuid::Uuid::nil()),
                username: "ann".into(),
                display_name: "Ann".into(),
                bio: String::new(),
                avatar_url: None,
                verified: false,
                online: None,
                last_seen_at: None,
                created_at: Timestamp::from_unix_millis(0),
            },
            email: "ann@example.org".into(),
            email_verified: false,
            role: Role::User,
            privacy: Privacy::default(),
        };
        let expected = serde_json::json!({
            "id": "00000000-0000-0000-0000-000000000000",
            "username": "ann",
            "displayName": "Ann",
            "bio": "",
            "avatarUrl": null,
            "verified": false,
            "createdAt": "1970-01-01T00:00:00.000Z",
            "email": "ann@example.org",
            "emailVerified": false,
            "role": "user",
            "privacy": {
                "lastSeen": "everyone",
                "directMessages": "everyone",
                "groupInvites": "everyone",
                "discoverable": true,
                "readReceipts": true,
                "typing": true,
            },
        });
        assert_eq!(serde_json::to_value(me).unwrap(), expected);
    }
}
