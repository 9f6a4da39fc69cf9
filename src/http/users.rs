//! `/user/*`: the caller, and others.

use axum::Json;
use axum::extract::State;

use super::extract::ApiPath;
use crate::accounts::{Accounts, Caller};
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::{Me, User};

/// The caller.
#[utoipa::path(
    get, path = "/user/profile", tag = "users",
    responses((status = 200, body = Me)),
)]
pub async fn profile(State(accounts): State<Accounts>, caller: Caller) -> Result<Json<Me>> {
    accounts.me(caller).await.map(Json)
}

/// Somebody, as the caller may see them.
#[utoipa::path(
    get, path = "/user/{userId}", tag = "users",
    params(("userId" = UserId, Path)),
    responses((status = 200, body = User), (status = 404, description = "no such person")),
)]
pub async fn user(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<Json<User>> {
    accounts.user(caller, id).await.map(Json)
}
