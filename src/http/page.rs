//! Lists: `?limit=` and `?cursor=` in, `items` and `nextCursor` out.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::{Error, Result};

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 100;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Items of this part, at the most; 50 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// # Errors
    /// `Invalid` where it is not within 1 and 100.
    pub fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            Ok(limit.into())
        } else {
            Err(Error::invalid("limit", format!("from 1 to {MAX_LIMIT}")))
        }
    }

    /// Where to go on, as [`Page::cut`] wrote it.
    ///
    /// # Errors
    /// `Invalid` where the cursor is not one of this list's.
    pub fn position<T: FromStr>(&self) -> Result<Option<T>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let position = text.and_then(|text| text.parse().ok());
        position.map(Some).ok_or_else(|| Error::invalid("cursor", "not a cursor of this list"))
    }
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// For the next part; null at the end.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is always whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// A part that was cut already, and where the next one begins.
    pub fn from_to(items: Vec<T>, next: Option<impl ToString>) -> Self {
        Self { items, next_cursor: next.map(|next| URL_SAFE_NO_PAD.encode(next.to_string())) }
    }

    /// Cuts what was read with a limit of one more, which tells whether there is a next part;
    /// `position` says after which item it begins.
    pub fn cut<P: ToString>(
        mut items: Vec<T>,
        limit: usize,
        position: impl FnOnce(&T) -> P,
    ) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| goes_on);
        let next_cursor = last.map(|item| URL_SAFE_NO_PAD.encode(position(item).to_string()));
        Self { items, next_cursor }
    }
}

/// A moment as cursors hold it: nanoseconds of Unix time, as `unix_timestamp_nanos` gives them.
pub(super) fn moment(text: &str) -> Result<OffsetDateTime, ()> {
    let nanos = text.parse().map_err(|_| ())?;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_and_ends() {
        let page = Page::cut(vec![5, 4, 3], 2, |item| *item);
        assert_eq!(page.items, [5, 4]);
        let next = PageQuery { limit: None, cursor: page.next_cursor };
        assert_eq!(next.position::<u32>().unwrap(), Some(4));
        assert!(Page::cut(vec![3, 2], 2, |item| *item).next_cursor.is_none());
        let odd = PageQuery { limit: Some(0), cursor: Some("%".into()) };
        assert!(odd.limit().is_err() && odd.position::<u32>().is_err());
    }
}
