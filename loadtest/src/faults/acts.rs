//! The single faults, each with the proof that it happened.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use crate::cluster::{Cluster, Part};
use crate::proc::{is_alive, is_stopped, stat};

/// For a signal to show in the process table.
const EFFECT_WITHIN: Duration = Duration::from_secs(2);
/// For the supervisor to put a new process in its place.
const RESTART_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

pub(crate) struct Done {
    pub what: String,
    pub note: String,
}

pub(crate) async fn kill_node(file: &Path, round: usize) -> Result<Done> {
    let cluster = Cluster::load_steady(file).await?;
    let index = round % cluster.nodes.len();
    let node = &cluster.nodes[index];
    slay(node.pid).await?;
    let again = restarted(file, node.pid, |cluster| Some(cluster.nodes.get(index)?.pid)).await;
    Ok(Done { what: format!("SIGKILL of {} (pid {})", node.name, node.pid), note: again })
}

pub(crate) async fn pause_node(file: &Path, round: usize, pause: Duration) -> Result<Done> {
    let cluster = Cluster::load_steady(file).await?;
    let node = &cluster.nodes[round % cluster.nodes.len()];
    let stopped = Stopped::new(node.pid).await?;
    sleep(pause).await;
    ensure!(is_stopped(node.pid), "{} did not stay stopped", node.name);
    drop(stopped);
    let what = format!("SIGSTOP of {} (pid {})", node.name, node.pid);
    Ok(Done { what, note: format!("stopped for {pause:?}") })
}

pub(crate) async fn wipe_redis(file: &Path, round: usize) -> Result<Done> {
    let cluster = Cluster::load_steady(file).await?;
    ensure!(!cluster.redis().is_empty(), "the cluster file names no Redis");
    let index = round % cluster.redis().len();
    let Part { pid, data_dir } = &cluster.redis()[index];
    let folder = data_dir.as_deref().context("no `dataDir` to wipe")?;
    // Stopped first, so that nothing is written between the deletion and the kill.
    let stopped = Stopped::new(*pid).await?;
    let files = empty_folder(folder)?;
    slay(*pid).await?;
    drop(stopped);
    let again = restarted(file, *pid, |cluster| Some(cluster.redis().get(index)?.pid)).await;
    let what = format!("wipe of Redis (pid {pid})");
    Ok(Done { what, note: format!("{files} files deleted, {again}") })
}

/// Lets the process go on when dropped, so that no way out leaves it stopped.
struct Stopped(i32);

impl Stopped {
    async fn new(pid: i32) -> Result<Self> {
        signal(pid, Signal::SIGSTOP)?;
        let stopped = Self(pid);
        until(EFFECT_WITHIN, || is_stopped(pid)).await.context("SIGSTOP had no effect")?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Gone already where it was killed meanwhile.
        let _ = signal(self.0, Signal::SIGCONT);
    }
}

async fn slay(pid: i32) -> Result<()> {
    let started = stat(pid).map(|stat| stat.started).context("no such process")?;
    signal(pid, Signal::SIGKILL)?;
    let is_gone = || !is_alive(pid) || stat(pid).is_some_and(|stat| stat.started != started);
    until(EFFECT_WITHIN, is_gone).await.context("SIGKILL had no effect")
}

fn signal(pid: i32, signal: Signal) -> Result<()> {
    // 0 and below address whole groups, 1 is init: never what a cluster file means.
    ensure!(pid > 1, "{pid} is not the pid of a part");
    kill(Pid::from_raw(pid), signal).with_context(|| format!("{signal} to {pid}"))
}

/// Says how long the supervisor took; the fault had its effect either way.
async fn restarted(file: &Path, old: i32, pid: impl Fn(&Cluster) -> Option<i32>) -> String {
    let started = Instant::now();
    let is_new = || {
        let cluster = Cluster::load(file).ok();
        cluster.as_ref().and_then(&pid).is_some_and(|new| new != old && is_alive(new))
    };
    match until(RESTART_WITHIN, is_new).await {
        Ok(()) => format!("restarted after {} ms", started.elapsed().as_millis()),
        Err(_) => format!("not restarted within {RESTART_WITHIN:?}"),
    }
}

