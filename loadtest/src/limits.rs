//! The limit of open files, which is the limit of sockets.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As high as it goes without asking anybody. Returns the limit in force.
pub(crate) fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}
