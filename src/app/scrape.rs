//! What Prometheus gets: what was counted, and how things stand at this moment.
//!
//! Whatever has to be asked is asked here, with a limit: a store that does not answer costs the page
//! 2 s, and what it would have said is left out.

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::fanout::hub::Hub;
use crate::health::{Health, Status};
use crate::log::append::ChatLog;
use crate::log::shard::Shards;
use crate::metrics::{Page, Sample};
use crate::model::time::Timestamp;
use crate::store::{Pool, Standing};
use crate::writer::Lag;

/// The commit that a build was made from, where whoever built it said so.
const COMMIT: Option<&str> = option_env!("CHAT_COMMIT");

pub(super) struct Scrape {
    pub(super) node: String,
    pub(super) partitions: u16,
    pub(super) started: Timestamp,
    pub(super) printer: PrometheusHandle,
    pub(super) health: Health,
    pub(super) shards: Shards,
    pub(super) pools: Vec<Pool>,
    pub(super) hub: Hub,
    /// Of a node that serves clients.
    pub(super) log: Option<ChatLog>,
    /// One a lane; none where the node does not write.
    pub(super) lags: Vec<Lag>,
}

impl Scrape {
    pub(super) async fn page(&self) -> String {
        let (lag, health) =
            tokio::join!(join_all(self.lags.iter().map(Lag::look)), Box::pin(self.health.report()));
        let checks = &health.checks;
        let mut page = Page::new(self.printer.render(), &self.node);
        let labels = [("version", health.version), ("commit", COMMIT.unwrap_or("unknown"))];
        page.values(Sample::BUILD_INFO, [(labels, 1.0)]);
        page.value(Sample::START_TIME, seconds(self.started));
        page.value(Sample::READY, flag(Box::pin(self.health.is_ready()).await));
        page.value(Sample::DRAINING, flag(self.health.is_draining()));
        let named = [
            ("postgres", Some(checks.database)),
            ("redis", Some(checks.redis)),
            ("storage", checks.storage),
        ];
        let up = named.into_iter().filter_map(|(name, status)| {
            Some(([("dependency", name)], flag(status? == Status::Ok)))
        });
        page.values(Sample::DEPENDENCY_UP, up);
        self.stores(&mut page);
        page.value(Sample::PARTITIONS, f64::from(self.partitions));
        let owned: Vec<String> =
            self.lags.iter().flat_map(|lag| lag.standing.owned()).map(|p| p.to_string()).collect();
        let owned = owned.iter().map(|partition| ([("partition", partition.as_str())], 1.0));
        page.values(Sample::PARTITION_OWNED, owned);
        let behind: Vec<_> = lag
            .into_iter()
            .flatten()
            .map(|behind| (behind.partition.to_string(), behind))
            .collect();
        let entries = behind.iter().map(|(p, at)| ([("partition", p.as_str())], large(at.entries)));
        page.values(Sample::WRITER_LAG_ENTRIES, entries);
        let waited =
            behind.iter().map(|(p, at)| ([("partition", p.as_str())], at.waited.as_secs_f64()));
        page.values(Sample::WRITER_LAG_SECONDS, waited);
        self.clients(&mut page);
        runtime(&mut page);
        page.process();
        page.finish()
    }

    fn stores(&self, page: &mut Page) {
        // A pool a shard is one to look at.
        let mut pools: Vec<Standing> = Vec::new();
        for now in self.pools.iter().map(Standing::of) {
            match pools.iter_mut().find(|known| known.name == now.name) {
                Some(known) => {
                    known.in_use += now.in_use;
                    known.idle += now.idle;
                    known.most += now.most;
                }
                None => pools.push(now),
            }
        }
        let by_state = pools.iter().flat_map(|pool| {
            let of = |state, count| ([("pool", pool.name), ("state", state)], f64::from(count));
            [of("in_use", pool.in_use), of("idle", pool.idle)]
        });
        page.values(Sample::POSTGRES_CONNECTIONS, by_state);
        let most = pools.iter().map(|pool| ([("pool", pool.name)], f64::from(pool.most)));
        page.values(Sample::POSTGRES_CONNECTIONS_MAX, most);
        let shards: Vec<_> =
            self.shards.all().iter().map(|shard| (shard.index.to_string(), shard)).collect();
        let up =
            shards.iter().map(|(n, shard)| ([("shard", n.as_str())], flag(shard.is_connected())));
        page.values(Sample::REDIS_CONNECTED, up);
        let queued =
            shards.iter().map(|(n, shard)| ([("shard", n.as_str())], small(shard.queued())));
        page.values(Sample::REDIS_COMMANDS_QUEUED, queued);
    }

    fn clients(&self, page: &mut Page) {
        page.value(Sample::ROOMS, small(self.hub.room_count()));
        if let Some(log) = &self.log {
            page.value(Sample::COMMANDS_WAITING, small(log.pending().count()));
            page.value(Sample::PARTITIONS_BACKLOGGED, small(log.backlogged()));
        }
    }
}

fn runtime(page: &mut Page) {
    let runtime = tokio::runtime::Handle::current().metrics();
    let workers = runtime.num_workers();
    page.value(Sample::RUNTIME_WORKERS, small(workers));
    page.value(Sample::RUNTIME_TASKS, small(runtime.num_alive_tasks()));
    page.value(Sample::RUNTIME_QUEUED_TASKS, small(runtime.global_queue_depth()));
    let busy = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64());
    page.value(Sample::RUNTIME_BUSY_SECONDS, busy.sum());
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn large(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn seconds(at: Timestamp) -> f64 {
    u32::try_from(at.unix_millis() / 1_000).map_or(f64::NAN, f64::from)
}
