//! Threads: what answers a message.

use super::{Messages, cut};
use crate::error::{Error, Result};
use crate::model::id::{ChatId, MessageId, UserId};
use crate::model::message::Message;
use crate::store::{messages, visibility};

impl Messages {
    /// What answers a message, at any depth, ascending; and where the next part begins. Deleted
    /// answers keep their place, as everywhere.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn thread(
        &self,
        caller: UserId,
        (chat, message): (ChatId, MessageId),
        after: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Message>, Option<i64>)> {
        self.check_member(caller, chat).await?;
        let place = messages::place(&self.pool, chat, message).await?;
        let place = place.ok_or(Error::NotFound("message"))?;
        let (db, after) = (&self.pool, after.unwrap_or(0));
        let limit = i64::try_from(limit).unwrap_or(100);
        let found = if place.is_answer {
            messages::answers_to_answer(db, chat, place.seq, after, limit + 1).await?
        } else {
            messages::answers_to_root(db, chat, message, after, limit + 1).await?
        };
        let (mut items, more) = cut(found, limit);
        let next = items.last().filter(|_| more).map(|message| message.seq);
        visibility::screen(db, caller, &mut items).await?;
        Ok((items, next))
    }
}
