//! `/user` itself: taking all that is held on oneself along, and the end of the account.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::extract::ApiJson;
use crate::accounts::{Accounts, Caller, Client, DeleteAccount};
use crate::chats::Chats;
use crate::error::{Error, Result};

/// All that is held on the caller, as a ZIP of JSON.
#[utoipa::path(
    get,
    path = "/user/export",
    tag = "users",
    responses(
        (status = 200, description = "The archive", content_type = "application/zip"),
    )
)]
pub async fn export(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
) -> Result<Response> {
    let export = accounts.export(caller, &client).await?;
    // A username has nothing that would need quoting.
    let disposition = format!("attachment; filename=\"{}\"", export.file_name);
    let disposition = HeaderValue::from_str(&disposition).map_err(Error::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(export.body)).into_response())
}

/// Deletes the caller's account, for good.
#[utoipa::path(
    delete,
    path = "/user",
    tag = "users",
    request_body = DeleteAccount,
    responses(
        (status = 204, description = "It is deleted, and all its sessions have ended"),
        (status = 403, description = "The password is wrong"),
        (status = 409, description = "The last operator cannot go"),
    )
)]
pub async fn delete(
    State(accounts): State<Accounts>,
    State(chats): State<Chats>,
    caller: Caller,
    client: Client,
    ApiJson(request): ApiJson<DeleteAccount>,
) -> Result<StatusCode> {
    accounts.delete_account(caller, request, &client).await?;
    // Behind it, since it may be refused. Whatever comes of this, the account is gone.
    if let Err(error) = chats.leave_all(caller.user_id).await {
        tracing::warn!(%error, user.id = %caller.user_id, "a deleted user did not leave all groups");
    }
    Ok(StatusCode::NO_CONTENT)
}
