//! The last word: the summary line, the tables, the examples, the verdict, and the same as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde::Serialize;

use super::cpu::{GENERATOR, server_total};
use super::latency::Latency;
use super::window::Measured;
use crate::faults::FaultReport;
use crate::oracle::tally::{Kind, Tally};
use crate::world::{Live, World, lock};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Ok,
    Fail,
    Unknown,
}

impl Verdict {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Fail => 1,
            Self::Unknown => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What the oracle found, summed over rooms.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub tally: Tally,
    pub delivered: u64,
    pub stored: u64,
    /// Rooms whose history could not be read, and why.
    pub unread: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    verdict: Verdict,
    reasons: Vec<String>,
    sent: u64,
    acked: u64,
    delivered: u64,
    stored: u64,
    retried: u64,
    violations: BTreeMap<&'static str, u64>,
    examples: Vec<String>,
    ack: Latency,
    delivery: Latency,
    generator: BTreeMap<&'static str, u64>,
    ends_of_connections: BTreeMap<String, u64>,
    measured: Measured,
    faults: Option<FaultReport>,
    rooms: usize,
    connections: usize,
}

impl Report {
    pub(crate) fn new(
        world: &World,
        findings: &Findings,
        measured: Measured,
        faults: Option<FaultReport>,
    ) -> Self {
        let acked = load(&world.live.acked);
        let (verdict, reasons) = decide(acked, findings, faults.as_ref());
        let violations = all_kinds().map(|kind| (kind.name(), findings.tally.count(kind)));
        Self {
            verdict,
            reasons,
            sent: load(&world.live.sent),
            acked,
            delivered: findings.delivered,
            stored: findings.stored,
            retried: retried(world),
            violations: violations.collect(),
            examples: findings.tally.examples().collect(),
            ack: world.live.acks.summary(),
            delivery: world.live.deliveries.summary(),
            generator: generator(&world.live),
            ends_of_connections: lock(&world.live.closes).clone().into_iter().collect(),
            measured,
            faults,
            rooms: world.rooms.len(),
            connections: world.seats.len(),
        }
    }

