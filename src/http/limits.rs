//! Limits of REST: how much an address may ask at this node's door, and how much of a class a user
//! may ask of the cluster.
//!
//! The door counts in memory and per node, so that it costs nothing and holds without Redis. What a
//! class counts by stands in [`crate::limits::class`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::governor::middleware::NoOpMiddleware;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use super::extract::{bearer, client_address};
use super::respond::whole_seconds;
use crate::accounts::Caller;
use crate::config::{Quota, Rates};
use crate::error::{Error, Result};
use crate::limits::class::By;
use crate::limits::{Class, ClientAddress, Left, Limits, Standing, Subject, network_of};

/// How often addresses that have not been heard of for a while are dropped.
const SWEEP: Duration = Duration::from_mins(1);

type Rules = GovernorConfig<AddressKey, NoOpMiddleware>;
pub type DoorLayer = GovernorLayer<AddressKey, NoOpMiddleware, Body>;

/// The limits at one node's door; clones count together.
#[derive(Clone)]
pub struct Doors {
    address: Arc<Door>,
    auth: Arc<Door>,
}

struct Door {
    class: Class,
    quota: Quota,
    rules: Arc<Rules>,
}

impl Doors {
    pub fn new(rates: &Rates) -> Self {
        Self {
            address: Door::new(Class::Address, rates.address.first()),
            auth: Door::new(Class::Auth, rates.auth.first()),
        }
    }

    /// For everything.
    pub fn address(&self) -> DoorLayer {
        self.address.layer()
    }

    /// Forgets idle addresses from time to time, without end; to be spawned and aborted.
    pub async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            for door in [&self.address, &self.auth] {
                door.rules.limiter().retain_recent();
                door.rules.limiter().shrink_to_fit();
            }
        }
    }
}

impl Door {
    fn new(class: Class, quota: Quota) -> Arc<Self> {
        // `period`, since the builder's `per_second` is an interval in seconds, not a rate.
        let rules = GovernorConfigBuilder::default()
            .key_extractor(AddressKey)
            .period(quota.interval())
            .burst_size(quota.count)
            .finish()
            .expect("neither is zero");
        Arc::new(Self { class, quota, rules: Arc::new(rules) })
    }

    fn layer(self: &Arc<Self>) -> DoorLayer {
        let door = Arc::clone(self);
        GovernorLayer::new(Arc::clone(&self.rules)).error_handler(move |error| door.refuse(&error))
    }

    fn refuse(&self, error: &GovernorError) -> Response {
        let GovernorError::TooManyRequests { wait_time, .. } = error else {
            return Error::internal("a request without an address").into_response();
        };
        // The wait is given in whole seconds, rounded down.
        let retry_after = Duration::from_secs(wait_time.saturating_add(1));
        let left = Some(Left { count: 0, next: retry_after });
        let standing = Standing([left, None]);
        let mut response = refused(self.class, &[self.quota], standing, retry_after);
        response.extensions_mut().insert(TurnedAway(self.class));
        response
    }
}

/// Marks answers of a door, which does not know to whom.
#[derive(Clone, Copy)]
struct TurnedAway(Class);

/// Finds out where a request comes from, once, for all who ask, and notes whom the doors refuse.
pub async fn door(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
        let cause = "the server was started without the peers' addresses";
        return Error::internal(cause).into_response();
    };
    let trusted = &state.config.node.trusted_proxies;
    let address = client_address(request.headers(), peer.ip(), trusted);
    request.extensions_mut().insert(ClientAddress(address));
    let response = next.run(request).await;
    if let Some(TurnedAway(class)) = response.extensions().get() {
        state.edge.limits.note_refusal(*class, Subject::of_address(address));
    }
    response
}

/// Names the address that a request counts for.
#[derive(Clone, Copy, Debug)]
pub struct AddressKey;

impl KeyExtractor for AddressKey {
    type Key = IpAddr;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<IpAddr, GovernorError> {
        let address = request.extensions().get::<ClientAddress>();
        address.map(|address| network_of(address.0)).ok_or(GovernorError::UnableToExtractKey)
    }
}

/// Marks answers of routes that have a class.
#[derive(Clone, Copy)]
struct Classed;

/// Counts requests to these routes in a class.
pub fn class(
    state: &AppState,
    class: Class,
    routes: OpenApiRouter<AppState>,
) -> OpenApiRouter<AppState> {
    let counted = from_fn_with_state((state.clone(), class), count);
    let routes = routes.layer(counted);
    // Before all else: hashing a password is dear.
    match class {
        Class::SignUp | Class::SignIn => routes.layer(state.doors.auth.layer()),
        _ => routes,
    }
}

