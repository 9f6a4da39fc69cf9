//! The supervisor: `chat-service dev`.
//!
//! It starts Postgres, Redis and S3, migrates, makes an operator's account where there is none,
//! starts the nodes, says `ready`, and from then on restarts whatever dies, with the data it has and
//! at the address it had. It ends what it started in the opposite order.
//!
//! *Failure*: if the supervisor itself is killed, nodes and S3 end by themselves, since their
//! standard input ends; Postgres and Redis are ended by the next `dev` or by `dev --stop`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::blueprint::Blueprint;
use super::board::Board;
use super::cluster_file;
use super::console::{say, tail};
use super::keeper::Keeper;
use super::registry::{self, Processes, Registry};
use super::{DevOptions, Tools};

const ONCE_LIMIT: Duration = Duration::from_mins(2);
const READY_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// A part that dies this often before it was ready once will not become ready.
const DEATHS_LIMIT: u32 = 4;

/// A signal this long after the first one is a second wish.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// Runs the cluster until Ctrl-C, SIGTERM or SIGHUP.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let dir = std::path::absolute(&options.dir)?;
    let _lock = take(&dir).await?;
    let mut supervisor = Supervisor::default();
    let result = tokio::select! {
        result = supervisor.start(&options, &dir) => result.map(|()| true),
        () = signals.recv() => Ok(false),
    };
    if matches!(result, Ok(true)) {
        signals.recv().await;
    }
    // A second Ctrl-C: dropping the keepers kills what still runs.
    tokio::select! {
        () = supervisor.stop() => {}
        () = signals.recv_later() => say("killing what has not ended yet"),
    }
    result.map(drop)
}

/// The directory for ourselves alone, with nothing of an earlier supervisor left running in it.
async fn take(dir: &Path) -> anyhow::Result<File> {
    let Some(lock) = registry::lock(dir)? else {
        let pid = Processes::read(dir).supervisor.map(|identity| identity.pid.to_string());
        bail!(
            "a cluster runs in {} already (pid {}); end it with `make stop`",
            dir.display(),
            pid.unwrap_or_else(|| "unknown".to_owned()),
        );
    };
    let _ = std::fs::remove_file(dir.join(cluster_file::NAME));
    let leftovers = Processes::read(dir);
    if !leftovers.running().is_empty() {
        say("ending what an earlier cluster has left running");
        leftovers.end().await;
    }
    // Before the first part exists, so that `--stop` finds us during `initdb` already.
    Registry::new(dir)?;
    Ok(lock)
}

#[derive(Default)]
struct Supervisor {
    board: Option<Arc<Board>>,
    /// In the order of their start; the parts of one stage do not need each other.
    stages: Vec<Vec<Keeper>>,
}

impl Supervisor {
    async fn start(&mut self, options: &DevOptions, dir: &Path) -> anyhow::Result<()> {
        let began = Instant::now();
        let blueprint = Blueprint::draw(options, dir, &Tools::locate()?).await?;
        let board = Arc::new(Board::new(dir, blueprint.cluster_file())?);
        self.board = Some(Arc::clone(&board));
        for stage in blueprint.store_plans() {
            let keepers = stage.into_iter().map(|plan| Keeper::start(plan, Arc::clone(&board)));
            self.stages.push(keepers.collect());
        }
        self.stores_ready(&blueprint).await?;
        blueprint.postgres.create_database(super::blueprint::DATABASE).await?;
        once(&blueprint, "migrate", blueprint.migrate_command(), "").await?;
        let password = &blueprint.admin_password;
        once(&blueprint, "admin", blueprint.admin_command(), password).await?;

        let keepers = blueprint.node_plans();
        let keepers = keepers.into_iter().map(|plan| Keeper::start(plan, Arc::clone(&board)));
        self.stages.push(keepers.collect());
        for node in &blueprint.nodes {
            until_ready(&board, &blueprint, &node.name, async || node.is_ready().await).await?;
        }
        board.publish();
        let urls: Vec<String> = blueprint.nodes.iter().map(super::node::NodeSite::url).collect();
        say(&format!("ready in {:.1} s: {}", began.elapsed().as_secs_f32(), urls.join(" ")));
        say("Ctrl-C or `make stop` ends it; logs are in the directory `log` beside cluster.json");
        Ok(())
    }

    async fn stores_ready(&self, blueprint: &Blueprint) -> anyhow::Result<()> {
        let Some(board) = &self.board else { return Ok(()) };
        let postgres = &blueprint.postgres;
        until_ready(board, blueprint, "postgres", async || postgres.is_ready().await).await?;
        for (name, redis) in &blueprint.redis {
            until_ready(board, blueprint, name, async || redis.is_ready().await).await?;
        }
        let s3 = blueprint.s3_address;
        let is_open = async || tokio::net::TcpStream::connect(s3).await.is_ok();
        until_ready(board, blueprint, "s3", is_open).await
    }

    /// Nodes first, so that they can hand over while their stores are there.
    async fn stop(&mut self) {
        let Some(board) = self.board.clone() else { return };
        board.withdraw();
        while let Some(stage) = self.stages.pop() {
            join_all(stage.into_iter().map(Keeper::end)).await;
        }
        board.close();
    }
}

async fn until_ready(
    board: &Board,
    blueprint: &Blueprint,
    name: &str,
    is_ready: impl AsyncFn() -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    while !is_ready().await {
        let reason = if board.deaths(name) >= DEATHS_LIMIT {
            "keeps ending"
        } else if Instant::now() > deadline {
            "does not become ready"
        } else {
            sleep(POLL).await;
            continue;
        };
        bail!("{name} {reason}{}", tail(&blueprint.log(name)));
    }
    Ok(())
}

/// Runs a command of this program to its end, with something on its standard input.
async fn once(
    blueprint: &Blueprint,
    name: &str,
    command: std::process::Command,
    input: &str,
) -> anyhow::Result<()> {
    let log: PathBuf = blueprint.log(name);
    let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
    command.kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
    let mut stdin = child.stdin.take().context("it has a standard input")?;
    let running = async {
        // One that ends without reading is judged by its status.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait().await
    };
    let status = timeout(ONCE_LIMIT, running).await;
    let status = status.with_context(|| format!("{name} does not end"))??;
    ensure!(status.success(), "{name} failed ({status}){}", tail(&log));
    Ok(())
}

/// What asks the supervisor to end; SIGHUP is a closed terminal.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// One signal may come as several: to the process, to its group, and passed on by `make`.
    async fn recv_later(&mut self) {
        let since = Instant::now();
        loop {
            self.recv().await;
            if since.elapsed() > IMPATIENCE {
                return;
            }
        }
    }

    async fn recv(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
