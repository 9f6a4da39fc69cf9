//! `/user/block/*` and `/user/blocks`: whom the caller does not want to hear of.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use time::OffsetDateTime;

use super::extract::{ApiPath, ApiQuery};
use super::page::{Page, PageQuery, moment};
use crate::accounts::{Accounts, Caller};
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::User;

/// Blocks somebody.
#[utoipa::path(
    post,
    path = "/user/block/{userId}",
    tag = "blocks",
    params(("userId" = UserId, Path, description = "Whom to block")),
    responses(
        (status = 204, description = "Blocked, now or before"),
        (status = 404, description = "there is no such user"),
        (status = 409, description = "10,000 people are blocked already"),
    )
)]
pub async fn block(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiPath(user): ApiPath<UserId>,
) -> Result<StatusCode> {
    accounts.block(caller, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a block.
#[utoipa::path(
    delete,
    path = "/user/block/{userId}",
    tag = "blocks",
    params(("userId" = UserId, Path, description = "Whom to block no more")),
    responses(
        (status = 204, description = "Not blocked, now or before"),
        (status = 404, description = "there is no such user"),
    )
)]
pub async fn unblock(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiPath(user): ApiPath<UserId>,
) -> Result<StatusCode> {
    accounts.unblock(caller, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom the caller blocks, the newest first.
#[utoipa::path(
    get,
    path = "/user/blocks",
    tag = "blocks",
    params(PageQuery),
    responses(
        (status = 200, body = Page<User>),
    )
)]
pub async fn list(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<User>>> {
    let after = query.position::<AfterBlock>()?.map(|AfterBlock(at, user)| (at, user));
    let (items, next) = accounts.blocks(caller, after, query.limit()?).await?;
    Ok(Json(Page::from_to(items, next.map(|(at, user)| AfterBlock(at, user)))))
}

/// A place in the list of blocks.
struct AfterBlock(OffsetDateTime, UserId);

impl fmt::Display for AfterBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.0.unix_timestamp_nanos(), self.1)
    }
}

impl FromStr for AfterBlock {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, user) = text.split_once(',').ok_or(())?;
        Ok(Self(moment(at)?, user.parse().map_err(|_| ())?))
    }
}
