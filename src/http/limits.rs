//! How many requests an address may make at this node's door, and how many of those that guess at
//! passwords or tokens.
//!
//! In memory and per node, so that it costs nothing and holds without Redis. What counts is an
//! address as the trusted proxies saw it; an IPv6 host has a whole /64 of them, so that is the key.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::governor::middleware::NoOpMiddleware;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::extract::client_address;
use crate::config::Config;
use crate::error::Error;

/// How often addresses that have not been heard of for a while are dropped.
const SWEEP: Duration = Duration::from_mins(1);

type Rules = GovernorConfig<AddressKey, NoOpMiddleware>;
pub type LimitLayer = GovernorLayer<AddressKey, NoOpMiddleware, Body>;

/// The limits of one node; clones count together.
#[derive(Clone, Debug)]
pub struct Limits {
    address: Arc<Limit>,
    auth: Arc<Limit>,
}

#[derive(Debug)]
struct Limit {
    name: &'static str,
    burst: u32,
    /// Until one more request is let through.
    period: Duration,
    rules: Arc<Rules>,
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let (limits, hops) = (&config.limits, config.node.trusted_proxy_hops);
        Self {
            address: Limit::new("address", limits.address_rate, limits.address_burst, hops),
            auth: Limit::new("auth", limits.auth_rate, limits.auth_burst, hops),
        }
    }

    /// For everything.
    pub fn address(&self) -> LimitLayer {
        self.address.layer()
    }

    /// For sign-up, sign-in and refresh.
    pub fn auth(&self) -> LimitLayer {
        self.auth.layer()
    }

    /// Forgets idle addresses from time to time, without end; to be spawned and aborted.
    pub async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            for limit in [&self.address, &self.auth] {
                limit.rules.limiter().retain_recent();
                limit.rules.limiter().shrink_to_fit();
            }
        }
    }
}

impl Limit {
    fn new(name: &'static str, rate: u32, burst: u32, trusted_hops: usize) -> Arc<Self> {
        let (rate, burst) = (rate.max(1), burst.max(1));
        let period = Duration::from_secs(1) / rate;
        // `period`, since the builder's `per_second` is an interval in seconds, not a rate.
        let rules = GovernorConfigBuilder::default()
            .key_extractor(AddressKey { trusted_hops })
            .period(period)
            .burst_size(burst)
            .finish()
            .expect("neither is zero");
        Arc::new(Self { name, burst, period, rules: Arc::new(rules) })
    }

    fn layer(self: &Arc<Self>) -> LimitLayer {
        let limit = Arc::clone(self);
        GovernorLayer::new(Arc::clone(&self.rules)).error_handler(move |error| limit.refuse(&error))
    }

    fn refuse(&self, error: &GovernorError) -> Response {
        let GovernorError::TooManyRequests { wait_time, .. } = error else {
            return Error::internal("a request without a peer's address").into_response();
        };
        // The wait is given in whole seconds, rounded down.
        let retry_after = Duration::from_secs(wait_time.saturating_add(1));
        tracing::info!(limit = self.name, "a request was over its limit");
        let mut response = Error::RateLimited { retry_after }.into_response();
        // draft-ietf-httpapi-ratelimit-headers: q(uota), w(indow), r(emaining), t(ime).
        let window = self.period.saturating_mul(self.burst).as_secs().max(1);
        let policy = format!("\"{}\";q={};w={window}", self.name, self.burst);
        let state = format!("\"{}\";r=0;t={}", self.name, retry_after.as_secs());
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            let value = HeaderValue::from_str(&value).expect("it is plain text");
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
        response
    }
}

/// Names the address that a request counts for.
#[derive(Clone, Copy, Debug)]
pub struct AddressKey {
    trusted_hops: usize,
}

impl KeyExtractor for AddressKey {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.ok_or(GovernorError::UnableToExtractKey)?.0.ip();
        Ok(network_of(client_address(request.headers(), peer, self.trusted_hops)))
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_counts_as_one() {
        let of = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
    }

    #[tokio::test]
    async fn a_refusal_says_when_to_come_back() {
        let limit = Limit::new("auth", 5, 20, 0);
        let error = GovernorError::TooManyRequests { wait_time: 0, headers: None };
        let response = limit.refuse(&error);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["ratelimit"], "\"auth\";r=0;t=1");
        assert_eq!(response.headers()["ratelimit-policy"], "\"auth\";q=20;w=4");
    }
}
