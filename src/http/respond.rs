//! How errors look on the wire: RFC 9457 problem documents.
//!
//! An internal error is logged here, once, with all its causes; the client sees an id to quote and
//! nothing of what is inside.

use std::error::Error as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::middleware;
use crate::error::{Error, FieldError};

const CONTENT_TYPE: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));

/// A problem document. `type` is a relative reference into this service's own documentation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// What clients branch on.
    code: &'static str,
    #[schema(required)]
    request_id: Option<String>,
    /// Where the input is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::Internal(_) = &self {
            tracing::error!(error = causes(&self), "a request failed");
        }
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        if let Self::Unauthenticated(_) = &self {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let (code, detail) = (self.code(), self.message());
        let (detail, errors) = match self {
            Self::Invalid(fields) => ("some fields are not valid".to_owned(), Some(fields)),
            _ => (detail, None),
        };
        problem(status, code, detail, errors, headers)
    }
}

/// No route has this path.
pub async fn no_route() -> Error {
    Error::NotFound("route")
}

/// The path exists, but not for this method; axum adds `Allow`.
pub async fn no_method() -> Response {
    let detail = "this path has no such method".to_owned();
    problem(StatusCode::METHOD_NOT_ALLOWED, "invalid", detail, None, HeaderMap::new())
}

/// Seconds for `Retry-After`, rounded up: a client that waits them is not too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn problem(
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Option<Vec<FieldError>>,
    headers: HeaderMap,
) -> Response {
    let problem = Problem {
        kind: format!("/docs/problems#{code}"),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        code,
        request_id: middleware::request_id(),
        errors,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (status, [CONTENT_TYPE], headers, body).into_response()
}

/// An error and what caused it, in one line.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up() {
        let cases = [(0, 0), (1, 1), (500, 1), (1_000, 1), (1_001, 2)];
        for (millis, seconds) in cases {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    /// R-AD-3.
    #[tokio::test]
    async fn an_internal_error_shows_nothing_of_the_inside() {
        let response = Error::internal("password of the database").into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "internal");
        assert!(!problem.to_string().contains("password"), "{problem}");
    }
}
