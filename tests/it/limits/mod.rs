//! Limits over a cluster: what passes is counted, never timed.

mod guessing;
mod proxies;
mod rates;
mod redis;
mod sockets;

use std::time::Instant;

use crate::harness::{Answer, TestApp, eventually};

/// Three nodes that know of each other.
async fn three(settings: &[(&str, &str)]) -> Vec<TestApp> {
    let mut nodes = vec![TestApp::start_with(settings).await];
    nodes.push(nodes[0].join().await);
    nodes.push(nodes[0].join().await);
    know_each_other(&nodes).await;
    nodes
}

async fn know_each_other(nodes: &[TestApp]) {
    let count = nodes.len().to_string();
    for node in nodes {
        eventually("the nodes know of each other", async || {
            node.metric("chat_limit_nodes").await.to_string() == count
        })
        .await;
    }
}

/// How many more may have come since then, of so many an hour.
fn come_since(began: Instant, an_hour: u64) -> usize {
    let more = an_hour * began.elapsed().as_secs() / 3_600 + 1;
    usize::try_from(more).expect("it is small")
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}
