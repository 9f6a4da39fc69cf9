//! A child process: its own process group, its output in a log, its end always bounded.
//!
//! The group keeps a terminal's Ctrl-C away from it: the supervisor alone decides the order in
//! which the parts end. Dropping the handle kills the group.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::plan::{Plan, StopSteps};

/// A log beyond this is emptied when its part starts.
const LOG_LIMIT_BYTES: u64 = 64 << 20;

/// A part that runs.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    stop: StopSteps,
    /// Held for its end alone: a child that reads it sees the end of file when we are gone.
    _lifeline: Option<ChildStdin>,
}

impl Process {
    pub(super) fn spawn(plan: &Plan) -> anyhow::Result<Self> {
        let log = open_log(&plan.log)?;
        let mut command = (plan.build)()?;
        command.stdout(log.try_clone()?).stderr(log);
        command.stdin(if plan.has_lifeline { Stdio::piped() } else { Stdio::null() });
        let mut command = Command::from(command);
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", plan.name))?;
        let pid = child.id().context("a child that was just started has a pid")?;
        // Taken out, since waiting for a child closes the one that it holds.
        let lifeline = child.stdin.take();
        Ok(Self { child, pid, stop: plan.stop, _lifeline: lifeline })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it: the plan's signals in turn, then SIGKILL for the whole group.
    pub(super) async fn stop(&mut self) {
        for (signal, grace) in self.stop {
            if self.ended().is_some() {
                break;
            }
            // It may be gone since: then there is nothing left to signal.
            let _ = kill(raw(self.pid), *signal);
            if timeout(*grace, self.child.wait()).await.is_ok() {
                break;
            }
        }
        self.kill().await;
    }

    /// Ends it at once, as a crash would.
    pub(super) async fn kill(&mut self) {
        if self.child.id().is_some() {
            let _ = killpg(raw(self.pid), Signal::SIGKILL);
            let _ = self.child.wait().await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // `id` is none once the child was waited for; its number may be another's by then.
        if self.child.id().is_some() {
            let _ = killpg(raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// The form of a pid that signals want.
pub(super) fn raw(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let context = || format!("cannot open {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(context)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
    if log.metadata()?.len() > LOG_LIMIT_BYTES {
        log.set_len(0)?;
    }
    Ok(log)
}
