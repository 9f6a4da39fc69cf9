//! `/user/presence`: who is online, of those named.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::extract::ApiQuery;
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::presence::UserPresence;
use crate::presence::{Presence, distinct};

/// Users of one call.
const MOST_IDS: usize = 100;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PresenceQuery {
    /// From 1 to 100 ids of users, separated by commas.
    ids: String,
}

impl PresenceQuery {
    fn users(&self) -> Result<Vec<UserId>> {
        let rule = || Error::invalid("ids", format!("from 1 to {MOST_IDS} ids, comma-separated"));
        let ids: Vec<&str> = self.ids.split(',').take(MOST_IDS + 1).collect();
        if ids.len() > MOST_IDS {
            return Err(rule());
        }
        let users: Vec<UserId> =
            ids.into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|_| rule())?;
        Ok(distinct(&users))
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Presences {
    items: Vec<UserPresence>,
}

/// Who of these is online: each once, in the order that they were named in. Who does not exist, was
/// never seen, or is not for the caller to see is offline and was never seen.
#[utoipa::path(
    get,
    path = "/user/presence",
    tag = "presence",
    params(PresenceQuery),
    responses((status = 200, body = Presences)),
)]
pub async fn list(
    State(presence): State<Presence>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PresenceQuery>,
) -> Result<Json<Presences>> {
    let items = presence.of(caller.user_id, &query.users()?).await?;
    Ok(Json(Presences { items }))
}
