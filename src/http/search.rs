//! `/messages/search`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::chats::show_peers;
use super::extract::ApiQuery;
use super::page::{Page, PageQuery, moment};
use crate::accounts::Caller;
use crate::chats::Chats;
use crate::error::Result;
use crate::messages::{Found, Hit, Messages, Place, Wanted};
use crate::model::chat::Chat;
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::presence::Presence;
use crate::search::Highlight;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words that must all be in the text, the last one at least its beginning; those between
    /// quotation marks as neighbours. Plain text otherwise, without regard to case, width and accents.
    #[param(min_length = 1, max_length = 200)]
    q: String,
    /// Only in this chat.
    chat_id: Option<ChatId>,
    /// Only by this sender.
    from: Option<UserId>,
    /// Only before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only after this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
    /// Only with a file.
    #[param(inline)]
    has: Option<Has>,
    /// From 1 to 100; 50 where not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `nextCursor` of the part before.
    cursor: Option<String>,
}

/// What a message must have.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Has {
    File,
}

/// A message that was found, the chat that it is in, and what fits in its text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundMessage {
    message: Message,
    chat: Chat,
    highlight: Highlight,
}

/// Messages in the caller's chats, the newest first. A part may hold fewer than `limit`, also where
/// there is a next one.
#[utoipa::path(
    get, path = "/messages/search", tag = "messages",
    params(SearchQuery),
    responses(
        (status = 200, body = Page<FoundMessage>),
        (status = 404, description = "`chatId` is no chat of the caller's"),
    ),
)]
pub async fn messages(
    State(messages): State<Messages>,
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<SearchQuery>,
) -> Result<Json<Page<FoundMessage>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let after = page.position::<AfterFound>()?.map(|AfterFound(place)| place);
    let wanted = Wanted {
        text: query.q,
        chat: query.chat_id,
        from: query.from,
        after: query.after.map(Timestamp::to_datetime),
        before: query.before.map(Timestamp::to_datetime),
        has_file: query.has.is_some(),
    };
    let Found { hits, next } =
        messages.search(caller.user_id, wanted, after, page.limit()?).await?;
    let ids: BTreeSet<ChatId> = hits.iter().map(|hit| hit.message.chat_id).collect();
    let ids: Vec<ChatId> = ids.into_iter().collect();
    let mut shown = chats.some(caller.user_id, &ids).await?;
    show_peers(&presence, caller, &mut shown).await;
    let shown: HashMap<ChatId, Chat> =
        shown.into_iter().map(|chat| (chat.shared.id, chat)).collect();
    // Of a chat that the caller has just left nothing is shown any more.
    let items = hits.into_iter().filter_map(|Hit { message, highlight }| {
        let chat = shown.get(&message.chat_id)?.clone();
        Some(FoundMessage { message, chat, highlight })
    });
    Ok(Json(Page::from_to(items.collect(), next.map(AfterFound))))
}

/// A place among what was found.
#[derive(Debug, PartialEq)]
struct AfterFound(Place);

impl fmt::Display for AfterFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { created_at, chat_id, seq } = self.0;
        write!(f, "{},{chat_id},{seq}", created_at.unix_timestamp_nanos())
    }
}

impl FromStr for AfterFound {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, ',');
        let mut next = || parts.next().ok_or(());
        let created_at = moment(next()?)?;
        let chat_id = next()?.parse().map_err(|_| ())?;
        let seq = next()?.parse().map_err(|_| ())?;
        Ok(Self(Place { created_at, chat_id, seq }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        let created_at = Timestamp::from_unix_millis(1_700_000_000_007).to_datetime();
        let place = Place { created_at, chat_id: ChatId::new(), seq: 7 };
        assert_eq!(AfterFound(place).to_string().parse(), Ok(AfterFound(place)));
        for bad in ["", "1", "1,2,3", "x,y,z"] {
            assert!(bad.parse::<AfterFound>().is_err(), "{bad:?}");
        }
    }
}
