//! A private Redis: on loopback only, never evicting, with or without an append-only file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::console::tail;
use super::plan::{Plan, StopSteps};
use super::ports::{free_port, loopback};
use super::process::Process;
use super::tools::Tools;

/// Includes the reading of the append-only file.
const READY_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

const STOP: StopSteps = &[(Signal::SIGTERM, Duration::from_secs(10))];

/// A server of its own, for tests.
#[derive(Debug)]
pub struct RedisServer {
    site: RedisSite,
    process: Process,
}

impl RedisServer {
    /// Starts a server with its data in `dir`; with `aof` it writes what it is told to disk within
    /// a second, without it a restart starts empty.
    pub async fn start(
        tools: &Tools,
        dir: &Path,
        port: Option<u16>,
        aof: bool,
    ) -> anyhow::Result<Self> {
        let log = dir.with_extension("log");
        let port = port.map_or_else(free_port, Ok)?;
        let site = RedisSite::new(tools, dir, port, aof);
        let mut process = Process::spawn(&site.plan("redis", &log))?;
        let deadline = Instant::now() + READY_LIMIT;
        while !site.is_ready().await {
            if process.ended().is_some() || Instant::now() > deadline {
                bail!("Redis does not start{}", tail(&log));
            }
            sleep(POLL).await;
        }
        Ok(Self { site, process })
    }

    pub fn url(&self) -> String {
        self.site.url()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn data_dir(&self) -> &Path {
        &self.site.dir
    }

    pub async fn stop(mut self) {
        self.process.stop().await;
    }

    /// Ends it as a crash would: nothing is written any more.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }
}

/// A data directory and the address it is served at.
#[derive(Clone, Debug)]
pub(super) struct RedisSite {
    program: PathBuf,
    pub(super) dir: PathBuf,
    address: SocketAddr,
    aof: bool,
}

impl RedisSite {
    pub(super) fn new(tools: &Tools, dir: &Path, port: u16, aof: bool) -> Self {
        let program = tools.redis_server.clone();
        Self { program, dir: dir.to_path_buf(), address: loopback(port), aof }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(super) fn plan(&self, name: &str, log: &Path) -> Plan {
        let site = self.clone();
        Plan {
            name: name.to_owned(),
            log: log.to_path_buf(),
            stop: STOP,
            has_lifeline: false,
            build: Box::new(move || site.command()),
        }
    }

    /// While it reads its file it answers `-LOADING`, which is not ready.
    pub(super) async fn is_ready(&self) -> bool {
        let ping = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(b"PING\r\n").await?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(&answer == b"+PONG")
        };
        matches!(timeout(Duration::from_secs(2), ping).await, Ok(Ok(true)))
    }

    fn command(&self) -> anyhow::Result<std::process::Command> {
        // At every start: somebody may have removed it to see what the loss of all data does.
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let mut command = Tools::command(&self.program);
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()]);
        command.arg("--dir").arg(&self.dir);
        command.args(["--daemonize", "no", "--save", "", "--maxmemory-policy", "noeviction"]);
        command.args(["--appendonly", if self.aof { "yes" } else { "no" }]);
        command.args(["--appendfsync", "everysec"]);
        Ok(command)
    }
}
