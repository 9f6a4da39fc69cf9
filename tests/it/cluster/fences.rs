//! Two owners of one partition: F9, I13 of the invariants. The stale one neither commits nor
//! publishes, and nothing is lost.

use fred::interfaces::StreamsInterface;

use crate::harness::{Load, TestApp, check_chat, message, seqs};

/// Another takes the fence while the owner lives: it notices, ends its term, and begins another.
#[tokio::test]
async fn an_owner_whose_fence_was_taken_drops_its_term_and_begins_another() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let mut loads = Vec::new();
    for _ in 0..3 {
        let chat = ann.group(&[&bob]).await;
        let reader = nodes[1].connect(&bob).await.follow(&chat);
        loads.push((Load::start(&[nodes[0].address], &ann.token, &chat), reader, chat));
    }
    for _ in 0..6 {
        loads[0].0.goes_on_by(30).await;
        nodes[0].sql("update partitions set fence = fence + 1", None).await;
    }
    for (load, reader, chat) in loads {
        load.goes_on_by(30).await;
        let outcome = load.stop().await;
        let last = check_chat(&nodes[0], &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
    let mut rejected = 0.0;
    for node in &nodes {
        rejected += node.metric("chat_fence_rejected_total").await;
    }
    assert!(rejected >= 1.0, "the fence was never tried");
}

/// Committed but not published: whoever takes over publishes it, and the sender is answered.
#[tokio::test]
async fn what_was_committed_and_not_published_is_published_by_the_next_term() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut reader, mut writer) = (app.connect(&bob).await, app.connect(&ann).await);
    assert_eq!(writer.say(&chat, "before").await, 2);
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let output = redis.keys.output(partition);
    for round in 0..3 {
        let tail: Vec<(String, Vec<(String, bytes::Bytes)>)> =
            client.xrevrange(&output, "+", "-", Some(1)).await.unwrap();
        let (fence, _) = tail[0].0.split_once('-').unwrap();
        // Above whatever the owner publishes in this term: Redis refuses its next entry.
        let top = format!("{fence}-1000000");
        let field = vec![("x", "of another owner")];
        let _: String = client.xadd(&output, false, None, top, field).await.unwrap();
        let data = message(&chat, &format!("round {round}"));
        let mut again = 0;
        // Waiters are told to try again where answers may have been missed.
        let sent = loop {
            let id = writer.ask("sendMessage", data.clone()).await;
            let answer = writer.answer(&id).await;
            if answer["ok"] == true {
                break answer["data"].clone();
            }
            assert_eq!(answer["error"]["code"], "unavailable", "{answer:#}");
            again += 1;
            assert!(again < 100, "it is never done");
        };
        assert_eq!(sent["seq"], round + 3);
    }
    reader.events(&chat, 1, 5).await;
    assert_eq!(check_chat(&app, &chat, &[]).await, 5);
    assert!(app.metric("chat_fence_rejected_total").await >= 3.0);
}

/// I13: in commit order the fence of a partition never goes back, whoever claims it meanwhile.
#[tokio::test]
async fn nodes_that_come_and_go_at_once_leave_one_owner_and_no_hole() {
    let first = TestApp::start().await;
    let ann = first.person("ann").await;
    let chat = ann.group(&[]).await;
    let edge = first.join_with(&[("NODE_ROLES", "edge")]).await;
    let load = Load::start(&[edge.address], &ann.token, &chat);
    for _ in 0..3 {
        let (mut one, mut other) = tokio::join!(first.join(), first.join());
        load.goes_on_by(50).await;
        tokio::join!(one.stop(), other.stop());
    }
    load.goes_on_by(50).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    check_chat(&first, &chat, &outcome.sent).await;
}
