//! `/chats/{chatId}/members/*` and leaving.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{ApiJson, ApiPath, ApiQuery};
use crate::accounts::Caller;
use crate::chats::Chats;
use crate::error::Result;
use crate::model::chat::{Member, Role};
use crate::model::id::{ChatId, UserId};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddMembers {
    #[schema(min_items = 1, max_items = 1000)]
    user_ids: Vec<UserId>,
}

/// Those who were named, as they stand now. No page: the call bounds it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    items: Vec<Member>,
    next_cursor: Option<String>,
}

/// Adds people, all of them or none; answers with those who were named.
#[utoipa::path(
    post,
    path = "/chats/{chatId}/members",
    tag = "members",
    params(("chatId" = ChatId, Path)),
    request_body = AddMembers,
    responses(
        (status = 200, body = Added),
        (status = 403, description = "The role does not allow it, or somebody does not want to be added"),
        (status = 404, description = "No such chat, or somebody does not exist"),
        (status = 409, description = "The chat is full"),
    )
)]
pub async fn add(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(request): ApiJson<AddMembers>,
) -> Result<Json<Added>> {
    let items = chats.add_members(caller.user_id, chat, request.user_ids).await?;
    Ok(Json(Added { items, next_cursor: None }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    role: Role,
}

/// Gives a member another role; as `owner` the caller hands over and is an admin then.
#[utoipa::path(
    patch,
    path = "/chats/{chatId}/members/{userId}",
    tag = "members",
    params(("chatId" = ChatId, Path), ("userId" = UserId, Path)),
    request_body = NewRole,
    responses(
        (status = 200, body = Member),
        (status = 403, description = "The caller's role does not allow it"),
        (status = 404, description = "No such chat or member"),
    )
)]
pub async fn change_role(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath((chat, user)): ApiPath<(ChatId, UserId)>,
    ApiJson(request): ApiJson<NewRole>,
) -> Result<Json<Member>> {
    chats.change_role(caller.user_id, chat, user, request.role).await.map(Json)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Whether they stay out until an admin adds them.
    #[serde(default)]
    ban: bool,
}

/// Takes a member out.
#[utoipa::path(
    delete,
    path = "/chats/{chatId}/members/{userId}",
    tag = "members",
    params(("chatId" = ChatId, Path), ("userId" = UserId, Path), RemoveQuery),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "The caller's role does not allow it"),
        (status = 404, description = "No such chat or member"),
    )
)]
pub async fn remove(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath((chat, user)): ApiPath<(ChatId, UserId)>,
    ApiQuery(query): ApiQuery<RemoveQuery>,
) -> Result<StatusCode> {
    chats.remove_member(caller.user_id, chat, user, query.ban).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves; an owner hands over to whoever is longest in the highest role.
#[utoipa::path(
    delete,
    path = "/chats/{chatId}/leave",
    tag = "members",
    params(("chatId" = ChatId, Path)),
    responses(
        (status = 204, description = "Left; an owner has handed over to the longest-serving of the highest role"),
        (status = 403, description = "A direct chat cannot be left"),
        (status = 404, description = "No such chat"),
    )
)]
pub async fn leave(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
) -> Result<StatusCode> {
    chats.leave(caller.user_id, chat).await?;
    Ok(StatusCode::NO_CONTENT)
}
