//! What members do to a chat for themselves alone: records in Postgres. Their other sockets are told.

use time::Duration;

use super::Chats;
use crate::error::{Error, Result};
use crate::model::chat::Chat;
use crate::model::id::{ChatId, UserId};
use crate::model::time::Timestamp;
use crate::store::pins::{self, Pinned};

/// Chats that one user pins; one more is refused as `conflict`.
const MOST_PINNED: i64 = 100;

/// How long a chat may be muted: whoever means for ever says that much.
const LONGEST_MUTE: Duration = Duration::days(36_525);

impl Chats {
    /// Pins a chat, or ends that.
    ///
    /// # Errors
    /// `NotFound` where the caller is not in it; `Conflict` where as many are pinned as can be.
    pub async fn pin(&self, caller: UserId, chat: ChatId, pinned: bool) -> Result<Chat> {
        let outcome = if pinned {
            pins::pin(&self.pool, caller, chat, MOST_PINNED).await?
        } else if pins::unpin(&self.pool, caller, chat).await? {
            Pinned::Done
        } else {
            Pinned::Nowhere
        };
        match outcome {
            Pinned::Done => self.changed_for(caller, chat).await,
            Pinned::Nowhere => Err(Error::NotFound("chat")),
            Pinned::TooMany => Err(Error::Conflict("as many chats are pinned as can be")),
        }
    }

    /// Mutes a chat until then; `None` ends that.
    ///
    /// # Errors
    /// `Invalid` for a moment that is past, or absurd; `NotFound` where the caller is not in it.
    pub async fn mute(
        &self,
        caller: UserId,
        chat: ChatId,
        until: Option<Timestamp>,
    ) -> Result<Chat> {
        let now = Timestamp::now();
        let latest = Timestamp::from(now.to_datetime() + LONGEST_MUTE);
        if until.is_some_and(|until| until <= now || until > latest) {
            return Err(Error::invalid("until", "in the future, and within 100 years"));
        }
        let until = until.map(Timestamp::to_datetime);
        if !pins::mute(&self.pool, caller, chat, until).await? {
            return Err(Error::NotFound("chat"));
        }
        self.changed_for(caller, chat).await
    }

    async fn changed_for(&self, caller: UserId, chat: ChatId) -> Result<Chat> {
        self.receipts.state_changed(chat, caller).await;
        self.find(caller, chat).await
    }
}
