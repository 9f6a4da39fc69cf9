//! Latencies in microseconds, recorded by many tasks at once.

use std::sync::Mutex;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::world::lock;

/// Enough that two threads rarely meet on one lock.
const SHARDS: usize = 16;
const HIGHEST_US: u64 = 600_000_000;
const DIGITS: u8 = 3;

pub(crate) struct Recorder {
    shards: Vec<Mutex<Histogram<u64>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(empty())).collect() }
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_US, DIGITS).expect("the bounds are constants")
}

impl Recorder {
    /// `by` spreads recorders over the shards.
    pub(crate) fn record(&self, by: u32, took_us: u64) {
        lock(&self.shards[by as usize % SHARDS]).saturating_record(took_us.max(1));
    }

    pub(crate) fn summary(&self) -> Latency {
        let mut all = empty();
        for shard in &self.shards {
            all.add(&*lock(shard)).expect("all shards have the same bounds");
        }
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile: f64| ms(all.value_at_quantile(quantile));
        Latency {
            count: all.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(all.max()),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Latency {
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up() {
        let recorder = Recorder::default();
        (0..1000).for_each(|value| recorder.record(value, u64::from(value) * 1000));
        let summary = recorder.summary();
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_ms - 500.0).abs() < 5.0, "{summary:?}");
        assert!((summary.p99_ms - 990.0).abs() < 5.0, "{summary:?}");
    }
}
