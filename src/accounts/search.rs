//! Finding others by what they are called.

use super::{Accounts, Caller};
use crate::error::{Error, Result};
use crate::model::user::User;
use crate::store;

pub use crate::store::user_search::Place;

/// Characters of what is searched for; a name has no more.
const QUERY_CHARS: usize = 64;

impl Accounts {
    /// Users whose username or display name begins with `query`, then those in whose names something
    /// is like it; and where the next part begins. Never the caller, nor who does not want to be
    /// found, nor who is in a block with the caller; never by an address.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable`, also where the search takes too long.
    pub async fn search(
        &self,
        caller: Caller,
        query: &str,
        after: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<Place>)> {
        let query = query.trim();
        let chars = query.chars().count();
        if chars == 0 || chars > QUERY_CHARS || query.chars().any(char::is_control) {
            let rule = format!("from 1 to {QUERY_CHARS} characters, no control characters");
            return Err(Error::invalid("q", rule));
        }
        let mut db = self.inner.pool.begin().await?;
        let viewer = caller.user_id;
        let mut found = store::user_search::find(&mut db, viewer, query, after, limit + 1).await?;
        let goes_on = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| goes_on).map(|(_, place)| place.clone());
        let ids: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
        let people = store::users::in_order(&mut *db, &ids).await?;
        db.commit().await?;
        Ok((people, next))
    }
}
