//! Faults while the load runs: nodes killed or paused, Redis wiped.
//!
//! Each is checked for its effect in the process table and printed. `cluster.json` is read anew
//! each time, since the supervisor writes the pids of what it restarted into it.

mod acts;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use crate::cluster::Cluster;
use crate::proc::is_alive;
use crate::rest::Rest;
use crate::world::lock;

const HEAL_WITHIN: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Faults")]
pub(crate) struct FaultArgs {
    /// SIGKILL one node after the other, this often
    #[arg(long, value_name = "TIME", value_parser = crate::parse_duration)]
    kill_node_every: Option<Duration>,
    /// SIGSTOP one node after the other, this often
    #[arg(long, value_name = "TIME", value_parser = crate::parse_duration)]
    pause_node_every: Option<Duration>,
    /// How long a paused node stays stopped
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = crate::parse_duration)]
    pause_for: Duration,
    /// Stop Redis, delete its data, kill it, this often
    #[arg(long, value_name = "TIME", value_parser = crate::parse_duration)]
    wipe_redis_every: Option<Duration>,
}

impl FaultArgs {
    pub(crate) fn are_asked_for(&self) -> bool {
        self.kinds().next().is_some()
    }

    fn kinds(&self) -> impl Iterator<Item = (Kind, Duration)> {
        let all = [
            (Kind::KillNode, self.kill_node_every),
            (Kind::PauseNode(self.pause_for), self.pause_node_every),
            (Kind::WipeRedis, self.wipe_redis_every),
        ];
        all.into_iter().filter_map(|(kind, every)| Some((kind, every?)))
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    KillNode,
    PauseNode(Duration),
    WipeRedis,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FaultEvent {
    pub at_s: f64,
    pub what: String,
    pub effective: bool,
    pub note: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FaultReport {
    pub effective: u64,
    pub events: Vec<FaultEvent>,
}

/// The running faults; dropping it ends them and lets stopped processes go on.
pub(crate) struct Faults {
    tasks: JoinSet<()>,
    events: Arc<Mutex<Vec<FaultEvent>>>,
    file: PathBuf,
}

impl Faults {
    pub(crate) fn start(args: &FaultArgs, file: &Path) -> Option<Self> {
        let mut faults =
            Self { tasks: JoinSet::new(), events: Arc::default(), file: file.to_owned() };
        for (kind, every) in args.kinds() {
            let (events, file) = (Arc::clone(&faults.events), file.to_owned());
            faults.tasks.spawn(repeat(kind, every, file, events));
        }
        args.are_asked_for().then_some(faults)
    }

    /// Ends the faults and waits until everything is up again.
    pub(crate) async fn heal(mut self, http: &reqwest::Client) -> Result<FaultReport> {
        // Aborting drops the guards of stopped processes, which lets them go on.
        self.tasks.shutdown().await;
        let deadline = Instant::now() + HEAL_WITHIN;
        while !is_healthy(http, &self.file).await {
            ensure!(Instant::now() < deadline, "the cluster did not heal within {HEAL_WITHIN:?}");
            sleep(Duration::from_millis(300)).await;
        }
        let events = lock(&self.events).clone();
        let effective = events.iter().filter(|event| event.effective).count() as u64;
        eprintln!("faults: {effective} of {} had an effect; all is healed", events.len());
        Ok(FaultReport { effective, events })
    }
}

async fn repeat(kind: Kind, every: Duration, file: PathBuf, events: Arc<Mutex<Vec<FaultEvent>>>) {
    let started = Instant::now();
    let mut ticks = interval_at((started + every).into(), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0.. {
        ticks.tick().await;
        let at_s = started.elapsed().as_secs_f64();
        let done = match kind {
            Kind::KillNode => acts::kill_node(&file, round).await,
            Kind::PauseNode(pause) => acts::pause_node(&file, round, pause).await,
            Kind::WipeRedis => acts::wipe_redis(&file, round).await,
        };
        let event = match done {
            Ok(done) => FaultEvent { at_s, what: done.what, effective: true, note: done.note },
            Err(error) => {
                let note = format!("{error:#}");
                FaultEvent { at_s, what: format!("{kind:?}"), effective: false, note }
            }
        };
        let outcome = if event.effective { "took effect" } else { "had NO effect" };
        eprintln!("fault at {at_s:.1} s: {} {outcome}: {}", event.what, event.note);
        lock(&events).push(event);
    }
}

/// Every pid in the file lives and every node says that it is ready.
async fn is_healthy(http: &reqwest::Client, file: &Path) -> bool {
    // The supervisor may be in the middle of writing the file.
    let Ok(cluster) = Cluster::load(file) else { return false };
    let redis = cluster.redis().iter().map(|part| part.pid);
    let mut pids = cluster.nodes.iter().map(|node| node.pid).chain(redis);
    if !pids.all(is_alive) {
        return false;
    }
    for node in &cluster.nodes {
        if !Rest::new(http.clone(), &node.url).is_ready().await {
            return false;
        }
    }
    true
}
