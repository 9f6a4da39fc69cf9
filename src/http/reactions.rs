//! `/chats/{chatId}/messages/{messageId}/reactions/*`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::error::Result;
use crate::messages::Messages;
use crate::model::id::{ChatId, MessageId};
use crate::model::message::ReactionBy;

/// Reacts to a message, with one emoji or a word for one; where it is so already, nothing changes.
#[utoipa::path(
    put, path = "/chats/{chatId}/messages/{messageId}/reactions/{emoji}", tag = "reactions",
    params(
        ("chatId" = ChatId, Path),
        ("messageId" = MessageId, Path),
        ("emoji" = String, Path, max_length = 64, description = "One emoji, percent-encoded, or a word for one"),
    ),
    responses(
        (status = 204, description = "it is so"),
        (status = 403, description = "a direct chat that is closed to the caller"),
        (status = 404, description = "no such message in a chat of the caller's"),
        (status = 409, description = "the message is deleted, or has all the reactions that it can have"),
    ),
)]
pub async fn add(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message, emoji)): ApiPath<(ChatId, MessageId, String)>,
) -> Result<StatusCode> {
    messages.call(messages.add_reaction(caller.user_id, chat, message, &emoji)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a reaction of the caller's back; where there is none, nothing changes.
#[utoipa::path(
    delete, path = "/chats/{chatId}/messages/{messageId}/reactions/{emoji}", tag = "reactions",
    params(
        ("chatId" = ChatId, Path),
        ("messageId" = MessageId, Path),
        ("emoji" = String, Path, max_length = 64, description = "One emoji, percent-encoded, or a word for one"),
    ),
    responses(
        (status = 204, description = "it is so"),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn remove(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message, emoji)): ApiPath<(ChatId, MessageId, String)>,
) -> Result<StatusCode> {
    messages.call(messages.remove_reaction(caller.user_id, chat, message, &emoji)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who reacted to a message, the first first.
#[utoipa::path(
    get, path = "/chats/{chatId}/messages/{messageId}/reactions", tag = "reactions",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path), PageQuery),
    responses(
        (status = 200, body = Page<ReactionBy>),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn list(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<ReactionBy>>> {
    let (after, limit) = (query.position::<i64>()?, query.limit()?);
    let (items, next) = messages.reactions(caller.user_id, (chat, message), after, limit).await?;
    Ok(Json(Page::from_to(items, next)))
}
