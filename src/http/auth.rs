//! `/auth/*`: from sign-up to sign-out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery};
use crate::accounts::{Accounts, AuthResult, Caller, Client, Refresh, SignIn, SignUp, Tokens};
use crate::error::Result;
use crate::model::id::SessionId;
use crate::model::session::{RefreshToken, Session};

/// Makes an account, signed in at once.
#[utoipa::path(
    post, path = "/auth/signup", tag = "auth",
    security(()),
    request_body = SignUp,
    responses(
        (status = 201, body = AuthResult),
        (status = 409, description = "the username or the address is taken"),
    ),
)]
pub async fn sign_up(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<SignUp>,
) -> Result<(StatusCode, Json<AuthResult>)> {
    let result = accounts.sign_up(request, &client).await?;
    Ok((StatusCode::CREATED, Json(result)))
}

/// Opens a session. Whatever of the two was wrong, the answer is the same.
#[utoipa::path(
    post, path = "/auth/signin", tag = "auth",
    security(()),
    request_body = SignIn,
    responses(
        (status = 200, body = AuthResult),
        (status = 401, description = "the login or the password is wrong"),
    ),
)]
pub async fn sign_in(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<SignIn>,
) -> Result<Json<AuthResult>> {
    accounts.sign_in(request, &client).await.map(Json)
}

/// Gives a new pair of tokens for a refresh token, which is used once.
///
/// The same device that asks again within 10 s gets the same successor; any other second use
/// ends the session.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth",
    security(()),
    request_body = Refresh,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "the token is not good, or was used before"),
    ),
)]
pub async fn refresh(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<Refresh>,
) -> Result<Json<Tokens>> {
    accounts.refresh(request, &client).await.map(Json)
}

/// Ends the session that asks.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth",
    responses((status = 204, description = "done")),
)]
pub async fn logout(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
) -> Result<StatusCode> {
    accounts.sign_out(caller, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of the caller.
#[utoipa::path(
    post, path = "/auth/logout-all", tag = "auth",
    responses((status = 204, description = "done")),
)]
pub async fn logout_all(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
) -> Result<StatusCode> {
    accounts.sign_out_everywhere(caller, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's sessions, newest first.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth",
    params(PageQuery),
    responses((status = 200, body = Page<Session>)),
)]
pub async fn sessions(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Session>>> {
    let limit = query.limit()?;
    let items = accounts.sessions(caller, query.position()?, limit + 1).await?;
    Ok(Json(Page::cut(items, limit, |session| session.id)))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/auth/sessions/{sessionId}", tag = "auth",
    params(("sessionId" = SessionId, Path)),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no session of the caller's, or over already"),
    ),
)]
pub async fn end_session(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
    ApiPath(session_id): ApiPath<SessionId>,
) -> Result<StatusCode> {
    accounts.end_session(caller, session_id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's refresh tokens, never the tokens themselves.
#[utoipa::path(
    get, path = "/auth/refresh-tokens", tag = "auth",
    params(PageQuery),
    responses((status = 200, body = Page<RefreshToken>)),
)]
pub async fn refresh_tokens(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<RefreshToken>>> {
    let limit = query.limit()?;
    let items = accounts.refresh_tokens(caller, query.position()?, limit + 1).await?;
    Ok(Json(Page::cut(items, limit, |token| token.id)))
}
