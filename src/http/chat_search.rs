//! `/chats/search*`: finding one's own chats.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::chats::show_peers;
use super::extract::ApiQuery;
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::chats::{By, Chats, Found};
use crate::error::Result;
use crate::model::chat::Chat;
use crate::presence::Presence;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChatSearchQuery {
    /// Plain text.
    #[param(min_length = 1, max_length = 64)]
    q: String,
    /// From 1 to 100; 50 where not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `nextCursor` of the part before.
    cursor: Option<String>,
}

/// The caller's groups with all of the words in title or description; first those whose titles begin
/// so.
#[utoipa::path(
    get, path = "/chats/search", tag = "chats",
    params(ChatSearchQuery),
    responses((status = 200, body = Page<Chat>)),
)]
pub async fn by_name(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ChatSearchQuery>,
) -> Result<Json<Page<Chat>>> {
    search(&chats, &presence, caller, By::Name, query).await
}

/// The caller's chats with somebody who is called so, direct chats and groups of up to 200 members;
/// first those whose name begins so.
#[utoipa::path(
    get, path = "/chats/search/users", tag = "chats",
    params(ChatSearchQuery),
    responses((status = 200, body = Page<Chat>)),
)]
pub async fn by_people(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ChatSearchQuery>,
) -> Result<Json<Page<Chat>>> {
    search(&chats, &presence, caller, By::People, query).await
}

async fn search(
    chats: &Chats,
    presence: &Presence,
    caller: Caller,
    by: By,
    ChatSearchQuery { q, limit, cursor }: ChatSearchQuery,
) -> Result<Json<Page<Chat>>> {
    let page = PageQuery { limit, cursor };
    let after = page.position::<AfterFound>()?.map(|AfterFound(found)| found);
    let (items, next) = chats.search(caller.user_id, by, &q, after, page.limit()?).await?;
    let mut page = Page::from_to(items, next.map(AfterFound));
    show_peers(presence, caller, &mut page.items).await;
    Ok(Json(page))
}

/// A place in a search's results.
#[derive(Debug, PartialEq)]
struct AfterFound(Found);

impl fmt::Display for AfterFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.0.rank, self.0.id)
    }
}

impl FromStr for AfterFound {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (rank, id) = text.split_once(',').ok_or(())?;
        let rank = rank.parse().map_err(|_| ())?;
        Ok(Self(Found { rank, id: id.parse().map_err(|_| ())? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::ChatId;

    #[test]
    fn cursors_come_back_as_they_were() {
        let found = AfterFound(Found { rank: 1, id: ChatId::new() });
        assert_eq!(found.to_string().parse(), Ok(found));
        for bad in ["", "1", "x,y", "1,y"] {
            assert!(bad.parse::<AfterFound>().is_err(), "{bad:?}");
        }
    }
}
