//! Which processes belong to a cluster, in a file that outlives its supervisor.
//!
//! A process is known by its pid, its start time and the boot it was started in, so that a number
//! which has passed on to a stranger is never signalled. Start times come from `/proc`: where
//! there is none, nothing counts as ours and leftovers stay.
//!
//! A supervisor holds a lock on its directory for as long as it lives; the system frees it even
//! when the supervisor is killed.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::process::raw;

const FILE: &str = "processes.json";
const LOCK: &str = "lock";

/// How long leftovers get to end by themselves.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// One process, told apart from any other that gets its number later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// In clock ticks since the boot.
    started: u64,
    boot: String,
}

impl Identity {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_time(&stat)?, boot: boot.trim().to_owned() })
    }

    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(raw(self.pid), signal);
        }
    }
}

/// Field 22 of `/proc/PID/stat`; none for a zombie, which has ended already. The name in field 2
/// may contain anything, so counting starts behind its closing parenthesis.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.nth(18)?.parse().ok() }
}

/// The supervisor and its parts by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Processes {
    pub(super) supervisor: Option<Identity>,
    pub(super) parts: BTreeMap<String, Identity>,
}

impl Processes {
    /// Those of the directory's last supervisor.
    pub(super) fn read(dir: &Path) -> Self {
        let text = std::fs::read(dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn running(&self) -> Vec<(&str, &Identity)> {
        let all = self.parts.iter().map(|(name, identity)| (name.as_str(), identity));
        all.filter(|(_, identity)| identity.is_alive()).collect()
    }

    /// Ends what still runs, and waits for it: gently first, then by force.
    pub(super) async fn end(&self) {
        for (name, identity) in self.running() {
            // Postgres takes SIGTERM for "when the last client has left".
            let gentle = name.starts_with("postgres");
            identity.signal(if gentle { Signal::SIGINT } else { Signal::SIGTERM });
        }
        if !self.wait_until_gone(LEFTOVER_GRACE).await {
            self.running().iter().for_each(|(_, identity)| identity.signal(Signal::SIGKILL));
            self.wait_until_gone(LEFTOVER_GRACE).await;
        }
    }

    pub(super) async fn wait_until_gone(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.running().is_empty() {
            if Instant::now() > deadline {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }
}

/// The processes of a living supervisor, written down at every change.
#[derive(Debug)]
pub(super) struct Registry {
    dir: PathBuf,
    processes: Mutex<Processes>,
}

impl Registry {
    pub(super) fn new(dir: &Path) -> anyhow::Result<Self> {
        let supervisor = Identity::of(std::process::id());
        let processes = Processes { supervisor, parts: BTreeMap::new() };
        let registry = Self { dir: dir.to_path_buf(), processes: Mutex::new(processes) };
        registry.change(|_| ())?;
        Ok(registry)
    }

    pub(super) fn add(&self, name: &str, pid: u32) -> anyhow::Result<()> {
        let Some(identity) = Identity::of(pid) else { return Ok(()) };
        self.change(|processes| drop(processes.parts.insert(name.to_owned(), identity)))
    }

    pub(super) fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.change(|processes| drop(processes.parts.remove(name)))
    }

    /// To be called when nothing runs any more.
    pub(super) fn delete(&self) {
        let _ = std::fs::remove_file(self.dir.join(FILE));
    }

    /// Written under the lock, so that a later state is never overwritten by an earlier one.
    fn change(&self, change: impl FnOnce(&mut Processes)) -> anyhow::Result<()> {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut processes);
        super::cluster_file::write_atomically(&self.dir.join(FILE), &*processes)
    }
}

/// Takes the directory for this process; none where a living one has it. Held by the file.
pub(super) fn lock(dir: &Path) -> anyhow::Result<Option<File>> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let file = File::options().create(true).append(true).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_past_any_name_and_not_of_a_zombie() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(&format!("7 (a) b) S {rest}")), Some(4711));
        assert_eq!(start_time(&format!("7 (chat) Z {rest}")), None);
        assert_eq!(start_time(""), None);
    }

    #[test]
    fn a_pid_that_passed_on_to_a_stranger_is_not_ours() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Identity { started: me.started + 1, ..me.clone() }.is_alive());
        assert!(!Identity { boot: "another".into(), ..me }.is_alive());
    }

    #[test]
    fn a_directory_has_one_supervisor_at_a_time() {
        let dir = std::env::temp_dir().join(format!("chat-lock-{}", std::process::id()));
        let held = lock(&dir).unwrap();
        assert!(held.is_some());
        assert!(lock(&dir).unwrap().is_none());
        drop(held);
        assert!(lock(&dir).unwrap().is_some());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
