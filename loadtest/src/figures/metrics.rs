//! The nodes' own counters, scraped before and after.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::Cluster;

/// Those worth a word at the end, by the name to print.
const COUNTERS: [(&str, &str); 5] = [
    ("fence_rejected", "chat_fence_rejected_total"),
    ("takeovers", "chat_takeovers_total"),
    ("dead_letters", "chat_dead_letters_total"),
    ("catch_ups", "chat_catch_ups_total"),
    ("slow_readers", "chat_slow_readers_total"),
];

/// By node, then by printed name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape(BTreeMap<String, BTreeMap<&'static str, f64>>);

impl Scrape {
    /// A node that does not answer is left out.
    pub(crate) async fn take(http: &reqwest::Client, cluster: &Cluster) -> Self {
        let mut scrape = Self::default();
        for node in &cluster.nodes {
            let Some(url) = &node.metrics_url else { continue };
            let asked = http.get(url).timeout(Duration::from_secs(5)).send().await;
            if let Ok(answer) = asked
                && let Ok(text) = answer.text().await
            {
                scrape.0.insert(node.name.clone(), parse(&text));
            }
        }
        scrape
    }

    /// Sums of what the nodes counted since `self`; a restarted node counts from zero.
    pub(crate) fn until(&self, end: &Self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for (node, counters) in &end.0 {
            for (&name, &now) in counters {
                let before = self.0.get(node).and_then(|old| old.get(name)).copied().unwrap_or(0.0);
                let since = if now >= before { now - before } else { now };
                *sums.entry(name).or_insert(0) += since.round() as u64;
            }
        }
        sums
    }
}

fn parse(text: &str) -> BTreeMap<&'static str, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let Some((printed, _)) = COUNTERS.iter().find(|(_, name)| *name == &line[..end]) else {
            continue;
        };
        // Behind the labels, whose values may hold blanks, comes the value.
        let rest = line.rfind('}').map_or(&line[end..], |brace| &line[brace + 1..]);
        if let Some(value) =
            rest.split_whitespace().next().and_then(|word| word.parse::<f64>().ok())
        {
            *sums.entry(*printed).or_insert(0.0) += value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE chat_takeovers_total counter\n\
        chat_takeovers_total{partition=\"1\",why=\"a b\"} 2\n\
        chat_takeovers_total{partition=\"2\"} 3 1700000000\n\
        chat_takeovers_total_created 9\n\
        chat_fence_rejected_total 4\n";

    fn scrape(counters: &[(&'static str, f64)]) -> Scrape {
        let counters = counters.iter().copied().collect();
        Scrape(BTreeMap::from([("n1".to_owned(), counters)]))
    }

    #[test]
    fn labels_are_summed_and_other_names_left_out() {
        let parsed = parse(TEXT);
        assert_eq!(parsed.len(), 2);
        assert!((parsed["takeovers"] - 5.0).abs() < f64::EPSILON);
        assert!((parsed["fence_rejected"] - 4.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_restarted_node_counts_from_zero() {
        let start = scrape(&[("takeovers", 5.0), ("catch_ups", 7.0)]);
        let end = scrape(&[("takeovers", 6.0), ("catch_ups", 2.0)]);
        assert_eq!(start.until(&end), BTreeMap::from([("takeovers", 1), ("catch_ups", 2)]));
    }
}
