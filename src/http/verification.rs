//! `/auth/email/verify` and below it: whether an address is its user's.

use axum::extract::State;
use axum::http::StatusCode;

use super::extract::ApiJson;
use crate::accounts::{Accounts, Caller, Client, VerifyEmail};
use crate::error::Result;

/// Verifies an e-mail address by the token of a mail.
#[utoipa::path(
    post,
    path = "/auth/email/verify",
    tag = "auth",
    request_body = VerifyEmail,
    security(()),
    responses(
        (status = 204, description = "The address is verified"),
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

/// Sends another mail to verify the caller's address.
#[utoipa::path(
    post,
    path = "/auth/email/verify/resend",
    tag = "auth",
    responses(
        (status = 202, description = "A mail is on its way, unless the address is verified"),
    ),
)]
pub async fn resend(State(accounts): State<Accounts>, caller: Caller) -> Result<StatusCode> {
    accounts.resend_verification(caller).await?;
    Ok(StatusCode::ACCEPTED)
}
