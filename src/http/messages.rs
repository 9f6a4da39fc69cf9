//! `/chats/{chatId}/messages/*`: the mirror of the socket's events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::Page;
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::log::entry::Answer;
use crate::messages::{Messages, Window};
use crate::model::id::{ChatId, MessageId};
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::protocol::changes::MessagePage;
use crate::protocol::request::NewMessage;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowQuery {
    before: Option<i64>,
    after: Option<i64>,
    around: Option<i64>,
    limit: Option<i64>,
}

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

/// 201 where it is new, 200 where it was sent before.
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

pub async fn find(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
) -> Result<Json<Message>> {
    messages.find(caller.user_id, chat, message).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    body: String,
}

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

pub async fn delete(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
) -> Result<StatusCode> {
    messages.call(messages.delete(caller.user_id, chat, message)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One version of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    version: i32,
    body: String,
    edited_at: Timestamp,
}

pub async fn edits(
    State(messages): State<Messages>,
    caller: Caller,
    ApiPath((chat, message)): ApiPath<(ChatId, MessageId)>,
) -> Result<Json<Page<Edit>>> {
    let edits = messages.edits(caller.user_id, chat, message).await?;
    let edits = edits.into_iter().map(|edit| Edit {
        version: edit.version,
        body: edit.body,
        edited_at: edit.edited_at.into(),
    });
    Ok(Json(Page::whole(edits.collect())))
}
