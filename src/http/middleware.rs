//! What every request passes: its id and span, catching of panics, and a time limit.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::Error;
use crate::metrics::{Answered, Metrics};

/// From the request's arrival to its answer's head.
const TIME_LIMIT: Duration = Duration::from_secs(30);
const MAX_REQUEST_ID: usize = 128;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    /// Lets a problem document name the request wherever it is made.
    static CURRENT: HeaderValue;
}

/// The id of the request that this task is answering.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|id| id.to_str().ok().map(str::to_owned)).ok().flatten()
}

/// Gives the request an id and a span, and its answer the same id.
pub async fn context(request: Request, next: Next) -> Response {
    let id = given_id(request.headers()).unwrap_or_else(new_id);
    let span = span_of(&request, &id);
    let began = Instant::now();
    let answering = async {
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(http.status = status, duration_ms, "answered");
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response
    };
    CURRENT.scope(id.clone(), answering.instrument(span)).await
}

fn span_of(request: &Request, id: &HeaderValue) -> tracing::Span {
    // The route, not the path: a path holds ids, and nobody can group by those.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.route = route,
        request.id = id.to_str().unwrap_or_default(),
        trace.id = trace_id(request.headers()),
    )
}

/// The caller's own id, where it can stand in a log line as it is.
fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(REQUEST_ID)?;
    let is_visible = given.as_bytes().iter().all(u8::is_ascii_graphic);
    (is_visible && (1..=MAX_REQUEST_ID).contains(&given.len())).then(|| given.clone())
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::now_v7().to_string()).expect("an id is plain text")
}

/// The trace that the request belongs to, from W3C's `traceparent`: version, trace, span, flags.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parts: Vec<_> = headers.get("traceparent")?.to_str().ok()?.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return None };
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    (is_whole && version != "ff" && trace.bytes().any(|b| b != b'0')).then_some(trace)
}

type PanicHandler = fn(Box<dyn Any + Send>) -> Response;

/// Counts the request and its time, by route.
pub async fn measure(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let _in_flight = InFlight::new(&metrics);
    let response = next.run(request).await;
    metrics.http.answered(Answered {
        route: route.as_ref().map(MatchedPath::as_str),
        method: method.as_str(),
        status: response.status().as_u16(),
        took: began.elapsed(),
    });
    response
}

/// A request that is being answered, until it is dropped: a client may go before its answer comes.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.http_in_flight.increment(1);
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.http_in_flight.decrement(1);
    }
}

/// Turns a panic into an answer like any other; the process lives on.
pub fn catch_panic() -> CatchPanicLayer<PanicHandler> {
    CatchPanicLayer::custom(on_panic as PanicHandler)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer asks for this signature")]
fn on_panic(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_else(|| "without a word".to_owned());
    Error::internal(format!("a handler panicked: {said}")).into_response()
}

/// Answers in the handler's place when it takes too long.
pub async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::Timeout.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    #[test]
    fn only_plain_request_ids_are_taken_over() {
        assert_eq!(given_id(&headers("x-request-id", "abc-1")).unwrap(), "abc-1");
        for bad in ["", "a b", "a\tb", "ä", &"x".repeat(129)] {
            assert!(given_id(&headers("x-request-id", bad)).is_none(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_trace_is_followed_where_it_is_well_formed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let whole = headers("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
        assert_eq!(trace_id(&whole), Some(trace));
        let zeros = "0".repeat(32);
        for bad in ["", "00-1-2-3", &format!("00-{zeros}-00f067aa0ba902b7-01")] {
            assert_eq!(trace_id(&headers("traceparent", bad)), None);
        }
    }

    /// R-AD-3.
    #[tokio::test]
    async fn a_panic_is_an_answer_like_any_other() {
        use axum::Router;
        use axum::middleware::from_fn;
        use tower::{ServiceBuilder, ServiceExt};

        let panics = axum::routing::get(async || -> Response { panic!("a secret") });
        let layers = ServiceBuilder::new().layer(from_fn(context)).layer(catch_panic());
        let app: Router = Router::new().route("/", panics).layer(layers);
        let response = app.oneshot(Request::new(axum::body::Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        let id = response.headers()["x-request-id"].clone();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["requestId"], id.to_str().unwrap());
        assert!(!problem.to_string().contains("a secret"), "{problem}");
    }
}
