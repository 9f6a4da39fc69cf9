//! `/user/*`: the caller, and others.

use axum::Json;
use axum::extract::State;

use super::extract::ApiPath;
use crate::accounts::{Accounts, Caller};
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::{Me, User};
use crate::presence::Presence;

pub async fn profile(State(accounts): State<Accounts>, caller: Caller) -> Result<Json<Me>> {
    accounts.me(caller).await.map(Json)
}

pub async fn user(
    State(accounts): State<Accounts>,
    State(presence): State<Presence>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<Json<User>> {
    let mut user = accounts.user(caller, id).await?;
    presence.show_in(caller.user_id, vec![&mut user]).await;
    Ok(Json(user))
}
