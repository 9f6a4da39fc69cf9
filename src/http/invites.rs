//! `/chats/{chatId}/invites/*` and `/invites/*`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery, moment};
use crate::accounts::Caller;
use crate::chats::{Chats, Invite, InvitePreview};
use crate::error::Result;
use crate::model::chat::Chat;
use crate::model::id::ChatId;
use crate::model::time::Timestamp;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvite {
    /// Without it the link is good until it is revoked.
    expires_at: Option<Timestamp>,
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_uses: Option<i32>,
}

/// Makes an invite link.
#[utoipa::path(
    post,
    path = "/chats/{chatId}/invites",
    tag = "invites",
    params(("chatId" = ChatId, Path)),
    request_body = NewInvite,
    responses(
        (status = 201, body = Invite),
        (status = 403, description = "The role does not allow it"),
        (status = 404, description = "No such chat"),
        (status = 409, description = "The chat has as many invites as it can"),
    )
)]
pub async fn create(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(request): ApiJson<NewInvite>,
) -> Result<(StatusCode, Json<Invite>)> {
    let NewInvite { expires_at, max_uses } = request;
    let invite = chats.create_invite(caller.user_id, chat, expires_at, max_uses).await?;
    Ok((StatusCode::CREATED, Json(invite)))
}

/// The usable invites of a chat, the newest first.
#[utoipa::path(
    get,
    path = "/chats/{chatId}/invites",
    tag = "invites",
    params(("chatId" = ChatId, Path), PageQuery),
    responses(
        (status = 200, body = Page<Invite>),
        (status = 403, description = "The role does not allow it"),
        (status = 404, description = "No such chat"),
    )
)]
pub async fn list(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Invite>>> {
    let before = query.position::<Before>()?.map(|Before(at)| at);
    let (items, next) = chats.invites(caller.user_id, chat, before, query.limit()?).await?;
    Ok(Json(Page::from_to(items, next.map(Before))))
}

/// Ends an invite link.
#[utoipa::path(
    delete,
    path = "/chats/{chatId}/invites/{code}",
    tag = "invites",
    params(("chatId" = ChatId, Path), ("code" = String, Path)),
    responses(
        (status = 204, description = "Revoked"),
        (status = 403, description = "The role does not allow it"),
        (status = 404, description = "No such chat or invite"),
    )
)]
pub async fn revoke(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath((chat, code)): ApiPath<(ChatId, String)>,
) -> Result<StatusCode> {
    chats.revoke_invite(caller.user_id, chat, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is behind an invite link.
#[utoipa::path(
    get,
    path = "/invites/{code}",
    tag = "invites",
    params(("code" = String, Path)),
    responses(
        (status = 200, body = InvitePreview),
        (status = 404, description = "Revoked, expired, used up, or never made"),
    )
)]
pub async fn preview(
    State(chats): State<Chats>,
    _caller: Caller,
    ApiPath(code): ApiPath<String>,
) -> Result<Json<InvitePreview>> {
    chats.preview(&code).await.map(Json)
}

/// Joins by an invite link.
#[utoipa::path(
    post,
    path = "/invites/{code}/join",
    tag = "invites",
    params(("code" = String, Path)),
    responses(
        (status = 200, body = Chat),
        (status = 403, description = "The caller was banned from it"),
        (status = 404, description = "Revoked, expired, used up, or never made"),
        (status = 409, description = "The chat is full"),
    )
)]
pub async fn join(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(code): ApiPath<String>,
) -> Result<Json<Chat>> {
    chats.join_by_invite(caller.user_id, &code).await.map(Json)
}

/// A place in the list of invites, as its cursor holds it.
struct Before(OffsetDateTime);

impl std::fmt::Display for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.unix_timestamp_nanos().fmt(f)
    }
}

impl std::str::FromStr for Before {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        moment(text).map(Self)
    }
}