async fn until(limit: Duration, holds: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            bail!("not within {limit:?}");
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Deletes all files below, and leaves the folders.
fn empty_folder(folder: &Path) -> Result<usize> {
    let folder = folder.canonicalize().with_context(|| format!("no {}", folder.display()))?;
    // A mistake in the file must not reach for a whole disk.
    ensure!(folder.components().count() > 3, "{} is no data folder", folder.display());
    let mut files = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                std::fs::remove_file(entry.path())?;
                files += 1;
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// Removes what [`cluster`] made.
    fn clear(file: &Path) {
        std::fs::remove_dir_all(file.parent().expect("is in a folder")).expect("is there");
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().expect("sleep exists")
    }

    fn pid(child: &Child) -> i32 {
        i32::try_from(child.id()).expect("pids are small")
    }

    /// A cluster whose node and Redis are processes of this test.
    fn cluster(name: &str, node: i32, redis: i32) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("loadtest-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("redis/appendonlydir")).expect("creates");
        std::fs::write(folder.join("redis/dump.rdb"), "x").expect("writes");
        std::fs::write(folder.join("redis/appendonlydir/a.aof"), "x").expect("writes");
        let file = folder.join("cluster.json");
        let redis_folder = folder.join("redis");
        let text = serde_json::json!({
            "nodes": [{"name": "n1", "url": "http://127.0.0.1:1", "pid": node}],
            "redis": {"pid": redis, "dataDir": redis_folder},
        });
        std::fs::write(&file, text.to_string()).expect("writes");
        file
    }

    #[tokio::test]
    async fn a_paused_node_is_stopped_and_goes_on() {
        let mut node = sleeper();
        let file = cluster("pause", pid(&node), 0);
        let pausing = pause_node(&file, 0, Duration::from_millis(300));
        let watching = async {
            sleep(Duration::from_millis(100)).await;
            is_stopped(pid(&node))
        };
        let (done, was_stopped) = tokio::join!(pausing, watching);
        assert!(done.is_ok() && was_stopped);
        until(EFFECT_WITHIN, || !is_stopped(pid(&node))).await.expect("goes on");
        node.kill().expect("was alive");
        node.wait().expect("ends");
        clear(&file);
    }

    #[tokio::test]
    async fn wiping_redis_deletes_its_files_and_kills_it() {
        let mut redis = sleeper();
        let file = cluster("wipe", 0, pid(&redis));
        let new = sleeper();
        let replacing = async {
            while is_alive(pid(&redis)) {
                sleep(POLL).await;
            }
            let text = std::fs::read_to_string(&file).expect("is there");
            let text = text.replace(&pid(&redis).to_string(), &pid(&new).to_string());
            std::fs::write(&file, text).expect("writes");
        };
        let (done, ()) = tokio::join!(wipe_redis(&file, 0), replacing);
        let done = done.expect("took effect");
        assert!(done.note.starts_with("2 files deleted, restarted after"), "{}", done.note);
        assert!(!file.with_file_name("redis").join("dump.rdb").exists());
        redis.wait().expect("ends");
        let mut new = new;
        new.kill().expect("was alive");
        new.wait().expect("ends");
        clear(&file);
    }

    #[tokio::test]
    async fn a_fault_without_a_victim_has_no_effect() {
        let file = cluster("none", 0, 0);
        assert!(kill_node(&file, 0).await.is_err());
        assert!(pause_node(&file, 0, POLL).await.is_err());
        assert!(wipe_redis(&file, 0).await.is_err());
        clear(&file);
    }

    #[test]
    fn short_paths_are_never_emptied() {
        assert!(empty_folder(Path::new("/")).is_err());
        assert!(empty_folder(Path::new("/usr/lib")).is_err());
    }
}
