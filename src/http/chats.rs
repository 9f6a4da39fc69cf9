//! `/chats/*`: the caller's chats and who is in them.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery, moment};
use crate::accounts::Caller;
use crate::chats::{Chats, GroupPatch, ListPosition, NewGroup};
use crate::error::Result;
use crate::model::chat::{Chat, Member};
use crate::model::id::{ChatId, UserId};
use crate::presence::Presence;
use crate::protocol::changes::Changes;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateChat {
    #[schema(min_length = 1, max_length = 128)]
    title: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: Option<String>,
    #[serde(default)]
    #[schema(max_items = 1000)]
    member_ids: Vec<UserId>,
}

/// Makes a group; the caller owns it.
#[utoipa::path(
    post, path = "/chats", tag = "chats",
    request_body = CreateChat,
    responses(
        (status = 201, body = Chat),
        (status = 403, description = "a member is in a block with the caller, or does not want to be added"),
        (status = 404, description = "a member does not exist"),
    ),
)]
pub async fn create(
    State(chats): State<Chats>,
    caller: Caller,
    ApiJson(request): ApiJson<CreateChat>,
) -> Result<(StatusCode, Json<Chat>)> {
    let CreateChat { title, description, member_ids } = request;
    let group = NewGroup { title, description, members: member_ids };
    let chat = chats.create_group(caller.user_id, group).await?;
    Ok((StatusCode::CREATED, Json(chat)))
}

/// Opens the chat with somebody: 201 where it is made now.
#[utoipa::path(
    post, path = "/chats/direct/{userId}", tag = "chats",
    params(("userId" = UserId, Path)),
    responses(
        (status = 201, body = Chat), (status = 200, body = Chat),
        (status = 403, description = "one of the two has blocked the other, or the other one wants no such chat"),
        (status = 404, description = "no such person"),
    ),
)]
pub async fn open_direct(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiPath(peer): ApiPath<UserId>,
) -> Result<(StatusCode, Json<Chat>)> {
    let (mut chat, made) = chats.open_direct(caller.user_id, peer).await?;
    show_peers(&presence, caller, std::slice::from_mut(&mut chat)).await;
    Ok((if made { StatusCode::CREATED } else { StatusCode::OK }, Json(chat)))
}

/// The caller's chats, pinned first, then by last activity.
#[utoipa::path(
    get, path = "/chats", tag = "chats",
    params(PageQuery),
    responses((status = 200, body = Page<Chat>)),
)]
pub async fn list(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Chat>>> {
    let mut page = page_of_chats(&chats, caller, &query, false).await?;
    show_peers(&presence, caller, &mut page.items).await;
    Ok(Json(page))
}

/// Shows whether the others of direct chats are there, where the caller may see it.
pub(super) async fn show_peers(presence: &Presence, caller: Caller, chats: &mut [Chat]) {
    let peers = chats.iter_mut().filter_map(|chat| chat.peer.as_mut());
    presence.show_in(caller.user_id, peers.collect()).await;
}

pub(super) async fn page_of_chats(
    chats: &Chats,
    caller: Caller,
    query: &PageQuery,
    pinned_only: bool,
) -> Result<Page<Chat>> {
    let after = query.position::<AfterChat>()?.map(|AfterChat(position)| position);
    let limit = query.limit()?;
    let (items, next) = chats.list(caller.user_id, after, pinned_only, limit).await?;
    Ok(Page::from_to(items, next.map(AfterChat)))
}

/// A chat as the caller sees it.
#[utoipa::path(
    get, path = "/chats/{chatId}", tag = "chats",
    params(("chatId" = ChatId, Path)),
    responses((status = 200, body = Chat), (status = 404, description = "no chat of the caller's")),
)]
pub async fn find(
    State(chats): State<Chats>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
) -> Result<Json<Chat>> {
    let mut chat = chats.find(caller.user_id, chat).await?;
    show_peers(&presence, caller, std::slice::from_mut(&mut chat)).await;
    Ok(Json(chat))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateChat {
    #[schema(max_length = 128)]
    title: Option<String>,
    /// An empty one takes it away.
    #[schema(max_length = 2000)]
    description: Option<String>,
}

/// Changes what is named of a group.
#[utoipa::path(
    patch,
    path = "/chats/{chatId}",
    tag = "chats",
    params(("chatId" = ChatId, Path)),
    request_body = UpdateChat,
    responses(
        (status = 200, body = Chat),
        (status = 403, description = "The role does not allow it, or the chat is a direct one"),
        (status = 404, description = "No such chat"),
    )
)]
pub async fn update(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiJson(request): ApiJson<UpdateChat>,
) -> Result<Json<Chat>> {
    let UpdateChat { title, description } = request;
    chats.update(caller.user_id, chat, GroupPatch { title, description }).await.map(Json)
}

