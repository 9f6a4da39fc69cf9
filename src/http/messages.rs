//! `/chats/{chatId}/messages/*`: the mirror of the socket's events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::log::entry::Answer;
use crate::messages::{Messages, Window};
use crate::model::id::{ChatId, MessageId};
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::protocol::changes::MessagePage;
use crate::protocol::request::NewMessage;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WindowQuery {
    /// Only messages below this `seq`. At most one of the three may be given.
    before: Option<i64>,
    /// Only messages above this `seq`; 0 is the start.
    after: Option<i64>,
    /// Messages on both sides of this `seq`.
    around: Option<i64>,
    /// Messages, at the most; 50 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

/// A page of history, ascending by `seq`; the newest where no place is named.
#[utoipa::path(
    get, path = "/chats/{chatId}/messages", tag = "messages",
    params(("chatId" = ChatId, Path), WindowQuery),
    responses(
        (status = 200, body = MessagePage),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn list(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiQuery(query): ApiQuery<WindowQuery>,
) -> Result<Json<MessagePage>> {
    let WindowQuery { before, after, around, limit } = query;
    let window = Window { before, after, around, limit };
    messages.page(caller.user_id, chat, window).await.map(Json)
}

/// Sends a message: 201 where it is new, 200 where it was sent before with the same `clientId`.
#[utoipa::path(
    post, path = "/chats/{chatId}/messages", tag = "messages",
    params(("chatId" = ChatId, Path)),
    request_body = NewMessage,
    responses(
        (status = 201, body = Message), (status = 200, body = Message),
        (status = 403, description = "one of the two has blocked the other"),
        (status = 404, description = "no chat of the caller's, or the answered message is not in it"),
        (status = 409, description = "the `clientId` was used with other content"),
    ),
)]
pub async fn send(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(new): ApiJson<NewMessage>,
) -> Result<(StatusCode, Json<Message>)> {
    let request = messages.send(caller.user_id, chat, new)?;
    let Answer::Sent { message_id, again, .. } = messages.call(request).await? else {
        return Err(Error::internal("a send was answered as something else"));
    };
    let message = messages.find(caller.user_id, chat, message_id).await?;
    Ok((if again { StatusCode::OK } else { StatusCode::CREATED }, Json(message)))
}

/// A message.
#[utoipa::path(
    get, path = "/chats/{chatId}/messages/{messageId}", tag = "messages",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path)),
    responses(
        (status = 200, body = Message),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn find(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
) -> Result<Json<Message>> {
    messages.find(caller.user_id, chat, message).await.map(Json)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    #[schema(min_length = 1, max_length = 8000)]
    body: String,
}

/// Gives a message of the caller's another text.
#[utoipa::path(
    patch, path = "/chats/{chatId}/messages/{messageId}", tag = "messages",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path)),
    request_body = NewText,
    responses(
        (status = 200, body = Message),
        (status = 403, description = "somebody else's, or blocked"),
        (status = 404, description = "no such message in a chat of the caller's"),
        (status = 409, description = "deleted meanwhile"),
    ),
)]
pub async fn edit(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
    ApiJson(NewText { body }): ApiJson<NewText>,
) -> Result<Json<Message>> {
    let request = messages.edit(caller.user_id, chat, message, body)?;
    messages.call(request).await?;
    messages.find(caller.user_id, chat, message).await.map(Json)
}

/// Deletes a message; it keeps its place.
#[utoipa::path(
    delete, path = "/chats/{chatId}/messages/{messageId}", tag = "messages",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path)),
    responses(
        (status = 204, description = "done"),
        (status = 403, description = "somebody else's, and the role does not suffice"),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn delete(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
) -> Result<StatusCode> {
    messages.call(messages.delete(caller.user_id, chat, message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One version of a message.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    version: i32,
    body: String,
    edited_at: Timestamp,
}

/// The versions of a message, the present one last.
#[utoipa::path(
    get, path = "/chats/{chatId}/messages/{messageId}/edits", tag = "messages",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path), PageQuery),
    responses(
        (status = 200, body = Page<Edit>),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn edits(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Edit>>> {
    let (after, limit) = (query.position::<i32>()?, query.limit()?);
    let (edits, next) = messages.edits(caller.user_id, (chat, message), after, limit).await?;
    let edits = edits.into_iter().map(|edit| Edit {
        version: edit.version,
        body: edit.body,
        edited_at: edit.edited_at.into(),
    });
    Ok(Json(Page::from_to(edits.collect(), next)))
}

/// What answers a message, at any depth, ascending by `seq`.
#[utoipa::path(
    get, path = "/chats/{chatId}/messages/{messageId}/thread", tag = "messages",
    params(("chatId" = ChatId, Path), ("messageId" = MessageId, Path), PageQuery),
    responses(
        (status = 200, body = Page<Message>),
        (status = 404, description = "no such message in a chat of the caller's"),
    ),
)]
pub async fn thread(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Message>>> {
    let (after, limit) = (query.position::<i64>()?, query.limit()?);
    let (items, next) = messages.thread(caller.user_id, (chat, message), after, limit).await?;
    Ok(Json(Page::from_to(items, next)))
}
