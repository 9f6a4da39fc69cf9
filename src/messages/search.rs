//! Finding messages by what they say.
//!
//! The index only proposes. What is shown has been looked at as it is now: it is there, the caller may
//! read it, and its text has what was asked for. So nobody finds a message by what it said once.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::Messages;
use crate::error::{Error, Result};
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::search::{Highlight, Query};
use crate::store::search::{Filter, Place};
use crate::store::{self, messages, visibility};

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub text: String,
    pub chat: Option<ChatId>,
    pub from: Option<UserId>,
    /// Moments; both exclusive.
    pub after: Option<OffsetDateTime>,
    pub before: Option<OffsetDateTime>,
    pub has_file: bool,
}

/// A message with what fits in its text.
#[derive(Debug)]
pub struct Hit {
    pub message: Message,
    pub highlight: Highlight,
}

/// A page, the newest first, and where the next one begins. It may hold less than was asked for.
#[derive(Debug)]
pub struct Found {
    pub hits: Vec<Hit>,
    pub next: Option<Place>,
}

impl Messages {
    /// Messages with all that is wanted in the caller's present chats. None that are deleted, or
    /// hidden from the caller.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` where the caller is not in the chat that is named; `Unavailable`, also
    /// where the search takes too long.
    pub async fn search(
        &self,
        caller: UserId,
        wanted: Wanted,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found> {
        let query = Query::parse(&wanted.text).map_err(|problem| Error::invalid("q", problem))?;
        let filter = Filter {
            viewer: caller,
            query: &query,
            chat: wanted.chat,
            from: wanted.from,
            after: wanted.after,
            before: wanted.before,
            has_file: wanted.has_file,
        };
        let mut db = store::snapshot(&self.pool).await?;
        let mut places = store::search::find(&mut db, filter, after, limit + 1).await?;
        let goes_on = places.len() > limit;
        places.truncate(limit);
        let next = places.last().copied().filter(|_| goes_on);
        let at: Vec<(ChatId, i64)> =
            places.iter().map(|place| (place.chat_id, place.seq)).collect();
        let mut messages = messages::at(&mut *db, &at).await?;
        visibility::screen(&mut *db, caller, &mut messages).await?;
        db.commit().await?;
        let mut messages: HashMap<(ChatId, i64), Message> =
            messages.into_iter().map(|message| ((message.chat_id, message.seq), message)).collect();
        let found = at.iter().filter_map(|place| messages.remove(place));
        let hits = found.filter_map(|message| hit(&query, message)).collect();
        Ok(Found { hits, next })
    }
}

/// None where the message says something else by now, or nothing to this reader.
fn hit(query: &Query, message: Message) -> Option<Hit> {
    let body = message.body.as_deref()?;
    let highlight = Highlight::of(body, &query.find(body)?);
    Some(Hit { message, highlight })
}