/// Ends a group for all.
#[utoipa::path(
    delete,
    path = "/chats/{chatId}",
    tag = "chats",
    params(("chatId" = ChatId, Path)),
    responses(
        (status = 204, description = "Ended, for all"),
        (status = 403, description = "Only the owner may, and only a group"),
        (status = 404, description = "No such chat"),
    )
)]
pub async fn delete(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
) -> Result<StatusCode> {
    chats.delete(caller.user_id, chat).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is in a chat, the first to join first.
#[utoipa::path(
    get, path = "/chats/{chatId}/members", tag = "chats",
    params(("chatId" = ChatId, Path), PageQuery),
    responses(
        (status = 200, body = Page<Member>),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn members(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Member>>> {
    let after = query.position::<AfterMember>()?.map(|AfterMember(at, user)| (at, user));
    let (items, next) = chats.members(caller.user_id, chat, after, query.limit()?).await?;
    Ok(Json(Page::from_to(items, next.map(|(at, user)| AfterMember(at, user)))))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangesQuery {
    /// How far the client knows the chat; from the start where it is not given.
    #[serde(default)]
    after_seq: i64,
    /// Messages, at the most; more than 100 is 100.
    limit: Option<i64>,
}

/// What changed in a chat, as the present state of it.
#[utoipa::path(
    get, path = "/chats/{chatId}/changes", tag = "chats",
    params(("chatId" = ChatId, Path), ChangesQuery),
    responses(
        (status = 200, body = Changes),
        (status = 404, description = "no chat of the caller's"),
    ),
)]
pub async fn changes(
    State(chats): State<Chats>,
    caller: Caller,
    ApiPath(chat): ApiPath<ChatId>,
    ApiQuery(query): ApiQuery<ChangesQuery>,
) -> Result<Json<Changes>> {
    chats.changes(caller.user_id, chat, query.after_seq, query.limit).await.map(Json)
}

/// A place in the chat list, as its cursor holds it.
struct AfterChat(ListPosition);

impl fmt::Display for AfterChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListPosition { pinned, last_activity_at, chat } = self.0;
        write!(f, "{},{},{chat}", u8::from(pinned), last_activity_at.unix_timestamp_nanos())
    }
}

impl FromStr for AfterChat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, ',');
        let mut part = || parts.next().ok_or(());
        let pinned = part()? == "1";
        let last_activity_at = moment(part()?)?;
        let chat = part()?.parse().map_err(|_| ())?;
        Ok(Self(ListPosition { pinned, last_activity_at, chat }))
    }
}

/// A place in a list of members.
struct AfterMember(OffsetDateTime, UserId);

impl fmt::Display for AfterMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.0.unix_timestamp_nanos(), self.1)
    }
}

impl FromStr for AfterMember {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, user) = text.split_once(',').ok_or(())?;
        Ok(Self(moment(at)?, user.parse().map_err(|_| ())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        let position = ListPosition {
            pinned: true,
            last_activity_at: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(),
            chat: ChatId::new(),
        };
        let text = AfterChat(position).to_string();
        assert_eq!(text.parse::<AfterChat>().unwrap().0, position);
        assert!("1,2".parse::<AfterChat>().is_err());
        let user = UserId::new();
        let text = AfterMember(position.last_activity_at, user).to_string();
        let AfterMember(at, same) = text.parse().unwrap();
        assert_eq!((at, same), (position.last_activity_at, user));
    }
}
