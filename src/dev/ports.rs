//! Free ports on loopback.
//!
//! They are taken from below the range that the kernel gives to outgoing connections. A server that
//! is killed and restarted needs its port back, while its clients try to reconnect: out of the
//! kernel's range one of them could be given that very port, and be connected to itself.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Above the services that people run by hand, below Linux's `ip_local_port_range` (32768).
const RANGE: Range<u16> = 15_000..30_000;

/// Ports tried before the search gives up.
const TRIES: usize = 200;

/// A port of loopback that nobody listens on. Somebody may be quicker to take it.
pub fn free_port() -> anyhow::Result<u16> {
    (0..TRIES)
        .map(|_| rand::random_range(RANGE))
        .find(|port| is_free(*port))
        .with_context(|| format!("none of {TRIES} ports tried is free"))
}

/// Whether a server can listen on the port of loopback now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Ports by name, kept in a file, so that addresses stay the same over restarts.
#[derive(Debug)]
pub struct KeptPorts {
    file: PathBuf,
    ports: BTreeMap<String, u16>,
}

impl KeptPorts {
    /// Reads the file; one that is missing or broken counts as empty.
    pub fn open(file: &Path) -> Self {
        let ports = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file: file.to_path_buf(), ports: ports.unwrap_or_default() }
    }

    /// The port kept under the name if it is free still, else the preferred one, else any other.
    pub fn choose(&mut self, name: &str, preferred: Option<u16>) -> anyhow::Result<u16> {
        let kept = self.ports.get(name).copied();
        let taken = |port: &u16| self.ports.iter().any(|(other, p)| other != name && p == port);
        let port = match kept.into_iter().chain(preferred).find(|p| !taken(p) && is_free(*p)) {
            Some(port) => port,
            None => (0..TRIES)
                .filter_map(|_| free_port().ok())
                .find(|port| !taken(port))
                .context("no port is free")?,
        };
        self.ports.insert(name.to_owned(), port);
        Ok(port)
    }

    pub fn save(&self) -> anyhow::Result<()> {
        super::cluster_file::write_atomically(&self.file, &self.ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_port_is_given_again_unless_it_is_taken() {
        let file = std::env::temp_dir().join(format!("chat-ports-{}.json", std::process::id()));
        let mut ports = KeptPorts::open(&file);
        let first = ports.choose("redis", None).unwrap();
        ports.save().unwrap();

        let mut again = KeptPorts::open(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(again.choose("redis", None).unwrap(), first);
        assert_ne!(again.choose("postgres", Some(first)).unwrap(), first, "one port, two names");

        let _taken = TcpListener::bind(loopback(first)).unwrap();
        assert_ne!(again.choose("redis", None).unwrap(), first);
    }
}
