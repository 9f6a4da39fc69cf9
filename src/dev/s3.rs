//! A private S3: files below a directory, requests signed (SigV4), plain HTTP on loopback.
//!
//! Tests run it inside their own process; `chat-service dev` runs it as a process of its own
//! (`dev-s3`), so that it can be killed and restarted like any other part.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use nix::sys::signal::Signal;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::plan::{Plan, StopSteps};

/// What the process logs. s3s reports every refused request as an error, a missing object included.
pub const LOG_FILTER: &str = "warn,s3s=off,s3s_fs=off";

const STOP: StopSteps = &[(Signal::SIGTERM, Duration::from_secs(5))];

/// Rest after a connection that could not be accepted, out of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl S3Server {
    /// Serves `dir` to whoever signs with the two keys; port 0 takes a free one.
    pub async fn start(
        dir: &Path,
        address: SocketAddr,
        access_key: &str,
        secret_key: &str,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let files = s3s_fs::FileSystem::new(dir)
            .map_err(|error| anyhow!("cannot serve {}: {error:?}", dir.display()))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let task = AbortOnDropHandle::new(tokio::spawn(accept(listener, builder.build())));
        Ok(Self { address, task })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and every connection with it.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Connections belong to the set, and so end with the server.
async fn accept(listener: TcpListener, service: S3Service) {
    let http = auto::Builder::new(TokioExecutor::new());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = http.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        connections.spawn(async move {
            // A client that went away is no event.
            let _ = connection.await;
        });
    }
}

/// `chat-service dev-s3`: what [`plan`] starts.
#[derive(Clone, Debug, clap::Args)]
pub struct S3Options {
    #[arg(long)]
    pub dir: PathBuf,
    #[arg(long)]
    pub addr: SocketAddr,
    #[arg(long, env = "S3_ACCESS_KEY", hide_env_values = true)]
    pub access_key: String,
    #[arg(long, env = "S3_SECRET_KEY", hide_env_values = true)]
    pub secret_key: String,
}

/// Serves until SIGTERM, or until standard input ends: then the supervisor has died.
pub async fn run(options: S3Options) -> anyhow::Result<()> {
    let S3Options { dir, addr, access_key, secret_key } = options;
    let server = S3Server::start(&dir, addr, &access_key, &secret_key).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => server.stop().await,
        () = crate::lifeline::cut() => server.stop().await,
    }
    Ok(())
}

/// The server as a part of `dev`. The keys go by the environment: arguments are seen by everybody.
pub(super) fn plan(
    program: PathBuf,
    dir: PathBuf,
    address: SocketAddr,
    keys: (String, String),
    log: PathBuf,
) -> Plan {
    let build = move || {
        let mut command = std::process::Command::new(&program);
        command.arg("dev-s3").arg("--dir").arg(&dir).args(["--addr", &address.to_string()]);
        command.env("S3_ACCESS_KEY", &keys.0).env("S3_SECRET_KEY", &keys.1);
        Ok(command)
    };
    Plan { name: "s3".into(), log, stop: STOP, has_lifeline: true, build: Box::new(build) }
}
