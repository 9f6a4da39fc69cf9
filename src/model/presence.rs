//! Whether somebody is there, and when they were last.

use serde::Serialize;

use super::id::UserId;
use super::time::Timestamp;

/// A user's presence, as one viewer may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserPresence {
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    pub online: bool,
    /// When they last came or went, as far as is known. Null for who was never seen, and for whom
    /// the viewer may not see.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Timestamp>,
}

impl UserPresence {
    /// What is shown of somebody who does not exist, was never seen, has blocked the viewer or was
    /// blocked by them, or shows themselves to others only: one and the same.
    pub fn hidden(user_id: UserId) -> Self {
        Self { user_id, online: false, last_seen_at: None }
    }
}
