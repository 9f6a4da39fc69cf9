//! The limit of open files, which is the limit of sockets.
//!
//! Container runtimes hand on a low soft limit (1,024) below a high hard one. A node that kept it would
//! stop taking connections there, long before `SOCKET_MAX_CONNECTIONS`.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a node opens beside clients' sockets: stores, files, itself.
const OTHERS: usize = 500;

/// Raises the limit as far as it goes without asking anybody, and warns where that is too little for
/// so many sockets.
pub fn raise(sockets: usize) {
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard)
        }
        Ok((soft, _)) => soft,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            return;
        }
    };
    let wanted = u64::try_from(sockets.saturating_add(OTHERS)).unwrap_or(u64::MAX);
    if limit < wanted {
        tracing::warn!(limit, wanted, "too few files may be open for SOCKET_MAX_CONNECTIONS");
    }
}
