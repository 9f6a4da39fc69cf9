//! `/chats/{chatId}/pin` and `/chats/{chatId}/mute`, and the list of pinned chats.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::chats::{page_of_chats, show_peers};
use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::chats::Chats;
use crate::error::Result;
use crate::model::chat::Chat;
use crate::model::id::ChatId;
use crate::model::time::Timestamp;
use crate::presence::Presence;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pin {
    pinned: bool,
}

/// Pins a chat, or ends that; at most 100 are pinned.
#[utoipa::path(
    patch, path = "/chats/{chatId}/pin", tag = "chats",
    params(("chatId" = ChatId, Path)),
    request_body = Pin,
    responses(
        (status = 200, body = Chat),
        (status = 404, description = "no chat of the caller's"),
        (status = 409, description = "as many are pinned as can be"),
    ),
)]
pub async fn pin(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(Pin { pinned }): ApiJson<Pin>,
) -> Result<Json<Chat>> {
    let mut chat = chats.pin(caller.user_id, chat, pinned).await?;
    show_peers(&presence, caller, std::slice::from_mut(&mut chat)).await;
    Ok(Json(chat))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mute {
    /// In the future, and within 100 years; null ends it.
    #[serde(deserialize_with = "nullable")]
    #[schema(required)]
    until: Option<Timestamp>,
}

/// A field that may be null but not be left out: nobody means to end a mute by forgetting a field.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Option::deserialize(deserializer)
}

/// Mutes a chat until then, or no longer.
#[utoipa::path(
    patch, path = "/chats/{chatId}/mute", tag = "chats",
    params(("chatId" = ChatId, Path)),
    request_body = Mute,
    responses(
        (status = 200, body = Chat),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn mute(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(Mute { until }): ApiJson<Mute>,
) -> Result<Json<Chat>> {
    let mut chat = chats.mute(caller.user_id, chat, until).await?;
    show_peers(&presence, caller, std::slice::from_mut(&mut chat)).await;
    Ok(Json(chat))
}

/// The caller's pinned chats, by last activity.
#[utoipa::path(
    get, path = "/chats/pinned", tag = "chats",
    params(PageQuery),
    responses((status = 200, body = Page<Chat>)),
)]
pub async fn pinned(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Chat>>> {
    let mut page = page_of_chats(&chats, caller, &query, true).await?;
    show_peers(&presence, caller, &mut page.items).await;
    Ok(Json(page))
}
