//! `/auth/password` and below it: a new password, with the old one or without.

use axum::extract::State;
use axum::http::StatusCode;

use super::extract::ApiJson;
use crate::accounts::{Accounts, Caller, ChangePassword, Client, ForgotPassword, ResetPassword};
use crate::error::Result;

#[utoipa::path(
    post,
    path = "/auth/password",
    tag = "auth",
    request_body = ChangePassword,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "It is changed; all other sessions have ended"),
        (status = 400, description = "`invalid`: not JSON"),
        (status = 401, description = "`unauthenticated`"),
        (status = 409, description = "`conflict`: it was changed meanwhile"),
        (status = 413, description = "`tooLarge`"),
        (status = 415, description = "`unsupportedMedia`"),
        (status = 422, description = "`invalid`: the current one is wrong, or the new one may not be chosen"),
        (status = 429, description = "`rateLimited`"),
        (status = 503, description = "`unavailable`"),
        (status = 504, description = "`timeout`"),
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

#[utoipa::path(
    post,
    path = "/auth/password/forgot",
    tag = "auth",
    request_body = ForgotPassword,
    responses(
        (status = 202, description = "If the address is somebody's, a mail is sent to it"),
        (status = 400, description = "`invalid`: not JSON"),
        (status = 413, description = "`tooLarge`"),
        (status = 415, description = "`unsupportedMedia`"),
        (status = 422, description = "`invalid`: not of this form"),
        (status = 429, description = "`rateLimited`"),
        (status = 503, description = "`unavailable`: too many ask at once"),
        (status = 504, description = "`timeout`"),
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

#[utoipa::path(
    post,
    path = "/auth/password/reset",
    tag = "auth",
    request_body = ResetPassword,
    responses(
        (status = 204, description = "It is set; all sessions have ended"),
        (status = 400, description = "`invalid`: not JSON"),
        (status = 413, description = "`tooLarge`"),
        (status = 415, description = "`unsupportedMedia`"),
        (status = 422, description = "`invalid`: the token is no longer good, or the password may not be chosen"),
        (status = 429, description = "`rateLimited`"),
        (status = 503, description = "`unavailable`"),
        (status = 504, description = "`timeout`"),
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
