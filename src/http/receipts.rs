//! `/chats/{chatId}/read` and `/chats/{chatId}/receipts`: up to where somebody has read.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::chats::Chats;
use crate::error::Result;
use crate::model::id::{ChatId, UserId};
use crate::protocol::changes::{Marked, Receipt};
use crate::receipts::{Mark, Receipts};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadUpTo {
    /// To the newest where it is not given; beyond the newest it is the newest.
    #[serde(default)]
    #[schema(minimum = 0)]
    seq: Option<i64>,
}

/// Marks a chat as read up to an event. A lower mark than there is changes nothing.
#[utoipa::path(
    patch, path = "/chats/{chatId}/read", tag = "receipts",
    params(("chatId" = ChatId, Path)),
    request_body = ReadUpTo,
    responses(
        (status = 200, body = Marked, description = "how it stands then"),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn mark(
    State(receipts): State<Receipts>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(ReadUpTo { seq }): ApiJson<ReadUpTo>,
) -> Result<Json<Marked>> {
    let mark = Mark { chat, user: caller.user_id, seq, from: None };
    receipts.mark(mark).await.map(Json)
}

/// Up to where members have read, those who have read anything and let the caller know. A part may
/// be shorter than asked for, or empty, and go on all the same.
#[utoipa::path(
    get, path = "/chats/{chatId}/receipts", tag = "receipts",
    params(("chatId" = ChatId, Path), PageQuery),
    responses(
        (status = 200, body = Page<Receipt>),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn list(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Receipt>>> {
    let after = query.position::<UserId>()?;
    let (items, next) = chats.receipts(caller.user_id, chat, after, query.limit()?).await?;
    Ok(Json(Page::from_to(items, next)))
}
