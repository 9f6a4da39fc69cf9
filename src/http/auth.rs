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

pub async fn sign_up(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<SignUp>,
) -> Result<(StatusCode, Json<AuthResult>)> {
    let result = accounts.sign_up(request, &client).await?;
    Ok((StatusCode::CREATED, Json(result)))
}

pub async fn sign_in(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<SignIn>,
) -> Result<Json<AuthResult>> {
    accounts.sign_in(request, &client).await.map(Json)
}

pub async fn refresh(
    State(accounts): State<Accounts>,
    client: Client,
    ApiJson(request): ApiJson<Refresh>,
) -> Result<Json<Tokens>> {
    accounts.refresh(request, &client).await.map(Json)
}

pub async fn logout(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
) -> Result<StatusCode> {
    accounts.sign_out(caller, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn logout_all(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
) -> Result<StatusCode> {
    accounts.sign_out_everywhere(caller, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn sessions(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<Session>>> {
    let limit = query.limit()?;
    let items = accounts.sessions(caller, query.position()?, limit + 1).await?;
    Ok(Json(Page::cut(items, limit, |session| session.id)))
}

pub async fn end_session(
    State(accounts): State<Accounts>,
    caller: Caller,
    client: Client,
    ApiPath(session_id): ApiPath<SessionId>,
) -> Result<StatusCode> {
    accounts.end_session(caller, session_id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn refresh_tokens(
    State(accounts): State<Accounts>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<RefreshToken>>> {
    let limit = query.limit()?;
    let items = accounts.refresh_tokens(caller, query.position()?, limit + 1).await?;
    Ok(Json(Page::cut(items, limit, |token| token.id)))
}
