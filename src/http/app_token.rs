//! The app's own token, `X-App-Token`, where one is configured. It keeps strangers' clients out, and
//! says nothing of the user.
//!
//! A browser's socket cannot send headers, so for an upgrade the token may also come as the
//! subprotocol `app.<token>`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Config;
use crate::error::Error;

const HEADER: &str = "x-app-token";
const SUBPROTOCOL: &str = "app.";

/// Lets only requests with the app's token pass.
pub async fn check(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let expected = config.auth.app_token.as_ref().map(ExposeSecret::expose_secret);
    if expected.is_none_or(|token| is_given(request.headers(), token)) {
        next.run(request).await
    } else {
        Error::Unauthenticated("the app token is missing or wrong").into_response()
    }
}

fn is_given(headers: &HeaderMap, expected: &str) -> bool {
    let by_header = headers.get(HEADER).map(HeaderValue::as_bytes);
    let by_subprotocol =
        || headers.contains_key(header::UPGRADE).then(|| subprotocol(headers)).flatten();
    by_header.or_else(by_subprotocol).is_some_and(|given| is_same(given, expected.as_bytes()))
}

fn subprotocol(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offer| offer.trim().strip_prefix(SUBPROTOCOL))
        .map(str::as_bytes)
}

/// In constant time, by the hashes, which also hide the length.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given).as_slice().ct_eq(Sha256::digest(expected).as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn comes_by_header_or_by_subprotocol() {
        let upgrade = ("upgrade", "websocket");
        let offers = ("sec-websocket-protocol", "chat.v1, app.secret, bearer.x");
        assert!(is_given(&headers(&[("x-app-token", "secret")]), "secret"));
        assert!(is_given(&headers(&[upgrade, offers]), "secret"));
        let refused: [&[(&'static str, &'static str)]; 4] =
            [&[], &[("x-app-token", "other")], &[offers], &[upgrade]];
        for pairs in refused {
            assert!(!is_given(&headers(pairs), "secret"), "{pairs:?} passed");
        }
    }
}
