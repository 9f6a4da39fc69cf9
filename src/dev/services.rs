//! `chat-service with-services -- COMMAND…`: runs a command, usually the tests, beside a private
//! Postgres, two Redis and an S3 server, which end with it.
//!
//! Everything lies in `target/test-<pid>/` and is removed at the end. The command is the leader of
//! a process group of its own, so that ending it ends what it has started too.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::account::remove_outside;
use super::cluster_file::random_secret;
use super::ports::{free_port, loopback};
use super::process::raw;
use super::registry::{self, Processes, Registry};
use super::{PostgresServer, RedisServer, S3Server, Tools};

const PREFIX: &str = "test-";
const S3_ACCESS_KEY: &str = "chat-service";

/// How long the command gets to end after a signal.
const COMMAND_GRACE: Duration = Duration::from_secs(15);

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct ServicesOptions {
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<OsString>,
}

/// Runs the command, and says with which code to exit: its own, or 128 + signal.
pub async fn run(options: ServicesOptions) -> anyhow::Result<u8> {
    let target = std::path::absolute("target")?;
    end_leftovers(&target).await;
    let dir = target.join(format!("{PREFIX}{}", std::process::id()));
    let _lock = registry::lock(&dir)?;
    let result = run_in(&dir, &options.command).await;
    remove(&dir);
    result
}

async fn run_in(dir: &Path, command: &[OsString]) -> anyhow::Result<u8> {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<std::io::Result<Vec<_>>>()?;
    let (interrupt, rest) = signals.split_at_mut(1);
    let (terminate, hangup) = rest.split_at_mut(1);
    let mut asked = std::pin::pin!(async {
        tokio::select! {
            _ = interrupt[0].recv() => Signal::SIGINT,
            _ = terminate[0].recv() => Signal::SIGTERM,
            _ = hangup[0].recv() => Signal::SIGHUP,
        }
    });
    let services = tokio::select! {
        services = Services::start(dir) => services?,
        signal = &mut asked => return Ok(signal_code(signal as i32)),
    };
    let result = supervise(services.command(command), &services.registry, asked).await;
    services.stop().await;
    result
}

async fn supervise(
    mut command: Command,
    registry: &Registry,
    asked: impl Future<Output = Signal>,
) -> anyhow::Result<u8> {
    let program = command.as_std().get_program().to_owned();
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let pid = child.id().context("a child that was just started has a pid")?;
    registry.add("command", pid)?;
    let group = raw(pid);
    let status = tokio::select! {
        status = child.wait() => status?,
        signal = asked => {
            let _ = killpg(group, signal);
            if let Ok(status) = timeout(COMMAND_GRACE, child.wait()).await {
                status?
            } else {
                let _ = killpg(group, Signal::SIGKILL);
                child.wait().await?
            }
        }
    };
    // Its children stay in the group after it has ended; a test that was cut short leaves some.
    let _ = killpg(group, Signal::SIGKILL);
    Ok(exit_code(status))
}

struct Services {
    postgres: PostgresServer,
    redis: [RedisServer; 2],
    s3: S3Server,
    s3_secret: String,
    registry: Registry,
}

impl Services {
    async fn start(dir: &Path) -> anyhow::Result<Self> {
        let tools = Tools::locate()?;
        let registry = Registry::new(dir)?;
        let (first, second, home) =
            (dir.join("redis-1"), dir.join("redis-2"), dir.join("postgres"));
        let (files, address) = (dir.join("s3"), loopback(free_port()?));
        let s3_secret = random_secret();
        let (postgres, first, second, s3) = tokio::try_join!(
            PostgresServer::start(&tools, &home, None, false),
            RedisServer::start(&tools, &first, None, false),
            RedisServer::start(&tools, &second, None, false),
            S3Server::start(&files, address, S3_ACCESS_KEY, &s3_secret),
        )?;
        registry.add("postgres", postgres.pid())?;
        registry.add("redis-1", first.pid())?;
        registry.add("redis-2", second.pid())?;
        Ok(Self { postgres, redis: [first, second], s3, s3_secret, registry })
    }

    fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.env("TEST_POSTGRES_URL", self.postgres.url("postgres"));
        command.env("TEST_REDIS_URLS", self.redis.each_ref().map(RedisServer::url).join(","));
        command.env("TEST_S3_ENDPOINT", self.s3.endpoint());
        command.env("TEST_S3_ACCESS_KEY", S3_ACCESS_KEY);
        command.env("TEST_S3_SECRET_KEY", &self.s3_secret);
        command
    }

    async fn stop(self) {
        let [first, second] = self.redis;
        tokio::join!(self.postgres.stop(), first.stop(), second.stop(), self.s3.stop());
        self.registry.delete();
    }
}

/// What a run that was killed has left: its servers and command, which nobody ends, its directory.
async fn end_leftovers(target: &Path) {
    let Ok(entries) = std::fs::read_dir(target) else { return };
    let dirs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ours = |dir: &PathBuf| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix(PREFIX).is_some_and(|pid| pid.parse::<u32>().is_ok())
    };
    for dir in dirs.filter(ours) {
        if let Ok(Some(_lock)) = registry::lock(&dir) {
            Processes::read(&dir).end().await;
            remove(&dir);
        }
    }
}

fn remove(dir: &Path) {
    remove_outside(&dir.join("postgres"));
    let _ = std::fs::remove_dir_all(dir);
}

fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        (None, Some(signal)) => signal_code(signal),
        (None, None) => 1,
    }
}

/// As a shell reports it.
fn signal_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_commands_own_or_that_of_its_signal() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
    }
}