    pub(crate) fn print(&self) {
        println!("{}", self.summary_line());
        println!("{}", self.others_line());
        println!("{}", self.table());
        for reason in &self.reasons {
            println!("{reason}");
        }
        for example in &self.examples {
            println!("  e.g. {example}");
        }
        println!("verdict={}", self.verdict.name());
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.verdict.exit_code()
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn count(&self, kind: Kind) -> u64 {
        self.violations.get(kind.name()).copied().unwrap_or(0)
    }

    fn summary_line(&self) -> String {
        format!(
            "sent={} acked={} delivered={} lost={} duplicated={} reordered={} gaps={} retried={} \
             ack_p50_ms={:.2} ack_p99_ms={:.2} delivery_p99_ms={:.2}",
            self.sent,
            self.acked,
            self.delivered,
            self.count(Kind::Lost),
            self.count(Kind::Duplicated),
            self.count(Kind::Reordered),
            self.count(Kind::Gap),
            self.retried,
            self.ack.p50_ms,
            self.ack.p99_ms,
            self.delivery.p99_ms,
        )
    }

    fn others_line(&self) -> String {
        let kinds = Kind::OTHERS.iter().map(|kind| (kind.name(), self.count(*kind)));
        let pairs = kinds.chain(self.generator.iter().map(|(name, count)| (*name, *count)));
        pairs.map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> String {
        let measured = &self.measured;
        let mut text = format!(
            "rooms={} connections={} window_s={:.1} messages={} messages_per_s={:.0} \
             deliveries_per_s={:.0} ack_p999_ms={:.1} ack_max_ms={:.1} delivery_p50_ms={:.1}\n",
            self.rooms,
            self.connections,
            measured.seconds,
            measured.messages,
            measured.messages_per_second,
            measured.deliveries_per_second,
            self.ack.p999_ms,
            self.ack.max_ms,
            self.delivery.p50_ms,
        );
        text.push_str("process        cpu_ms  us/message\n");
        for row in &measured.cpu {
            let note = if row.process == GENERATOR { "  (not in the total)" } else { "" };
            let figures = cpu_cells(row.cpu_us, row.us_per_message);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:<10} {figures}{note}", row.process);
        }
        let total = server_total(&measured.cpu);
        let each = total.filter(|_| measured.messages > 0);
        let each = each.map(|cpu_us| cpu_us as f64 / measured.messages as f64);
        let _ = writeln!(text, "{:<10} {}", "server", cpu_cells(total, each));
        for (name, count) in &measured.counters {
            let _ = write!(text, "{name}={count} ");
        }
        for (reason, count) in &self.ends_of_connections {
            let _ = write!(text, "\nconnections ended by {reason:?}: {count}");
        }
        text
    }
}

fn cpu_cells(cpu_us: Option<u64>, each: Option<f64>) -> String {
    match (cpu_us, each) {
        (Some(cpu_us), Some(each)) => format!("{:>10} {each:>11.1}", cpu_us / 1000),
        (Some(cpu_us), None) => format!("{:>10}           -", cpu_us / 1000),
        (None, _) => " did not live through the window".to_owned(),
    }
}

fn decide(acked: u64, findings: &Findings, faults: Option<&FaultReport>) -> (Verdict, Vec<String>) {
    let mut reasons: Vec<String> =
        findings.unread.iter().map(|why| format!("history unread: {why}")).collect();
    if acked == 0 {
        reasons.push("nothing was acknowledged".to_owned());
    }
    if faults.is_some_and(|faults| faults.effective == 0) {
        reasons.push("no fault had any effect".to_owned());
    }
    let verdict = match (findings.tally.is_clean(), reasons.is_empty()) {
        // What was found stays found, even if more was left unread.
        (false, _) => Verdict::Fail,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Ok,
    };
    (verdict, reasons)
}

fn retried(world: &World) -> u64 {
    let in_room = |book: &[crate::world::Entry]| {
        book.iter().filter(|entry| entry.attempts > 1).count() as u64
    };
    world.rooms.iter().map(|room| in_room(&room.book())).sum()
}

fn generator(live: &Live) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("late_sends", load(&live.late)),
        ("dropped", load(&live.dropped)),
        ("reconnects", load(&live.reconnects)),
        ("syncs", load(&live.syncs)),
        ("resyncs", load(&live.resyncs)),
        ("delivered_by_sync", load(&live.delivered_by_sync)),
    ])
}

fn all_kinds() -> impl Iterator<Item = Kind> {
    [Kind::Lost, Kind::Duplicated, Kind::Reordered, Kind::Gap].into_iter().chain(Kind::OTHERS)
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(effective: u64) -> FaultReport {
        FaultReport { effective, events: Vec::new() }
    }

    fn verdict(acked: u64, findings: &Findings, faults: Option<&FaultReport>) -> Verdict {
        decide(acked, findings, faults).0
    }

    #[test]
    fn ok_needs_acks_a_full_reading_and_faults_with_effect() {
        let clean = Findings::default();
        assert_eq!(verdict(1, &clean, None), Verdict::Ok);
        assert_eq!(verdict(1, &clean, Some(&faults(1))), Verdict::Ok);
        assert_eq!(verdict(0, &clean, None), Verdict::Unknown);
        assert_eq!(verdict(1, &clean, Some(&faults(0))), Verdict::Unknown);
        let unread = Findings { unread: vec!["x".to_owned()], ..Findings::default() };
        assert_eq!(verdict(1, &unread, None), Verdict::Unknown);
    }

    #[test]
    fn a_violation_of_any_kind_fails_the_run() {
        for kind in all_kinds() {
            let mut findings = Findings::default();
            findings.tally.note(kind, || "planted".to_owned());
            assert_eq!(verdict(1, &findings, None), Verdict::Fail, "{kind:?}");
            findings.unread.push("x".to_owned());
            assert_eq!(verdict(1, &findings, Some(&faults(0))), Verdict::Fail, "{kind:?}");
        }
    }
}
