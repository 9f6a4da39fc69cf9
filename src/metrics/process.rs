//! The process, as the system sees it. Where there is no `/proc`, what stands there is not known.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;

use super::{Page, Sample};

/// Writes what is known of the process. Several nodes in one process all write the same.
pub(super) fn write(page: &mut Page) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        page.value(Sample::CPU_SECONDS, number(micros) / 1e6);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kilobytes) = field(&status, "VmRSS:") {
        page.value(Sample::RESIDENT_BYTES, kilobytes * 1_024.0);
    }
    if let Some(threads) = field(&status, "Threads:") {
        page.value(Sample::THREADS, threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // But for the one that reads them.
        let open = u32::try_from(open.count().saturating_sub(1)).unwrap_or(u32::MAX);
        page.value(Sample::OPEN_FDS, f64::from(open));
    }
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.value(Sample::MAX_FDS, number(i64::try_from(limit).unwrap_or(i64::MAX)));
    }
}

/// A number of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 nobody counts micros or descriptors")]
fn number(integer: i64) -> f64 {
    integer as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_by_name() {
        let status = "Name:\tchat\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(2_048.0));
        assert_eq!(field(status, "Threads:"), Some(7.0));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
