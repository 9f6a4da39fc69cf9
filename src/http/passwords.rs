//! `/auth/password` and below it: a new password, with the old one or without.

use axum::extract::State;
use axum::http::StatusCode;

use super::extract::ApiJson;
use crate::accounts::{Accounts, Caller, ChangePassword, Client, ForgotPassword, ResetPassword};
use crate::error::Result;

/// Changes the caller's password; all other sessions end.
#[utoipa::path(
    post,
    path = "/auth/password",
    tag = "auth",
    request_body = ChangePassword,
    responses(
        (status = 204, description = "It is changed; all other sessions have ended"),
        (status = 409, description = "`conflict`: it was changed meanwhile"),
    ),
)]
pub async fn change(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
    ApiJson(request): ApiJson<ChangePassword>,
) -> Result<StatusCode> {
    accounts.change_password(caller, request, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a mail by which a forgotten password can be set anew.
#[utoipa::path(
    post,
    path = "/auth/password/forgot",
    tag = "auth",
    request_body = ForgotPassword,
    security(()),
    responses(
        (status = 202, description = "If the address is somebody's, a mail is sent to it"),
    ),
)]
pub async fn forgot(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<ForgotPassword>,
) -> Result<StatusCode> {
    accounts.forgot_password(request, client)?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a forgotten password by the token of a mail; all sessions end.
#[utoipa::path(
    post,
    path = "/auth/password/reset",
    tag = "auth",
    request_body = ResetPassword,
    security(()),
    responses(
        (status = 204, description = "It is set; all sessions have ended"),
    ),
)]
pub async fn reset(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<ResetPassword>,
) -> Result<StatusCode> {
    accounts.reset_password(request, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
