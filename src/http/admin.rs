//! `/admin/*`: the operators' part. For everybody else these paths do not exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::extract::{ApiJson, ApiPath, ApiQuery};
use super::page::{Page, PageQuery, moment};
use crate::accounts::{AccountFilter, Accounts, AuditFilter, Caller, Client, Operator};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::jobs::Jobs;
use crate::model::account::{Account, AuditRow, JobStatus};
use crate::model::id::UserId;
use crate::model::time::Timestamp;

/// Asked for before a body is read, so that nobody else learns what it should look like.
impl<S> FromRequestParts<S> for Operator
where
    S: Send + Sync,
    Accounts: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let client = Client::from_request_parts(parts, state).await?;
        Accounts::from_ref(state).operator(caller, &client).await
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// The beginning of a username or an address, or a whole id.
    #[param(max_length = 254)]
    q: Option<String>,
    suspended: Option<bool>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

/// Accounts, the newest first.
#[utoipa::path(
    get,
    path = "/admin/users",
    tag = "operators",
    params(AccountsQuery),
    responses(
        (status = 200, body = Page<Account>),
        (status = 404, description = "The caller is no operator"),
    )
)]
pub async fn accounts(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiQuery(query): ApiQuery<AccountsQuery>,
) -> Result<Json<Page<Account>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let filter = AccountFilter { query: query.q, suspended: query.suspended };
    let items = accounts.accounts(&operator, &filter, page.position()?, limit + 1).await?;
    Ok(Json(Page::cut(items, limit, |account| account.id)))
}

/// What operators give and take.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAccount {
    /// The badge.
    verified: Option<bool>,
}

/// Gives the badge, or takes it.
#[utoipa::path(
    patch,
    path = "/admin/users/{userId}",
    tag = "operators",
    params(("userId" = UserId, Path)),
    request_body = ChangeAccount,
    responses(
        (status = 200, body = Account),
        (status = 403, description = "The operator has to sign in again"),
        (status = 404, description = "The caller is no operator, or there is no such user"),
    )
)]
pub async fn change(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiPath(user): ApiPath<UserId>,
    ApiJson(request): ApiJson<ChangeAccount>,
) -> Result<Json<Account>> {
    accounts.change_account(&operator, user, request.verified).await.map(Json)
}

/// Why somebody is suspended, for the audit log alone.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Suspends an account: all its sessions end.
#[utoipa::path(
    post,
    path = "/admin/users/{userId}/suspend",
    tag = "operators",
    params(("userId" = UserId, Path)),
    request_body = Suspend,
    responses(
        (status = 200, body = Account),
        (status = 403, description = "An operator, or the caller has to sign in again"),
        (status = 404, description = "The caller is no operator, or there is no such user"),
    )
)]
pub async fn suspend(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiPath(user): ApiPath<UserId>,
    ApiJson(request): ApiJson<Suspend>,
) -> Result<Json<Account>> {
    accounts.suspend(&operator, user, request.reason.as_deref()).await.map(Json)
}

/// Ends a suspension.
#[utoipa::path(
    post,
    path = "/admin/users/{userId}/unsuspend",
    tag = "operators",
    params(("userId" = UserId, Path)),
    responses(
        (status = 200, body = Account),
        (status = 403, description = "An operator, or the caller has to sign in again"),
        (status = 404, description = "The caller is no operator, or there is no such user"),
    )
)]
pub async fn unsuspend(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiPath(user): ApiPath<UserId>,
) -> Result<Json<Account>> {
    accounts.unsuspend(&operator, user).await.map(Json)
}

/// Ends all sessions of an account.
#[utoipa::path(
    delete,
    path = "/admin/users/{userId}/sessions",
    tag = "operators",
    params(("userId" = UserId, Path)),
    responses(
        (status = 204, description = "All their sessions have ended"),
        (status = 403, description = "An operator, or the caller has to sign in again"),
        (status = 404, description = "The caller is no operator, or there is no such user"),
    )
)]
pub async fn end_sessions(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiPath(user): ApiPath<UserId>,
) -> Result<StatusCode> {
    accounts.end_sessions_of(&operator, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Who did it.
    #[param(value_type = Option<Uuid>)]
    actor: Option<UserId>,
    /// The id of what was acted upon.
    subject: Option<String>,
    /// Such as `user.suspend`.
    action: Option<String>,
    /// Later than this.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
    /// Earlier than this.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

/// The audit log, the newest first.
#[utoipa::path(
    get,
    path = "/admin/audit",
    tag = "operators",
    params(AuditQuery),
    responses(
        (status = 200, body = Page<AuditRow>),
        (status = 404, description = "The caller is no operator"),
    )
)]
pub async fn audit(
    State(accounts): State<Accounts>,
    operator: Operator,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<Json<Page<AuditRow>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let behind = page.position::<Place>()?.map(|Place(at, id)| (at, id));
    let filter = AuditFilter {
        actor: query.actor,
        subject: query.subject,
        action: query.action,
        after: query.after.map(Timestamp::to_datetime),
        before: query.before.map(Timestamp::to_datetime),
    };
    let mut rows = accounts.audit_rows(&operator, &filter, behind, limit + 1).await?;
    let goes_on = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| goes_on).map(|((at, id), _)| Place(*at, *id));
    Ok(Json(Page::from_to(rows.into_iter().map(|(_, row)| row).collect(), next)))
}

/// Where a page of the audit log ends: exact, as two rows may share a millisecond.
struct Place(OffsetDateTime, Uuid);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.unix_timestamp_nanos(), self.1)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once(' ').ok_or(())?;
        Ok(Self(moment(at)?, id.parse().map_err(|_| ())?))
    }
}

/// All jobs of the timetable, and how they stand.
#[utoipa::path(
    get,
    path = "/admin/jobs",
    tag = "operators",
    responses(
        (status = 200, body = Page<JobStatus>),
        (status = 404, description = "The caller is no operator"),
    )
)]
pub async fn jobs(State(jobs): State<Jobs>, _operator: Operator) -> Result<Json<Page<JobStatus>>> {
    jobs.status().await.map(|all| Json(Page::whole(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_log_is_exact() {
        let at = time::macros::datetime!(2026-11-23 18:04:13.123456 UTC);
        let Place(read_at, id) = Place(at, Uuid::nil()).to_string().parse().unwrap();
        assert_eq!((read_at, id), (at, Uuid::nil()));
        for odd in ["", "1", "x 00000000-0000-0000-0000-000000000000", "1 x", "9e99 x"] {
            assert!(odd.parse::<Place>().is_err(), "{odd:?}");
        }
    }
}
