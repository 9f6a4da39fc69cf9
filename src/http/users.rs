//! `/user/*`: the caller, and others.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::{Accounts, Caller, EditProfile, Place};
use crate::error::Result;
use crate::model::id::UserId;
use crate::model::user::{Me, User};
use crate::presence::Presence;

/// The caller.
#[utoipa::path(
    get, path = "/user/profile", tag = "users",
    responses((status = 200, body = Me)),
)]
pub async fn profile(State(accounts): State<Accounts>, caller: Caller) -> Result<Json<Me>> {
    accounts.me(caller).await.map(Json)
}

/// Changes what is named of the caller's profile, all of it or nothing.
#[utoipa::path(
    patch,
    path = "/user/profile",
    tag = "users",
    request_body = EditProfile,
    responses(
        (status = 200, body = Me),
        (status = 409, description = "the username is taken"),
    )
)]
pub async fn edit_profile(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiJson(edit): ApiJson<EditProfile>,
) -> Result<Json<Me>> {
    accounts.edit_profile(caller, edit).await.map(Json)
}

/// Somebody, as the caller may see them.
#[utoipa::path(
    get, path = "/user/{userId}", tag = "users",
    params(("userId" = UserId, Path)),
    responses((status = 200, body = User), (status = 404, description = "no such person")),
)]
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// What a username or display name begins with, or is like; plain text.
    #[param(min_length = 1, max_length = 64)]
    q: String,
    /// From 1 to 100; 50 where not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `nextCursor` of the part before.
    cursor: Option<String>,
}

/// Users whose names begin so, then those whose names are alike.
#[utoipa::path(
    get,
    path = "/user/search",
    tag = "users",
    params(SearchQuery),
    responses(
        (status = 200, body = Page<User>),
    )
)]
pub async fn search(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(SearchQuery { q, limit, cursor }): ApiQuery<SearchQuery>,
) -> Result<Json<Page<User>>> {
    let page = PageQuery { limit, cursor };
    let after = page.position::<AfterUser>()?.map(|AfterUser(place)| place);
    let (items, next) = accounts.search(caller, &q, after, page.limit()?).await?;
    Ok(Json(Page::from_to(items, next.map(AfterUser))))
}

/// A place in a search's results.
#[derive(Debug, PartialEq)]
struct AfterUser(Place);

impl fmt::Display for AfterUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Username(name) => write!(f, "u,{name}"),
            Place::Name(name, user) => write!(f, "n,{user},{name}"),
            Place::Likeness(likeness, user) => write!(f, "l,{user},{likeness}"),
        }
    }
}

impl FromStr for AfterUser {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, rest) = text.split_once(',').ok_or(())?;
        if text.contains('\0') {
            return Err(());
        }
        if kind == "u" {
            return Ok(Self(Place::Username(rest.to_owned())));
        }
        let (user, rest) = rest.split_once(',').ok_or(())?;
        let user = user.parse().map_err(|_| ())?;
        match kind {
            "n" => Ok(Self(Place::Name(rest.to_owned(), user))),
            "l" => {
                let likeness: f32 = rest.parse().map_err(|_| ())?;
                likeness.is_finite().then_some(Self(Place::Likeness(likeness, user))).ok_or(())
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_were() {
        let user = UserId::new();
        for place in [
            Place::Username("ann".to_owned()),
            Place::Name("ann, the, second".to_owned(), user),
            Place::Likeness(2.0 / 3.0, user),
        ] {
            let text = AfterUser(place.clone()).to_string();
            assert_eq!(text.parse(), Ok(AfterUser(place)));
        }
        for bad in ["", "u", "x,1", "n,1,2", "l,,0.5", "u,a\0b", &format!("l,{user},NaN")] {
            assert!(bad.parse::<AfterUser>().is_err(), "{bad:?}");
        }
    }
}
