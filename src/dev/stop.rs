//! Ending a cluster from outside: `chat-service dev --stop` and `--clean`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;

use super::account::remove_outside;
use super::cluster_file;
use super::console::say;
use super::registry::{self, Processes};

/// More than a supervisor needs for all its stages, a node's grace period being the longest.
const STOP_LIMIT: Duration = Duration::from_secs(70);

/// Ends the cluster of a directory, and whatever an earlier one has left running there.
pub async fn stop(dir: &Path) -> anyhow::Result<()> {
    let dir = std::path::absolute(dir)?;
    if !dir.is_dir() {
        say("nothing runs");
        return Ok(());
    }
    let processes = Processes::read(&dir);
    let supervisor = processes.supervisor.clone().filter(registry::Identity::is_alive);
    if supervisor.is_none() && processes.running().is_empty() {
        let _ = std::fs::remove_file(dir.join(cluster_file::NAME));
        say("nothing runs");
        return Ok(());
    }
    if let Some(supervisor) = supervisor {
        supervisor.signal(Signal::SIGTERM);
        if !wait_for(&supervisor, STOP_LIMIT).await {
            supervisor.signal(Signal::SIGKILL);
            ensure!(wait_for(&supervisor, STOP_LIMIT).await, "the supervisor does not end");
        }
    }
    // Read again: it may have restarted parts since.
    let left = Processes::read(&dir);
    left.end().await;
    ensure!(left.running().is_empty(), "some parts do not end: {:?}", left.running());
    let _ = std::fs::remove_file(dir.join(cluster_file::NAME));
    say("stopped");
    Ok(())
}

/// Ends the cluster and removes its directory.
pub async fn clean(dir: &Path) -> anyhow::Result<()> {
    stop(dir).await?;
    let dir = std::path::absolute(dir)?;
    if !dir.exists() {
        return Ok(());
    }
    // `--dir` may name anything: only what looks like ours is removed.
    let is_ours = ["lock", "processes.json", "ports.json"].iter().any(|f| dir.join(f).exists());
    ensure!(is_ours, "{} is no directory of `chat-service dev`", dir.display());
    remove_outside(&dir.join("postgres"));
    std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
}

async fn wait_for(supervisor: &registry::Identity, limit: Duration) -> bool {
    let alone = Processes {
        supervisor: None,
        parts: [("supervisor".to_owned(), supervisor.clone())].into(),
    };
    alone.wait_until_gone(limit).await
}
