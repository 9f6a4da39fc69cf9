//! `/auth/email/verify` and below it: whether an address is its user's.

use axum::extract::State;
use axum::http::StatusCode;

use super::extract::ApiJson;
use crate::accounts::{Accounts, Caller, Client, VerifyEmail};
use crate::error::Result;

#[utoipa::path(
    post,
    path = "/auth/email/verify",
    tag = "auth",
    request_body = VerifyEmail,
    responses(
        (status = 204, description = "The address is verified"),
        (status = 400, description = "`invalid`: not JSON"),
        (status = 413, description = "`tooLarge`"),
        (status = 415, description = "`unsupportedMedia`"),
        (status = 422, description = "`invalid`: the token is no longer good"),
        (status = 429, description = "`rateLimited`"),
        (status = 503, description = "`unavailable`"),
        (status = 504, description = "`timeout`"),
    ),
)]
pub async fn verify(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<VerifyEmail>,
) -> Result<StatusCode> {
    accounts.verify_email(request, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post,
    path = "/auth/email/verify/resend",
    tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 202, description = "A mail is on its way, unless the address is verified"),
        (status = 401, description = "`unauthenticated`"),
        (status = 429, description = "`rateLimited`"),
        (status = 503, description = "`unavailable`"),
        (status = 504, description = "`timeout`"),
    ),
)]
pub async fn resend(State(accounts): State<Accounts>, caller: Caller) -> Result<StatusCode> {
    accounts.resend_verification(caller).await?;
    Ok(StatusCode::ACCEPTED)
}
