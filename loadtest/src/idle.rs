//! `idle`: what a connection costs that does nothing.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::client::socket::{Buffers, Socket, connect};
use crate::cluster::{Cluster, Node};
use crate::proc::{rss_bytes, stat};
use crate::rest::{Account, Rest};

/// Connections from one source address, below the range of its ports.
const PER_SOURCE: usize = 20_000;
const AT_ONCE: usize = 64;
/// CPU use below this in a second counts as quiet.
const QUIET_CPU_US: u64 = 20_000;
const QUIET_WITHIN: Duration = Duration::from_secs(30);
/// Files that are open beside the sockets.
const SPARE_FILES: u64 = 200;

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// The node to connect to, by its name [default: the first]
    #[arg(long)]
    node: Option<String>,
    /// Accounts that share the connections
    #[arg(long, default_value_t = 50)]
    accounts: usize,
    #[arg(long, default_value = crate::CLUSTER_FILE)]
    cluster: PathBuf,
    /// Also write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Use {
    rss_bytes: u64,
    cpu_us: u64,
}

pub(crate) async fn idle(args: IdleArgs) -> Result<u8> {
    let files = crate::limits::raise_open_files();
    ensure!(
        args.connections as u64 + SPARE_FILES <= files,
        "{} connections need more than the {files} open files allowed (ulimit -n)",
        args.connections
    );
    ensure!(args.accounts > 0 && args.connections > 0, "nothing to connect");
    let cluster = Cluster::load(&args.cluster)?;
    let node = match &args.node {
        None => &cluster.nodes[0],
        Some(name) => {
            let found = cluster.nodes.iter().find(|node| node.name == *name);
            found.with_context(|| format!("no node {name}"))?
        }
    };
    let accounts = sign_up(node, args.accounts.min(args.connections)).await?;
    let before = quiet(node.pid).await?;
    let started = Instant::now();
    let (sockets, failed) = connect_all(node, &accounts, args.connections).await;
    let took = started.elapsed();
    let connected = use_of(node.pid)?;
    // Read on, so that pings are answered and nothing piles up in the node.
    let opened = sockets.len();
    let mut readers = JoinSet::new();
    for mut socket in sockets {
        readers.spawn(async move { while let Some(Ok(_)) = socket.stream.next().await {} });
    }
    let after = quiet(node.pid).await?;
    let closed = std::iter::from_fn(|| readers.try_join_next()).count();
    report(&args, node, opened, failed + closed, took, [before, connected, after])
}

fn report(
    args: &IdleArgs,
    node: &Node,
    opened: usize,
    failed: usize,
    took: Duration,
    [before, connected, after]: [Use; 3],
) -> Result<u8> {
    ensure!(opened > 0, "no connection could be opened");
    let each = after.rss_bytes.saturating_sub(before.rss_bytes) as f64 / opened as f64;
    let cpu_each = connected.cpu_us.saturating_sub(before.cpu_us) as f64 / opened as f64;
    println!(
        "node={} connections={opened} failed={failed} seconds={:.1} rss_before_bytes={} \
         rss_after_bytes={} bytes_per_connection={each:.0} cpu_us_per_connection={cpu_each:.0}",
        node.name,
        took.as_secs_f64(),
        before.rss_bytes,
        after.rss_bytes,
    );
    if let Some(path) = &args.json {
        let figures = serde_json::json!({
            "node": node.name,
            "connections": opened,
            "failed": failed,
            "seconds": took.as_secs_f64(),
            "rssBeforeBytes": before.rss_bytes,
            "rssAfterBytes": after.rss_bytes,
            "bytesPerConnection": each,
            "cpuUsPerConnection": cpu_each,
        });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    let verdict = if failed == 0 { "OK" } else { "FAIL" };
    println!("verdict={verdict}");
    Ok(u8::from(failed > 0))
}

async fn sign_up(node: &Node, count: usize) -> Result<Vec<Account>> {
    let rest = Rest::new(reqwest::Client::new(), &node.url);
    let run = Uuid::new_v4().simple().to_string();
    let password = format!("Lt-{run}");
    let calls = (0..count).map(|index| {
        let (rest, password) = (&rest, &password);
        let name = format!("i{}_{index}", &run[..8]);
        async move { rest.sign_up(&name, &name, password).await }
    });
    let signed: Vec<_> = stream::iter(calls).buffered(8).collect().await;
    signed.into_iter().collect()
}

/// Returns the open sockets and how many could not be opened.
async fn connect_all(node: &Node, accounts: &[Account], count: usize) -> (Vec<Socket>, usize) {
    let mut opening = stream::iter(0..count)
        .map(|index| {
            let token = &accounts[index % accounts.len()].token;
            let source = (count > PER_SOURCE).then(|| source_of(index));
            connect(&node.url, token, source, Buffers::IDLE)
        })
        .buffer_unordered(AT_ONCE);
    let mut sockets = Vec::with_capacity(count);
    let mut failed = 0;
    while let Some(opened) = opening.next().await {
        match opened {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                if failed < 5 {
                    eprintln!("a connection failed: {error:#}");
                }
                failed += 1;
            }
        }
    }
    (sockets, failed)
}

fn source_of(index: usize) -> Ipv4Addr {
    // 127.0.0.2 and up; the first is left to everybody else.
    let last = 2 + (index / PER_SOURCE).min(250);
    Ipv4Addr::new(127, 0, 0, last as u8)
}

/// Waits until the process hardly uses any CPU.
async fn quiet(pid: i32) -> Result<Use> {
    let deadline = Instant::now() + QUIET_WITHIN;
    let mut last = use_of(pid)?;
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = use_of(pid)?;
        let is_quiet = now.cpu_us.saturating_sub(last.cpu_us) <= QUIET_CPU_US;
        if is_quiet || Instant::now() >= deadline {
            return Ok(now);
        }
        last = now;
    }
}

fn use_of(pid: i32) -> Result<Use> {
    let rss_bytes = rss_bytes(pid).with_context(|| format!("no process {pid}"))?;
    let cpu_us = stat(pid).with_context(|| format!("no process {pid}"))?.cpu_us;
    Ok(Use { rss_bytes, cpu_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_change_before_their_ports_run_out() {
        assert_eq!(source_of(0), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(source_of(PER_SOURCE - 1), source_of(0));
        assert_eq!(source_of(PER_SOURCE), Ipv4Addr::new(127, 0, 0, 3));
    }
}
