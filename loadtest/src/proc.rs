//! What `/proc` says of a process: its state, its CPU time, its memory, its descendants.

use std::collections::HashMap;

/// The kernel reports times in ticks of 10 ms (`USER_HZ`, 100 on every Linux in use).
const MICROS_PER_TICK: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub state: char,
    pub parent: i32,
    pub cpu_us: u64,
    /// In ticks since boot; together with the pid it names a process for good.
    pub started: u64,
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name is in parentheses and may hold anything, so fields count from the last one.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        cpu_us: (number(11)? + number(12)?) * MICROS_PER_TICK,
        started: number(19)?,
    })
}

/// Alive, and not merely waiting to be reaped.
pub(crate) fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

pub(crate) fn is_stopped(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
}

pub(crate) fn rss_bytes(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The process and everything below it.
pub(crate) fn family(root: i32) -> Vec<(i32, Stat)> {
    let all: HashMap<i32, Stat> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    all.iter()
        .filter(|&(&pid, _)| descends(&all, pid, root))
        .map(|(&pid, &stat)| (pid, stat))
        .collect()
}

fn descends(all: &HashMap<i32, Stat>, mut pid: i32, root: i32) -> bool {
    // A chain longer than this is a race with pid reuse, not a family.
    for _ in 0..64 {
        if pid == root {
            return true;
        }
        match all.get(&pid) {
            Some(stat) if stat.parent > 0 => pid = stat.parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "12 (a (b) c) S 3 12 12 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 777 1 1";
        let stat = parse_stat(line).expect("parses");
        assert_eq!(stat, Stat { state: 'S', parent: 3, cpu_us: 3_000_000, started: 777 });
    }

    #[test]
    fn this_process_is_alive_and_of_its_own_family() {
        let me = i32::try_from(std::process::id()).expect("pids are small");
        assert!(is_alive(me) && !is_stopped(me));
        assert!(rss_bytes(me).expect("has memory") > 0);
        assert!(family(me).iter().any(|(pid, _)| *pid == me));
        assert!(!is_alive(0));
    }
}
