//! Whose requests are counted, and where.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::model::id::UserId;

/// Where a request comes from: the client itself, as trusted proxies saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(UserId),
    /// An address; of IPv6 its /64, since a host has a whole one of them.
    Network(IpAddr),
    /// A hash of what somebody signs in as.
    Login(u128),
    /// A socket that nobody has authenticated yet.
    Nobody,
}

impl Subject {
    pub fn of_address(address: IpAddr) -> Self {
        Self::Network(network_of(address))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Network(network) => write!(f, "net:{network}"),
            Self::Login(hash) => write!(f, "login:{hash:032x}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

/// The address that stands for a host.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// One of `count` places, the same on every node.
pub(super) fn place(subject: Subject, count: usize) -> usize {
    let bits = match subject {
        Subject::User(UserId(id)) => id.as_u128(),
        Subject::Network(IpAddr::V4(v4)) => v4.to_bits().into(),
        Subject::Network(IpAddr::V6(v6)) => v6.to_bits(),
        Subject::Login(hash) => hash,
        Subject::Nobody => 0,
    };
    let hash = xxhash_rust::xxh3::xxh3_64(&bits.to_be_bytes());
    usize::try_from(hash % count.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_counts_as_one() {
        let of = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }

    /// All nodes of a cluster must look for a subject on the same shard, also while two versions
    /// run.
    #[test]
    fn places_are_frozen() {
        let user = Subject::User(UserId("018f0000-0000-7000-8000-000000000001".parse().unwrap()));
        let network = Subject::of_address("192.0.2.7".parse().unwrap());
        assert_eq!([place(user, 1_000), place(network, 1_000)], [823, 333]);
    }
}
