//! CPU time by process over the measuring window.
//!
//! A process counts only if it lived through the window: a restarted node's figure would be that
//! of half a run. Postgres is its whole family; children that were born in the window count from
//! zero, since a pool opens connections when load begins.

use std::collections::HashMap;

use serde::Serialize;

use crate::cluster::Cluster;
use crate::proc::{Stat, family, stat};

pub(crate) struct CpuSample {
    parts: Vec<(String, Part)>,
}

struct Part {
    root: (i32, u64),
    cpu_us: HashMap<(i32, u64), u64>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct CpuRow {
    pub process: String,
    /// `None` where the process did not live through the window.
    pub cpu_us: Option<u64>,
    pub us_per_message: Option<f64>,
}

pub(crate) const GENERATOR: &str = "loadtest";

impl CpuSample {
    pub(crate) fn take(cluster: &Cluster) -> Self {
        let mut parts = Vec::new();
        for node in &cluster.nodes {
            parts.extend(single(node.name.clone(), node.pid));
        }
        let many = cluster.redis().len() > 1;
        for (index, redis) in cluster.redis().iter().enumerate() {
            let name = if many { format!("redis{index}") } else { "redis".to_owned() };
            parts.extend(single(name, redis.pid));
        }
        if let Some(postgres) = &cluster.postgres
            && let Some(root) = stat(postgres.pid)
        {
            let cpu_us = family(postgres.pid).into_iter().map(entry).collect();
            let root = (postgres.pid, root.started);
            parts.push(("postgres".to_owned(), Part { root, cpu_us }));
        }
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        parts.extend(single(GENERATOR.to_owned(), me));
        Self { parts }
    }

    /// What each part used between `self` and `end`.
    pub(crate) fn until(&self, end: &Self, messages: u64) -> Vec<CpuRow> {
        self.parts
            .iter()
            .map(|(name, start)| {
                let end = end.parts.iter().find(|(other, _)| other == name);
                let cpu_us = end.and_then(|(_, end)| used(start, end));
                let us_per_message =
                    cpu_us.filter(|_| messages > 0).map(|cpu_us| cpu_us as f64 / messages as f64);
                CpuRow { process: name.clone(), cpu_us, us_per_message }
            })
            .collect()
    }
}

fn single(name: String, pid: i32) -> Option<(String, Part)> {
    let stat = stat(pid)?;
    let (key, cpu_us) = entry((pid, stat));
    Some((name, Part { root: key, cpu_us: HashMap::from([(key, cpu_us)]) }))
}

fn entry((pid, stat): (i32, Stat)) -> ((i32, u64), u64) {
    ((pid, stat.started), stat.cpu_us)
}

fn used(start: &Part, end: &Part) -> Option<u64> {
    (start.root == end.root).then(|| {
        let since = |(key, &now): (&(i32, u64), &u64)| {
            now.saturating_sub(start.cpu_us.get(key).copied().unwrap_or(0))
        };
        end.cpu_us.iter().map(since).sum()
    })
}

/// The server side of a message; the generator is not part of it.
pub(crate) fn server_total(rows: &[CpuRow]) -> Option<u64> {
    rows.iter().filter(|row| row.process != GENERATOR).map(|row| row.cpu_us).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(root: (i32, u64), times: &[((i32, u64), u64)]) -> CpuSample {
        let part = Part { root, cpu_us: times.iter().copied().collect() };
        CpuSample { parts: vec![("n1".to_owned(), part)] }
    }

    #[test]
    fn children_born_in_the_window_count_and_a_restarted_process_does_not() {
        let start = sample((1, 9), &[((1, 9), 100), ((2, 9), 50), ((3, 9), 70)]);
        let end = sample((1, 9), &[((1, 9), 150), ((2, 9), 60), ((4, 11), 40)]);
        let rows = start.until(&end, 10);
        assert_eq!(rows[0].cpu_us, Some(100));
        assert_eq!(rows[0].us_per_message, Some(10.0));
        assert_eq!(server_total(&rows), Some(100));
        // The same pid with another start is another process.
        let restarted = sample((1, 12), &[((1, 12), 10)]);
        let rows = start.until(&restarted, 10);
        assert_eq!(rows[0].cpu_us, None);
        assert_eq!(server_total(&rows), None);
    }
}
