//! Who a user is, for themselves and for others, and how they want to be met.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::validate::{self, Problems};
use super::{Accounts, Caller};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::user::{Audience, Me, PersonChanged, User};
use crate::store;
use crate::store::users::Edit;

/// People with direct chats who are told of a new profile, at the most: those of the liveliest
/// chats. The others see it when they next read it.
const TOLD: i64 = 5_000;

/// What may be changed of a profile. What is left out stays; `null` is no value of any of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditProfile {
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, min_length = 1, max_length = 64)]
    pub display_name: Option<String>,
    /// An empty one takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, max_length = 500)]
    pub bio: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, pattern = "^[A-Za-z0-9_.-]{3,32}$")]
    pub username: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub privacy: Option<EditPrivacy>,
}

/// Settings that are left out stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditPrivacy {
    /// Who sees `online` and `lastSeenAt`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub last_seen: Option<Audience>,
    /// Who may write directly.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub direct_messages: Option<Audience>,
    /// Who may add to groups.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub group_invites: Option<Audience>,
    /// Whether a search finds them.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub discoverable: Option<bool>,
    /// Whether others are told up to where they have read.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub read_receipts: Option<bool>,
    /// Whether others are told that they are typing.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub typing: Option<bool>,
}

/// A field that may be left out but, where it is there, has a value.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl EditProfile {
    fn check(&self) -> Result<()> {
        let mut problems = Problems::default();
        if let Some(name) = &self.display_name {
            validate::display_name(&mut problems, "displayName", name);
        }
        if let Some(bio) = &self.bio {
            validate::bio(&mut problems, "bio", bio);
        }
        if let Some(name) = &self.username {
            validate::username(&mut problems, "username", name);
        }
        problems.finish()
    }

    fn is_seen_by_others(&self) -> bool {
        self.display_name.is_some() || self.bio.is_some() || self.username.is_some()
    }
}

impl Accounts {
    /// The caller.
    ///
    /// # Errors
    /// `NotFound` where the account is gone.
    pub async fn me(&self, caller: Caller) -> Result<Me> {
        let found = store::users::find(&self.inner.pool, caller.user_id).await?;
        found.ok_or(Error::NotFound("user"))
    }

    /// Anybody, as everybody who is signed in may see them; also in a block with the caller. Who was
    /// deleted is a tombstone: their messages still name them.
    ///
    /// # Errors
    /// `NotFound` where there is no such user.
    pub async fn user(&self, _caller: Caller, id: UserId) -> Result<User> {
        let found = store::users::shown(&self.inner.pool, &[id]).await?;
        found.into_iter().next().ok_or(Error::NotFound("user"))
    }

    /// Changes what is named, all of it or nothing.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` for a username that is taken.
    pub async fn edit_profile(&self, caller: Caller, edit: EditProfile) -> Result<Me> {
        edit.check()?;
        let is_seen = edit.is_seen_by_others();
        let has_privacy = edit.privacy.is_some();
        let id = caller.user_id;
        let privacy = edit.privacy.unwrap_or_default();
        let edit = Edit {
            username: edit.username.as_deref(),
            display_name: edit.display_name.as_deref(),
            bio: edit.bio.as_deref(),
            last_seen: privacy.last_seen,
            direct_messages: privacy.direct_messages,
            group_invites: privacy.group_invites,
            discoverable: privacy.discoverable,
            read_receipts: privacy.read_receipts,
            typing: privacy.typing,
        };
        let mut db = self.inner.pool.begin().await?;
        let me = store::users::edit(&mut *db, id, edit).await?.ok_or(Error::NotFound("user"))?;
        if has_privacy {
            store::visibility::note_change(&mut db, &[id]).await?;
        }
        let mut to = vec![id];
        if is_seen {
            to.extend(store::chats::direct_peers(&mut *db, id, TOLD).await?);
        }
        db.commit().await?;
        if is_seen {
            self.tell(PersonChanged::Profile { user: Box::new(me.user.clone()), to });
        }
        if has_privacy {
            self.tell(PersonChanged::Visibility { users: vec![id] });
        }
        Ok(me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<EditProfile, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// R-AZ-2, F44: absent is not null, and what the server owns is no field at all.
    #[test]
    fn only_what_is_the_users_own_can_be_edited() {
        let edit = read(r#"{"bio": "", "privacy": {"discoverable": false}}"#).unwrap();
        assert_eq!((edit.bio.as_deref(), edit.display_name.as_deref()), (Some(""), None));
        let privacy = edit.privacy.unwrap();
        assert_eq!((privacy.discoverable, privacy.last_seen), (Some(false), None));
        assert!(read("{}").is_ok());
        for field in ["displayName", "bio", "username", "privacy"] {
            assert!(read(&format!(r#"{{"{field}": null}}"#)).is_err(), "{field}");
        }
        for field in [
            "id",
            "email",
            "emailVerified",
            "verified",
            "role",
            "avatarUrl",
            "createdAt",
            "suspendedAt",
            "passwordHash",
            "online",
            "display_name",
        ] {
            let said = read(&format!(r#"{{"{field}": "x"}}"#)).unwrap_err();
            assert!(said.starts_with("unknown field"), "{field}: {said}");
        }
        assert!(read(r#"{"privacy": {"lastSeen": "friends"}}"#).is_err());
        assert!(read(r#"{"privacy": {"discoverable": null}}"#).is_err());
        assert!(read(r#"{"privacy": {"role": "admin"}}"#).is_err());
    }
}
