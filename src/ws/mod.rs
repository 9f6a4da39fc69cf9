//! The socket edge: `GET /api/v1/ws`.
//!
//! ```text
//! upgrade ─> authenticated ─> connection: frames in ─> dispatch ─> answers ┐
//!                                         outbox ────────────────────────────┴─> frames out
//! ```
//!
//! A connection is one task. It reads one request at a time; sends, edits and deletions are
//! answered later, when their writer has decided, and many of them may be under way.

pub mod asyncapi;
mod connection;
mod dispatch;
pub mod drain;
mod frame;
mod limits;

pub use limits::OpenSockets;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;

use crate::accounts::Accounts;
use crate::chats::Chats;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::fanout::ephemera::Ephemera;
use crate::fanout::hub::Hub;
use crate::health::Health;
use crate::limits::{Class, ClientAddress, Limits, Subject};
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::receipts::Receipts;

/// What a browser names in `Sec-WebSocket-Protocol`, and the server answers.
const PROTOCOL: &str = "chat.v1";
/// Beside it, a browser can hand over its token, since it cannot set headers.
const BEARER: &str = "bearer.";

/// Small: this is kept by every connection, most of which are idle.
const READ_BUFFER: usize = 4 * 1024;
/// Frames gather here until they are flushed, so that many leave in one write.
const WRITE_BUFFER: usize = 16 * 1024;
/// Larger than any answer; a frame beyond it fails the connection.
const MAX_WRITE_BUFFER: usize = 8 * 1024 * 1024;

/// What connections work with. Cheap to clone.
#[derive(Clone)]
pub struct Edge {
    pub accounts: Accounts,
    pub chats: Chats,
    pub messages: Messages,
    pub hub: Hub,
    pub ephemera: Ephemera,
    pub presence: Presence,
    pub receipts: Receipts,
    pub health: Health,
    pub limits: Limits,
    pub config: Arc<Config>,
    pub metrics: Arc<Metrics>,
    pub open: Arc<OpenSockets>,
}

/// Upgrades to a socket. A token in a header or subprotocol is checked before that; without one the
/// first frame must bring it.
#[utoipa::path(
    get, path = "/ws", tag = "socket",
    security(()),
    responses(
        (status = 101, description = "the socket is open"),
        (status = 400, description = "not an upgrade"),
        (status = 401, description = "the token is not good"),
        (status = 403, description = "this origin may not open a socket"),
    ),
)]
pub async fn upgrade(
    State(edge): State<Edge>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let metrics = Arc::clone(&edge.metrics);
    let opened = open(edge, address, headers, upgrade).await;
    opened.inspect_err(|error| metrics.upgrades_refused.note(error))
}

async fn open(
    edge: Edge,
    address: IpAddr,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let upgrade = upgrade.map_err(|why| Error::Malformed(why.body_text()))?;
    check_origin(&headers, &edge.config.node.allowed_origins)?;
    if edge.health.is_draining() {
        return Err(Error::unavailable("this node"));
    }
    let caller = match token_of(&headers) {
        Some(token) => Some(edge.accounts.authenticate(token).await?),
        None => None,
    };
    let taken = edge.open.take(&edge.config.socket, address, caller.is_some());
    let place = taken.inspect_err(|error| {
        if matches!(error, Error::RateLimited { .. }) {
            edge.limits.note_refusal(Class::Sockets, Subject::of_address(address));
        }
    })?;
    let frame_bytes = edge.config.limits.frame_bytes;
    Ok(upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(frame_bytes)
        .max_frame_size(frame_bytes)
        .on_upgrade(move |socket| connection::run(edge, socket, caller, place)))
}

/// A browser says where its page came from; nothing else does. So without the header there is no
/// browser to be tricked.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<()> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let known = allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    if known && origins.next().is_none() {
        Ok(())
    } else {
        Err(Error::Forbidden("this origin may not open a socket"))
    }
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    // Two headers are none: which of them a proxy has looked at, nobody knows.
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let only = given.next().filter(|_| given.next().is_none());
    let bearer = only.and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    bearer.or_else(|| subprotocols(headers).find_map(|name| name.strip_prefix(BEARER)))
}

/// The subprotocols that a client offers.
fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// R-WS-2.
    #[test]
    fn only_exact_origins_may_open_a_socket() {
        let allowed = ["https://chat.example".to_owned()];
        let check = |origin: &str| check_origin(&headers(&[("origin", origin)]), &allowed);
        assert!(check("https://chat.example").is_ok());
        assert!(check_origin(&headers(&[]), &allowed).is_ok());
        for foreign in [
            "null",
            "",
            "http://chat.example",
            "https://chat.example:8443",
            "https://chat.example.evil.example",
            "https://evil.example/https://chat.example",
            "https://CHAT.example",
            "https://chat.example/",
            "https://sub.chat.example",
        ] {
            assert!(check(foreign).is_err(), "{foreign}");
        }
        let twice = headers(&[("origin", "https://chat.example"), ("origin", "null")]);
        assert!(check_origin(&twice, &allowed).is_err());
        assert!(check_origin(&headers(&[("origin", "https://chat.example")]), &[]).is_err());
    }

    #[test]
    fn a_token_comes_by_header_or_subprotocol() {
        let of = |pairs: &[(&'static str, &str)]| token_of(&headers(pairs)).map(str::to_owned);
        assert_eq!(of(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
        let offered = [("sec-websocket-protocol", "chat.v1, bearer.abc")];
        assert_eq!(of(&offered).as_deref(), Some("abc"));
        assert_eq!(of(&[("authorization", "Basic abc")]), None);
        assert_eq!(of(&[("authorization", "Bearer abc"), ("authorization", "Bearer def")]), None);
    }
}
