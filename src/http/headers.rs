//! What browsers are told about every answer, and which web pages may call.
//!
//! A header that a handler has set itself stays: a page that has to run scripts says so in its own
//! `Content-Security-Policy`, and what may be cached in its own `Cache-Control`.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config;

/// How long a browser may remember what it was allowed; browsers cap it at one or two hours.
const PREFLIGHT_LIFE: Duration = Duration::from_hours(1);

/// What a page may send beside what browsers always allow.
const REQUEST_HEADERS: [&str; 7] = [
    "authorization",
    "content-type",
    "x-app-token",
    "x-request-id",
    "traceparent",
    "range",
    "if-none-match",
];

/// What a page may read beside what browsers always show.
const RESPONSE_HEADERS: [&str; 7] = [
    "x-request-id",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "etag",
    "content-range",
    "content-disposition",
];

/// What keeps browsers from misusing an answer. The defaults are those of an answer that programs
/// read and nobody looks at: no scripts, no frames, no guessing of types, no caching.
#[derive(Clone, Debug)]
pub struct Security {
    /// `Strict-Transport-Security`, where it is configured.
    transport: Option<HeaderValue>,
}

impl Security {
    pub fn new(settings: &config::Node) -> Self {
        let transport = (settings.hsts_max_age > 0).then(|| {
            let text = format!("max-age={}; includeSubDomains", settings.hsts_max_age);
            HeaderValue::from_str(&text).expect("it is plain text")
        });
        Self { transport }
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        let defaults = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        for (name, value) in defaults {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Some(transport) = &self.transport {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, transport.clone());
        }
    }
}

/// Adds them to every answer.
pub async fn secure(State(security): State<Security>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    security.add_to(response.headers_mut());
    response
}

/// Lets pages of the configured origins call, and no others.
///
/// Tokens come in a header that a page has to set itself, never in a cookie, so no credentials are
/// allowed. Preflights are answered here, before any limit: they cost no more than refusing them
/// would, and a refused one would hide from the page that it is over its limit. For the same reason
/// refusals by a limit pass here too: a page may read their `Retry-After`.
pub fn cors(settings: &config::Node) -> CorsLayer {
    let origins = settings.allowed_origins.iter();
    let origins = origins.filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(PREFLIGHT_LIFE)
        .vary([header::ORIGIN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(hsts_max_age: u64, own: &[(HeaderName, &'static str)]) -> HeaderMap {
        let lookup = |name: &str| match name {
            "APP_ENV" => Some("development".to_owned()),
            "DATABASE_URL" | "REDIS_URL" | "JWT_SECRET" => Some("unused".to_owned()),
            "HSTS_MAX_AGE" => Some(hsts_max_age.to_string()),
            _ => None,
        };
        let config = config::Config::from_lookup(&lookup).expect("the settings are good");
        let own = own.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut headers = own.collect();
        Security::new(&config.node).add_to(&mut headers);
        headers
    }

    /// R-DE-12.
    #[test]
    fn a_handlers_own_header_stays() {
        let own = [(header::CONTENT_SECURITY_POLICY, "script-src 'self'")];
        let headers = added(0, &own);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "script-src 'self'");
        assert_eq!(headers.get_all(header::CONTENT_SECURITY_POLICY).iter().count(), 1);
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn transport_security_is_a_setting() {
        let name = header::STRICT_TRANSPORT_SECURITY;
        assert!(!added(0, &[]).contains_key(&name));
        assert_eq!(added(31_536_000, &[])[name], "max-age=31536000; includeSubDomains");
    }
}
