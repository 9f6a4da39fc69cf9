//! Marks while parts are away, or forget everything.

use std::time::Duration;

use serde_json::json;

use super::{is_stored, mark, open, say, standing, stored};
use crate::harness::{PrivateRedis, TestApp, check_chat, eventually};

#[tokio::test]
async fn a_redis_that_was_wiped_costs_a_moments_marks_and_never_one_that_was_stored() {
    let redis = PrivateRedis::start(false).await;
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let other = app.join().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, other.connect(&bob).await);
    open(&mut by_ann, &chat).await;
    say(&mut by_ann, &chat, 20).await;
    mark(&mut by_bob, &chat, 10).await;
    is_stored(&app, &chat, &bob, 10).await;
    mark(&mut by_bob, &chat, 15).await;
    redis.wipe().await;
    let (read_seq, unread) = standing(&bob.http, &chat).await;
    assert!(read_seq == 10 || read_seq == 15, "{read_seq}");
    assert_eq!(read_seq + unread, 21);
    // A lower one than what is stored stays without effect, though Redis knows of nothing.
    assert!(mark(&mut by_bob, &chat, 4).await["readSeq"].as_i64().unwrap() >= 10);
    // What the client shows it marks again.
    assert_eq!(mark(&mut by_bob, &chat, 15).await["readSeq"], 15);
    is_stored(&app, &chat, &bob, 15).await;
    mark(&mut by_bob, &chat, 21).await;
    eventually("marks are told again", async || by_ann.push("readReceipt").await["readSeq"] == 21)
        .await;
    check_chat(&app, &chat, &[]).await;
}

#[tokio::test]
async fn while_redis_is_away_marks_go_straight_to_postgres() {
    let mut redis = PrivateRedis::start(false).await;
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let mut phone = app.connect(&bob).await;
    open(&mut by_ann, &chat).await;
    say(&mut by_ann, &chat, 10).await;
    redis.kill().await;
    let marked = mark(&mut by_bob, &chat, 7).await;
    assert_eq!((&marked["readSeq"], &marked["unreadCount"]), (&json!(7), &json!(4)));
    assert_eq!(stored(&app, &chat, &bob).await, 7, "an answer means: in Postgres");
    assert_eq!(standing(&bob.http, &chat).await, (7, 4));
    assert_eq!(phone.push("chatStateChanged").await["readSeq"], 7, "those who are here hear of it");
    assert_eq!(by_ann.push("readReceipt").await["readSeq"], 7);
    assert_eq!(mark(&mut by_bob, &chat, 3).await["readSeq"], 7);
    redis.start_again().await;
    let direct = app.metric("chat_receipt_calls_total").await;
    eventually("Redis takes them again", async || {
        assert_eq!(mark(&mut by_bob, &chat, 8).await["readSeq"], 8);
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.metric("chat_receipt_calls_total").await > direct + 3.0
    })
    .await;
    mark(&mut by_bob, &chat, 9).await;
    is_stored(&app, &chat, &bob, 9).await;
    check_chat(&app, &chat, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_killed_between_mark_and_storing_leaves_its_marks_to_the_next() {
    let edge = TestApp::start_with(&[("NODE_ROLES", "edge")]).await;
    let mut owner = edge.join_process().await;
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (edge.connect(&ann).await, edge.connect(&bob).await);
    let last = say(&mut by_ann, &chat, 5).await;
    owner.kill().await;
    assert_eq!(mark(&mut by_bob, &chat, last).await["unreadCount"], 0);
    assert_eq!(standing(&bob.http, &chat).await, (last, 0));
    assert_eq!(stored(&edge, &chat, &bob).await, 0, "nobody is there who would");
    let _next = edge.join_process().await;
    is_stored(&edge, &chat, &bob, last).await;
    check_chat(&edge, &chat, &[]).await;
}

/// Who shuts down stores what it owns before the next owner comes.
#[tokio::test]
async fn the_last_node_to_end_stores_the_last_marks() {
    let mut app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let last = say(&mut by_ann, &chat, 5).await;
    is_stored(&app, &chat, &ann, last).await;
    // Owned for longer than a round takes.
    mark(&mut by_bob, &chat, 3).await;
    is_stored(&app, &chat, &bob, 3).await;
    mark(&mut by_bob, &chat, last).await;
    app.stop().await;
    assert_eq!(stored(&app, &chat, &bob).await, last);
}
