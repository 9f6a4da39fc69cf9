//! The measuring window: CPU, server counters and messages between two moments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::cpu::{CpuRow, CpuSample};
use super::metrics::Scrape;
use crate::cluster::Cluster;
use crate::world::World;

pub(crate) struct Window {
    http: reqwest::Client,
    cluster_file: PathBuf,
    from: Instant,
    acked: u64,
    delivered: u64,
    cpu: CpuSample,
    metrics: Scrape,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Measured {
    pub seconds: f64,
    pub messages: u64,
    pub messages_per_second: f64,
    pub deliveries_per_second: f64,
    pub cpu: Vec<CpuRow>,
    pub counters: BTreeMap<&'static str, u64>,
}

impl Window {
    pub(crate) async fn open(world: &World, cluster_file: PathBuf) -> Result<Self> {
        let http = reqwest::Client::new();
        let cluster = Cluster::load_steady(&cluster_file).await?;
        let metrics = Scrape::take(&http, &cluster).await;
        world.live.open_window(world.now_us());
        Ok(Self {
            http,
            cluster_file,
            from: Instant::now(),
            acked: world.live.acked.load(Ordering::Relaxed),
            delivered: world.live.delivered.load(Ordering::Relaxed),
            cpu: CpuSample::take(&cluster),
            metrics,
        })
    }

    pub(crate) async fn close(self, world: &World) -> Result<Measured> {
        world.live.close_window(world.now_us());
        let seconds = self.from.elapsed().as_secs_f64();
        let messages = world.live.acked.load(Ordering::Relaxed) - self.acked;
        let delivered = world.live.delivered.load(Ordering::Relaxed) - self.delivered;
        let cluster = Cluster::load_steady(&self.cluster_file).await?;
        let cpu = self.cpu.until(&CpuSample::take(&cluster), messages);
        let metrics = Scrape::take(&self.http, &cluster).await;
        Ok(Measured {
            seconds,
            messages,
            messages_per_second: messages as f64 / seconds,
            deliveries_per_second: delivered as f64 / seconds,
            cpu,
            counters: self.metrics.until(&metrics),
        })
    }
}
