//! A private PostgreSQL: initialised at the first start, on loopback only, password kept beside it.
//!
//! `postgres` is started directly rather than by `pg_ctl`, so that its pid is known and its end is
//! seen. Passwords guard it (SCRAM), since loopback is shared with every user of the machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::account::Place;
use super::cluster_file::kept_secret;
use super::console::tail;
use super::plan::{Plan, StopSteps};
use super::ports::free_port;
use super::process::Process;
use super::tools::Tools;

/// The superuser that `initdb` makes.
const SUPERUSER: &str = "chat";

/// `initdb` takes 1 to 3 s; slow disks are granted a lot more.
const INIT_LIMIT: Duration = Duration::from_mins(2);
/// Includes the recovery after a crash.
const READY_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Fast shutdown, which ends sessions; then the immediate one; then the kill.
const STOP: StopSteps =
    &[(Signal::SIGINT, Duration::from_secs(20)), (Signal::SIGQUIT, Duration::from_secs(5))];

/// A server of its own, for tests.
#[derive(Debug)]
pub struct PostgresServer {
    site: Site,
    process: Process,
}

impl PostgresServer {
    /// Starts a server with its data in `dir`, initialised where that is empty. `durable` is what
    /// production does; without it a crash of the machine loses the data, and tests are faster.
    pub async fn start(
        tools: &Tools,
        dir: &Path,
        port: Option<u16>,
        durable: bool,
    ) -> anyhow::Result<Self> {
        let log = dir.with_extension("log");
        let port = port.map_or_else(free_port, Ok)?;
        let site = Site::prepare(tools, dir, port, durable).await?;
        let mut process = Process::spawn(&site.plan("postgres", &log))?;
        let deadline = Instant::now() + READY_LIMIT;
        while !site.is_ready().await {
            if process.ended().is_some() || Instant::now() > deadline {
                bail!("PostgreSQL does not start{}", tail(&log));
            }
            sleep(POLL).await;
        }
        Ok(Self { site, process })
    }

    pub fn url(&self, database: &str) -> String {
        self.site.url(database)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Makes an empty database; one of that name may exist.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        self.site.create_database(name).await
    }

    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// An initialised data directory and the address it is served at.
#[derive(Clone, Debug)]
pub(super) struct Site {
    place: Place,
    port: u16,
    durable: bool,
    password: String,
}

impl Site {
    pub(super) async fn prepare(
        tools: &Tools,
        dir: &Path,
        port: u16,
        durable: bool,
    ) -> anyhow::Result<Self> {
        let place = Place::choose(tools, dir)?;
        // Kept in the account's directory, which is closed to everybody else.
        let password = kept_secret(&place.home.join("password"))?;
        let site = Self { place, port, durable, password };
        if site.data().join("PG_VERSION").exists() {
            site.check_version(tools)?;
        } else {
            timeout(INIT_LIMIT, site.initialise()).await.context("initdb does not end")??;
        }
        Ok(site)
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgresql://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    pub(super) fn plan(&self, name: &str, log: &Path) -> Plan {
        let site = self.clone();
        Plan {
            name: name.to_owned(),
            log: log.to_path_buf(),
            stop: STOP,
            has_lifeline: false,
            build: Box::new(move || Ok(site.command())),
        }
    }

    pub(super) async fn is_ready(&self) -> bool {
        let Ok(Ok(connection)) = timeout(Duration::from_secs(5), self.connect()).await else {
            return false;
        };
        let _ = connection.close().await;
        true
    }

    pub(super) async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        ensure!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{name:?} is no name for a database"
        );
        let mut connection = self.connect().await?;
        let result = connection.execute(AssertSqlSafe(format!("create database {name}"))).await;
        let _ = connection.close().await;
        match result {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P04") => Ok(()),
            other => other.map(drop).with_context(|| format!("cannot create database {name}")),
        }
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url("postgres")).await
    }

    fn data(&self) -> PathBuf {
        self.place.home.join("data")
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.place.command("postgres");
        command.arg("-D").arg(self.data());
        let durable = if self.durable { "on" } else { "off" };
        let port = self.port.to_string();
        let settings = [
            ("port", port.as_str()),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("max_connections", "200"),
            ("jit", "off"),
            ("fsync", durable),
            ("full_page_writes", durable),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
    }

    /// Into a directory of another name, so that an `initdb` cut short is not taken for a database.
    async fn initialise(&self) -> anyhow::Result<()> {
        let half_made = self.place.home.join("data.new");
        if half_made.exists() {
            std::fs::remove_dir_all(&half_made)?;
        }
        // `initdb` reads the password as the account that it runs as.
        let password_file = self.place.home.join("password.init");
        std::fs::File::create(&password_file)?.write_all(self.password.as_bytes())?;
        self.place.give(&password_file)?;

        let mut command = self.place.command("initdb");
        command.arg("-D").arg(&half_made).args(["--username", SUPERUSER]);
        command.arg("--pwfile").arg(&password_file);
        command.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
        if !self.durable {
            command.arg("--no-sync");
        }
        let mut command = tokio::process::Command::from(command);
        let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await;
        std::fs::remove_file(&password_file)?;
        let output = output.context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        std::fs::rename(&half_made, self.data()).context("cannot name the new database")
    }

    /// The server's own refusal would stand in a log alone.
    fn check_version(&self, tools: &Tools) -> anyhow::Result<()> {
        let version = std::fs::read_to_string(self.data().join("PG_VERSION"))?;
        let dir = tools.postgres_bin.parent().and_then(Path::file_name);
        let found = dir.map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default();
        // Only Debian's layout tells the version; elsewhere the server decides.
        if found.parse::<u32>().is_ok() && found != version.trim() {
            bail!(
                "the data in {} is of PostgreSQL {}, but {found} is found: set POSTGRES_BIN, or \
                 start anew with `make clean-data`",
                self.data().display(),
                version.trim(),
            );
        }
        Ok(())
    }
}
