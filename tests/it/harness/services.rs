//! Servers of a test's own, which it may kill, and start again at the same address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_service::dev::ports::free_port;
use chat_service::dev::{PostgresServer, RedisServer, Tools};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::eventually;

const STARTS: &str = "the server starts";

/// Removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("chat-it-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("it can be made");
        // The account that Postgres runs as must reach its part of it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("it is ours");
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) struct PrivateRedis {
    server: Option<RedisServer>,
    tools: Tools,
    port: u16,
    keeps_data: bool,
    directory: Directory,
}

impl PrivateRedis {
    /// With `keeps_data` a restart brings back what was written; without it, it starts empty.
    pub(crate) async fn start(keeps_data: bool) -> Self {
        let tools = Tools::locate().expect("the tools are there");
        let port = free_port().expect("a port is free");
        let directory = Directory::new();
        let mut redis = Self { server: None, tools, port, keeps_data, directory };
        redis.start_again().await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forgets everything, and goes on.
    pub(crate) async fn wipe(&self) {
        let mut redis = TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        redis.write_all(b"FLUSHALL\r\n").await.expect("it listens");
        let mut answer = [0; 5];
        redis.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(&answer, b"+OK\r\n");
    }

    pub(crate) async fn kill(&mut self) {
        self.server.take().expect("it runs").kill().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().expect("it runs").stop().await;
    }

    pub(crate) async fn start_again(&mut self) {
        let directory = self.directory.join("redis");
        let server =
            RedisServer::start(&self.tools, &directory, Some(self.port), self.keeps_data).await;
        self.server = Some(server.expect(STARTS));
    }
}

pub(crate) struct PrivatePostgres {
    server: Option<PostgresServer>,
    tools: Tools,
    port: u16,
    directory: Directory,
}

impl PrivatePostgres {
    pub(crate) async fn start() -> Self {
        let tools = Tools::locate().expect("the tools are there");
        let port = free_port().expect("a port is free");
        let mut postgres = Self { server: None, tools, port, directory: Directory::new() };
        postgres.start_again().await;
        postgres.server().create_database("chat").await.expect("it can be made");
        postgres
    }

    pub(crate) fn url(&self) -> String {
        self.server().url("chat")
    }

    /// Ends it as a crash would: nothing is flushed, and the next start recovers from the log.
    pub(crate) async fn crash(&mut self) {
        let server = self.server.take().expect("it runs");
        let pid = server.pid();
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGQUIT).expect("it lives");
        let stat = format!("/proc/{pid}/stat");
        eventually("Postgres has ended", async || has_ended(Path::new(&stat))).await;
        server.stop().await;
    }

    pub(crate) async fn start_again(&mut self) {
        let directory = self.directory.join("postgres");
        // A crash of the server must lose nothing that was acknowledged: as in production.
        let server = PostgresServer::start(&self.tools, &directory, Some(self.port), true).await;
        self.server = Some(server.expect(STARTS));
    }

    /// Stops it and starts it again as a standby, which only reads.
    pub(crate) async fn restart_as_standby(&mut self) {
        let mut db = PgConnection::connect(&self.url()).await.expect("it answers");
        let data: String = sqlx::query_scalar("show data_directory")
            .fetch_one(&mut db)
            .await
            .expect("it can be shown");
        db.close().await.expect("it can be closed");
        self.server.take().expect("it runs").stop().await;
        std::fs::write(Path::new(&data).join("standby.signal"), "").expect("it can be written");
        self.start_again().await;
    }

    fn server(&self) -> &PostgresServer {
        self.server.as_ref().expect("it runs")
    }
}

/// A child that nobody has waited for stays as a zombie.
fn has_ended(stat: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(stat) else { return true };
    text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// For waits in which nothing must happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(500);