/// Refuses to serve a route that nobody gave a class.
pub async fn has_class(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    // A path without this method is answered by no route.
    let is_route = response.status() != StatusCode::METHOD_NOT_ALLOWED;
    let has_class = response.extensions().get::<Classed>().is_some()
        || response.extensions().get::<TurnedAway>().is_some();
    if is_route && !has_class {
        return Error::internal("this route has no class of limits").into_response();
    }
    response
}

async fn count(
    State((state, class)): State<(AppState, Class)>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match subject_of(&state, class, &mut request).await {
        Err(error) => error.into_response(),
        Ok(subject) => counted(&state.edge.limits, class, subject, request, next).await,
    };
    response.extensions_mut().insert(Classed);
    response
}

async fn counted(
    limits: &Limits,
    class: Class,
    subject: Subject,
    request: Request,
    next: Next,
) -> Response {
    match limits.take(class, subject).await {
        Err(refusal) => refused(class, limits.quotas(class), refusal.standing, refusal.retry_after),
        Ok(standing) => {
            let mut response = next.run(request).await;
            if class == Class::SignIn && !is_guess(response.status()) {
                limits.give_back(class, subject);
            }
            if class.by().is_shared() {
                describe(response.headers_mut(), class, limits.quotas(class), standing);
            }
            response
        }
    }
}

/// Whether a door was tried with what does not fit. What was beyond another limit, or could not be
/// looked at, says nothing about that.
fn is_guess(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// Whom the request counts for. Who is signed in is found out here, and handed on.
///
/// # Errors
/// `Unauthenticated` for a token that is not good, which would be the handler's answer too.
async fn subject_of(state: &AppState, class: Class, request: &mut Request) -> Result<Subject> {
    if class.by() == By::Caller
        && let Some(token) = bearer(request.headers())
    {
        let caller: Caller = state.edge.accounts.authenticate(token).await?;
        request.extensions_mut().insert(caller);
        return Ok(Subject::User(caller.user_id));
    }
    let address = request.extensions().get::<ClientAddress>();
    let address = address.ok_or_else(|| Error::internal("a request without an address"))?;
    Ok(Subject::of_address(address.0))
}

fn refused(class: Class, quotas: &[Quota], standing: Standing, retry_after: Duration) -> Response {
    let mut response = Error::RateLimited { retry_after }.into_response();
    describe(response.headers_mut(), class, quotas, standing);
    response
}

/// `RateLimit-Policy` with quota and window of each quota, and `RateLimit` with what remains and the
/// seconds until one more comes, as draft-ietf-httpapi-ratelimit-headers has them.
fn describe(headers: &mut HeaderMap, class: Class, quotas: &[Quota], standing: Standing) {
    let (mut policy, mut state) = (Vec::new(), Vec::new());
    for (index, (quota, left)) in quotas.iter().zip(standing.0).enumerate() {
        let name = format!("\"{}{}\"", class.name(), if index == 0 { "" } else { "Budget" });
        policy.push(format!("{name};q={};w={}", quota.count, quota.period.as_secs()));
        if let Some(Left { count, next }) = left {
            state.push(format!("{name};r={count};t={}", whole_seconds(next)));
        }
    }
    let (policy, state) = (policy.join(", "), state.join(", "));
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        if !value.is_empty() {
            let value = HeaderValue::from_str(&value).expect("it is plain text");
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_describe_every_quota() {
        let quotas: crate::config::Quotas = "30/1m,2000/1d".parse().unwrap();
        let left = |count, millis| Some(Left { count, next: Duration::from_millis(millis) });
        let standing = Standing([left(29, 1_500), left(1_999, 43_200)]);
        let mut headers = HeaderMap::new();
        describe(&mut headers, Class::Search, quotas.all(), standing);
        let policy = "\"search\";q=30;w=60, \"searchBudget\";q=2000;w=86400";
        assert_eq!(headers["ratelimit-policy"], policy);
        assert_eq!(headers["ratelimit"], "\"search\";r=29;t=2, \"searchBudget\";r=1999;t=44");
    }

    /// R-RL-1.
    #[tokio::test]
    async fn a_route_without_a_class_is_not_served() {
        use axum::Router;
        use axum::middleware::from_fn;
        use axum::routing::get;
        use tower::ServiceExt;

        let mark = async |request: Request, next: Next| {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(Classed);
            response
        };
        let counted = Router::new().route("/counted", get(async || ())).layer(from_fn(mark));
        let app: Router = Router::new()
            .merge(counted)
            .route("/forgotten", get(async || ()))
            .layer(from_fn(has_class));
        let status = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("/counted").await, 200);
        assert_eq!(status("/forgotten").await, 500);
    }

    #[test]
    fn only_what_does_not_fit_is_a_guess() {
        let guesses = [200, 204, 400, 401, 404, 409, 422, 429, 500, 503]
            .map(|status| is_guess(StatusCode::from_u16(status).unwrap()));
        let expected = [false, false, true, true, true, true, true, false, false, false];
        assert_eq!(guesses, expected);
    }
}
