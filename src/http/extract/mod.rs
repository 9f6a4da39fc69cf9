//! What is read from a request, each with typed problems: JSON bodies, paths, queries, who asks, and
//! from where.

mod address;
mod json;

pub use address::client_address;
pub use json::ApiJson;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::accounts::{Accounts, Caller};
use crate::error::{Error, Result};

/// Parts of the path.
#[derive(Clone, Copy, Debug)]
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let (path, message) = match error.into_kind() {
                    ErrorKind::ParseErrorAtKey { key, .. }
                    | ErrorKind::InvalidUtf8InPathParam { key }
                    | ErrorKind::DeserializeError { key, .. } => (key, "not of the right form"),
                    _ => ("path".to_owned(), "not of the right form"),
                };
                Err(Error::invalid(&path, message))
            }
            Err(other) => Err(Error::internal(other)),
        }
    }
}

/// The query.
#[derive(Clone, Copy, Debug)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Query::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            // "Failed to deserialize query string: limit: invalid digit found in string".
            let said = text.split_once(": ").map_or(text.as_str(), |(_, said)| said);
            let (path, message) = said.split_once(": ").unwrap_or(("query", said));
            Error::invalid(path, message)
        })
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Accounts: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        // Found out already where the request was counted for its user.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        let token =
            bearer(&parts.headers).ok_or(Error::Unauthenticated("an access token is required"))?;
        Accounts::from_ref(state).authenticate(token).await
    }
}

/// The token of `Authorization: Bearer`, whose scheme is not sensitive to case. Two headers are
/// none: which of them a proxy has looked at, nobody knows.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
