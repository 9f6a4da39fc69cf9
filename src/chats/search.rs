//! Finding one's own chats.

use std::collections::HashMap;

use sqlx::PgTransaction;

use super::{Chats, views};
use crate::error::{Error, Result};
use crate::model::chat::Chat;
use crate::model::id::{ChatId, UserId};
use crate::store::chat_search;
use crate::store::chats::{self, ChatRow};

pub use crate::store::chat_search::Found;

/// Characters of what is searched for.
const QUERY_CHARS: usize = 64;

/// By what a chat is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Its title or description.
    Name,
    /// Who is in it.
    People,
}

impl Chats {
    /// The caller's chats that fit, the best first, behind `after`; and where the next part begins.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable`, also where the search takes too long.
    pub async fn search(
        &self,
        caller: UserId,
        by: By,
        query: &str,
        after: Option<Found>,
        limit: usize,
    ) -> Result<(Vec<Chat>, Option<Found>)> {
        let query = query.trim();
        let chars = query.chars().count();
        if chars == 0 || chars > QUERY_CHARS || query.chars().any(char::is_control) {
            let rule = format!("from 1 to {QUERY_CHARS} characters, no control characters");
            return Err(Error::invalid("q", rule));
        }
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut db = self.pool.begin().await?;
        let mut found = match by {
            By::Name => chat_search::by_name(&mut db, caller, query, after, most).await?,
            By::People => chat_search::by_people(&mut db, caller, query, after, most).await?,
        };
        let goes_on = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| goes_on).copied();
        let ids: Vec<ChatId> = found.into_iter().map(|found| found.id).collect();
        Ok((self.in_order(db, caller, &ids).await?, next))
    }

    async fn in_order(
        &self,
        mut db: PgTransaction<'static>,
        caller: UserId,
        ids: &[ChatId],
    ) -> Result<Vec<Chat>> {
        let rows = chats::some(&mut *db, caller, ids).await?;
        let mut rows: HashMap<ChatId, ChatRow> =
            rows.into_iter().map(|row| (row.id, row)).collect();
        let mut rows: Vec<ChatRow> = ids.iter().filter_map(|id| rows.remove(id)).collect();
        self.receipts.show_in(caller, &mut rows).await;
        let found = views::all(&mut db, caller, rows).await?;
        db.commit().await?;
        Ok(found)
    }
}
