//! How one part of the cluster is started and ended.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

type Build = dyn Fn() -> anyhow::Result<Command> + Send + Sync;

/// One part: [`super::process::Process`] runs it once, [`super::keeper::Keeper`] again and again.
pub(super) struct Plan {
    pub(super) name: String,
    /// Where its output goes.
    pub(super) log: PathBuf,
    pub(super) stop: StopSteps,
    /// Whether its standard input is a pipe of ours, whose end tells it that we have died.
    pub(super) has_lifeline: bool,
    /// Makes the command anew for each start, with the directories that it needs.
    pub(super) build: Box<Build>,
}

/// Signals sent one after the other, each with the time given to it. SIGKILL comes after the last.
pub(super) type StopSteps = &'static [(Signal, Duration)];
