//! `/chats/*`: the caller's chats and who is in them.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::Caller;
use crate::chats::{Chats, ListPosition, NewGroup};
use crate::error::Result;
use crate::model::chat::{Chat, Member};
use crate::model::id::{ChatId, UserId};
use crate::presence::Presence;
use crate::protocol::changes::Changes;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateChat {
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    member_ids: Vec<UserId>,
}

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
async fn show_peers(presence: &Presence, caller: Caller, chats: &mut [Chat]) {
    let peers = chats.iter_mut().filter_map(|chat| chat.peer.as_mut());
    presence.show_in(caller.user_id, peers.collect()).await;
}

async fn page_of_chats(
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangesQuery {
    #[serde(default)]
    after_seq: i64,
    limit: Option<i64>,
}

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

fn moment(text: &str) -> Result<OffsetDateTime, ()> {
    let nanos = text.parse().map_err(|_| ())?;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| ())
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
