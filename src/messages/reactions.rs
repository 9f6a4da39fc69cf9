//! Reactions: which emoji is meant, and who reacted.

use std::collections::HashMap;

use super::Messages;
use crate::error::{Error, Result};
use crate::log::append::Request;
use crate::log::command::Action;
use crate::model::emoji::{self, WORDS};
use crate::model::id::{ChatId, CommandId, MessageId, UserId};
use crate::model::message::ReactionBy;
use crate::model::user::User;
use crate::store::{messages, reactions, users};

impl Messages {
    /// The command that adds a reaction.
    ///
    /// # Errors
    /// `Invalid` where it is neither one emoji nor a word for one.
    pub fn add_reaction(
        &self,
        actor: UserId,
        chat: ChatId,
        message_id: MessageId,
        emoji: &str,
    ) -> Result<Request> {
        let action = Action::AddReaction { message_id, emoji: read(emoji)? };
        Ok(Request { id: CommandId::new(), chat, actor, action })
    }

    /// The command that takes a reaction of the actor's back.
    ///
    /// # Errors
    /// As for adding it.
    pub fn remove_reaction(
        &self,
        actor: UserId,
        chat: ChatId,
        message_id: MessageId,
        emoji: &str,
    ) -> Result<Request> {
        let action = Action::RemoveReaction { message_id, emoji: read(emoji)? };
        Ok(Request { id: CommandId::new(), chat, actor, action })
    }

    /// Who reacted to a message, and with what, the first first; and where the next part begins.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn reactions(
        &self,
        caller: UserId,
        (chat, message): (ChatId, MessageId),
        after: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<ReactionBy>, Option<i64>)> {
        self.check_member(caller, chat).await?;
        let place = messages::place(&self.pool, chat, message).await?;
        let seq = place.ok_or(Error::NotFound("message"))?.seq;
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut rows = reactions::list(&self.pool, chat, seq, after.unwrap_or(0), most).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.seq);
        let ids: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
        let people = users::shown(&self.pool, &ids).await?;
        let people: HashMap<UserId, User> =
            people.into_iter().map(|user| (user.id, user)).collect();
        let shown = rows.into_iter().filter_map(|row| {
            let user = people.get(&row.user_id)?.clone();
            Some(ReactionBy { emoji: row.emoji, user, at: row.created_at.into() })
        });
        Ok((shown.collect(), next))
    }
}

fn read(text: &str) -> Result<String> {
    emoji::read(text).map(str::to_owned).ok_or_else(|| {
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        Error::invalid("emoji", format!("one emoji, or one of {}", words.join(", ")))
    })
}
