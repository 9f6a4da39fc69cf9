//! Where a request comes from.
//!
//! `X-Forwarded-For` is a list to which every proxy appends the address that it saw. Anybody can
//! send a beginning of it, so only as many entries from its *right* count as there are trusted
//! proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::accounts::Client;
use crate::config::Config;
use crate::error::{Error, Result};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Longer ones say nothing more.
const MAX_USER_AGENT: usize = 256;

/// The address of the client itself.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl<S> FromRequestParts<S> for ClientAddress
where
    S: Send + Sync,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Err(Error::internal("the server was started without the peers' addresses"));
        };
        let hops = Arc::<Config>::from_ref(state).node.trusted_proxy_hops;
        Ok(Self(client_address(&parts.headers, peer.ip(), hops)))
    }
}

impl<S> FromRequestParts<S> for Client
where
    S: Send + Sync,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = agent.map(|text| text.chars().take(MAX_USER_AGENT).collect());
        Ok(Self { address, user_agent })
    }
}

/// The client's address, by the peer and `trusted_hops` entries of `X-Forwarded-For`. Where the list
/// is shorter, or an entry unreadable, the last address that a trusted proxy vouched for.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted_hops: usize) -> IpAddr {
    let values = headers.get_all(FORWARDED_FOR).iter();
    let entries: Vec<&str> =
        values.map(|value| value.to_str().unwrap_or("?")).flat_map(|v| v.split(',')).collect();
    let vouched = entries.iter().rev().take(trusted_hops);
    let last = vouched.map_while(|entry| parse(entry.trim())).last();
    last.unwrap_or(peer).to_canonical()
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, each also with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-RL-3.
    #[test]
    fn only_trusted_proxies_are_believed() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let table: [(&[&str], usize, &str); 12] = [
            (&[], 0, "10.0.0.1"),
            (&["1.1.1.1"], 0, "10.0.0.1"),
            (&[], 1, "10.0.0.1"),
            (&["2.2.2.2"], 1, "2.2.2.2"),
            (&["6.6.6.6, 2.2.2.2"], 1, "2.2.2.2"),
            (&["6.6.6.6", "2.2.2.2"], 1, "2.2.2.2"),
            (&["6.6.6.6, 2.2.2.2,10.0.0.2"], 2, "2.2.2.2"),
            (&["2.2.2.2"], 3, "2.2.2.2"),
            (&["6.6.6.6, nonsense"], 1, "10.0.0.1"),
            (&["6.6.6.6, nonsense, 10.0.0.2"], 3, "10.0.0.2"),
            (&["[2001:db8::1]:4711"], 1, "2001:db8::1"),
            (&["::ffff:2.2.2.2"], 1, "2.2.2.2"),
        ];
        for (values, hops, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let found = client_address(&headers, peer, hops).to_string();
            assert_eq!(found, expected, "{values:?} with {hops} hops");
        }
    }
}
