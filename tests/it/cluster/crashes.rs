//! Nodes that die, and nodes that were thought dead.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Load, TestApp, check_chat, seqs};

/// F1: kill -9 in the middle of sends, of writers and of the nodes that clients are on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_lose_nothing_that_was_acknowledged() {
    let edge = TestApp::start_with(&[("NODE_ROLES", "edge")]).await;
    let mut nodes = [edge.join_process().await, edge.join_process().await];
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let mut loads = Vec::new();
    for n in 0..4 {
        let chat = ann.group(&[&bob]).await;
        let reader = edge.connect(&bob).await.follow(&chat);
        let load = Load::start(&[addresses[n % 2], addresses[(n + 1) % 2]], &ann.token, &chat);
        loads.push((load, reader, chat));
    }
    for round in 0..4 {
        for (load, ..) in &loads {
            load.goes_on_by(30).await;
        }
        let victim = &mut nodes[round % 2];
        victim.kill().await;
        for (load, ..) in &loads {
            load.goes_on_by(30).await;
        }
        nodes[round % 2].start_again().await;
    }
    let mut closed = 0;
    for (load, reader, chat) in loads {
        load.goes_on_by(30).await;
        let outcome = load.stop().await;
        closed += outcome.failures.iter().filter(|code| *code == "closed").count();
        let last = check_chat(&edge, &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
    assert!(closed > 0, "no socket was cut: the kills did nothing");
}

/// F3: an owner is stopped for longer than its lease, replaced, and goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_comes_back_from_the_dead_is_stopped_by_the_fence() {
    let edge = TestApp::start_with(&[("NODE_ROLES", "edge")]).await;
    let zombie = edge.join_process().await;
    let other = edge.join_process().await;
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let mut loads = Vec::new();
    for _ in 0..6 {
        let chat = ann.group(&[&bob]).await;
        let reader = edge.connect(&bob).await.follow(&chat);
        loads.push((Load::start(&[edge.address], &ann.token, &chat), reader, chat));
    }
    let mut rejected = 0.0;
    for _ in 0..8 {
        for (load, ..) in &loads {
            load.goes_on_by(30).await;
        }
        zombie.signal(Signal::SIGSTOP);
        // Every chat goes on, so its partitions have another owner.
        for (load, ..) in &loads {
            load.goes_on_by(30).await;
        }
        zombie.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_millis(300)).await;
        rejected = zombie.metric("chat_fence_rejected_total").await;
        if rejected >= 1.0 {
            break;
        }
    }
    for (load, reader, chat) in loads {
        load.goes_on_by(30).await;
        let outcome = load.stop().await;
        let last = check_chat(&edge, &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
    assert!(rejected >= 1.0, "the fence was never tried");
    drop(other);
}
