//! Where a request comes from.
//!
//! `X-Forwarded-For` is a list to which every proxy appends the address that it saw. Anybody can
//! send a beginning of it. So it is read only from a peer that is a trusted proxy, from its *right*,
//! and only as far as trusted proxies have written it: each entry was written by the one behind it.
//! Other forwarding headers are not read at all.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ipnet::IpNet;

use crate::accounts::Client;
use crate::error::{Error, Result};
use crate::limits::ClientAddress;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Longer ones say nothing more.
const MAX_USER_AGENT: usize = 256;

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let address = parts.extensions.get::<ClientAddress>();
        let address = address.ok_or_else(|| Error::internal("a request without an address"))?.0;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = agent.map(|text| text.chars().take(MAX_USER_AGENT).collect());
        Ok(Self { address, user_agent })
    }
}

/// The client's address: the first, from the right, that is not a trusted proxy. Where the list ends
/// before, or an entry is unreadable, the last address that a trusted proxy vouched for.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut address = peer.to_canonical();
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut entries = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    while is_trusted(address) {
        match entries.next().and_then(|entry| parse(entry.trim())) {
            Some(before) => address = before.to_canonical(),
            None => break,
        }
    }
    address
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
        let (none, one, all) = ("", "10.0.0.1/32", "10.0.0.0/8 192.0.2.0/24 2001:db8:9::/48");
        let table: [(&[&str], &str, &str); 17] = [
            (&[], none, "10.0.0.1"),
            (&["1.1.1.1"], none, "10.0.0.1"),
            (&["1.1.1.1"], "10.0.0.2/32", "10.0.0.1"),
            (&[], one, "10.0.0.1"),
            (&["2.2.2.2"], one, "2.2.2.2"),
            (&["6.6.6.6, 2.2.2.2"], one, "2.2.2.2"),
            (&["6.6.6.6", "2.2.2.2"], one, "2.2.2.2"),
            (&["6.6.6.6, 2.2.2.2,10.0.0.2"], one, "10.0.0.2"),
            (&["6.6.6.6, 2.2.2.2,10.0.0.2"], all, "2.2.2.2"),
            (&["6.6.6.6, 2.2.2.2", "192.0.2.7, 10.0.0.2"], all, "2.2.2.2"),
            (&["10.0.0.7, 2.2.2.2, 10.0.0.2"], all, "2.2.2.2"),
            (&["10.0.0.3, 10.0.0.2"], all, "10.0.0.3"),
            (&["6.6.6.6, nonsense"], all, "10.0.0.1"),
            (&["6.6.6.6, nonsense, 10.0.0.2"], all, "10.0.0.2"),
            (&["6.6.6.6,,"], all, "10.0.0.1"),
            (&["[2001:db8::1]:4711, 2001:db8:9::1"], all, "2001:db8::1"),
            (&["::ffff:2.2.2.2, ::ffff:10.9.9.9"], all, "2.2.2.2"),
        ];
        for (values, trusted, expected) in table {
            let trusted: Vec<IpNet> = trusted.split(' ').flat_map(str::parse).collect();
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let found = client_address(&headers, peer, &trusted).to_string();
            assert_eq!(found, expected, "{values:?} with {trusted:?}");
        }
    }

    #[test]
    fn a_peer_in_the_form_of_ipv6_is_the_proxy_that_it_is() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "2.2.2.2".parse().unwrap());
        let found = client_address(&headers, "::ffff:10.0.0.1".parse().unwrap(), &trusted);
        assert_eq!(found.to_string(), "2.2.2.2");
    }
}
