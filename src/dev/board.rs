//! What is known of the parts that run: their pids, in the two files that tell others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cluster_file::{self, ClusterFile};
use super::console::say;
use super::registry::Registry;

/// Shared by the supervisor and the keepers.
pub(super) struct Board {
    file: PathBuf,
    registry: Registry,
    state: Mutex<State>,
}

struct State {
    /// Everything of cluster.json but the pids.
    cluster: ClusterFile,
    pids: BTreeMap<String, u32>,
    deaths: BTreeMap<String, u32>,
    is_published: bool,
}

impl Board {
    pub(super) fn new(dir: &Path, cluster: ClusterFile) -> anyhow::Result<Self> {
        let state =
            State { cluster, pids: BTreeMap::new(), deaths: BTreeMap::new(), is_published: false };
        Ok(Self {
            file: dir.join(cluster_file::NAME),
            registry: Registry::new(dir)?,
            state: Mutex::new(state),
        })
    }

    pub(super) fn started(&self, name: &str, pid: u32) {
        report(self.registry.add(name, pid));
        self.change(|state| {
            state.pids.insert(name.to_owned(), pid);
        });
    }

    pub(super) fn died(&self, name: &str) {
        report(self.registry.remove(name));
        self.change(|state| *state.deaths.entry(name.to_owned()).or_default() += 1);
    }

    pub(super) fn ended(&self, name: &str) {
        report(self.registry.remove(name));
    }

    pub(super) fn deaths(&self, name: &str) -> u32 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.deaths.get(name).copied().unwrap_or_default()
    }

    /// From here on cluster.json exists and follows every restart.
    pub(super) fn publish(&self) {
        self.change(|state| state.is_published = true);
    }

    pub(super) fn withdraw(&self) {
        self.change(|state| state.is_published = false);
        let _ = std::fs::remove_file(&self.file);
    }

    /// To be called when every part has ended.
    pub(super) fn close(&self) {
        self.registry.delete();
    }

    /// Written under the lock, so that a later state is never overwritten by an earlier one.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.is_published {
            report(cluster_file::write_atomically(&self.file, &state.with_pids()));
        }
    }
}

impl State {
    fn with_pids(&self) -> ClusterFile {
        let mut file = self.cluster.clone();
        let pid = |name: &str| self.pids.get(name).copied().unwrap_or_default();
        file.postgres.pid = pid("postgres");
        file.s3.pid = pid("s3");
        file.redis.pid = pid(&shard_name(0));
        for (index, shard) in file.redis_shards.iter_mut().enumerate() {
            shard.pid = pid(&shard_name(index));
        }
        for node in &mut file.nodes {
            node.pid = pid(&node.name);
        }
        file
    }
}

/// `redis`, `redis-2`, `redis-3` …
pub(super) fn shard_name(index: usize) -> String {
    if index == 0 { "redis".to_owned() } else { format!("redis-{}", index + 1) }
}

/// A full disk must not end a cluster whose parts still run.
fn report(result: anyhow::Result<()>) {
    if let Err(error) = result {
        say(&format!("warning: {error:#}"));
    }
}
