//! Redis that restarts, or forgets everything: F5, F6.

use fred::interfaces::StreamsInterface;

use crate::harness::{Load, PrivateRedis, TestApp, check_chat, seqs};

/// Two nodes on a Redis of the test's own, loads on several chats, and a live reader of each; after
/// `fault` everything must go on.
async fn survives(mut redis: PrivateRedis, mut fault: impl AsyncFnMut(&mut PrivateRedis)) {
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("LOG_ANSWER_TIMEOUT_MS", "3000")];
    let first = TestApp::start_with(&settings).await;
    let second = first.join().await;
    let [ann, bob] = first.people(["ann", "bob"]).await;
    let mut loads = Vec::new();
    for _ in 0..4 {
        let chat = ann.group(&[&bob]).await;
        let reader = second.connect(&bob).await.follow(&chat);
        loads.push((Load::start(&[first.address], &ann.token, &chat), reader, chat));
    }
    for _ in 0..2 {
        for (load, ..) in &loads {
            load.goes_on_by(50).await;
        }
        fault(&mut redis).await;
        for (load, ..) in &loads {
            load.goes_on_by(50).await;
        }
    }
    for (load, reader, chat) in loads {
        let outcome = load.stop().await;
        let last = check_chat(&first, &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
    // New chats reach those who are there, as before.
    let mut socket = second.connect(&bob).await;
    let chat = ann.group(&[&bob]).await;
    socket.say(&chat, "text").await;
    socket.events(&chat, 0, 2).await;
}

#[tokio::test]
async fn a_redis_that_was_wiped_costs_nothing_that_was_acknowledged() {
    let redis = PrivateRedis::start(false).await;
    Box::pin(survives(redis, async |redis| redis.wipe().await)).await;
}

#[tokio::test]
async fn a_redis_that_was_killed_and_came_back_empty_costs_nothing_that_was_acknowledged() {
    let redis = PrivateRedis::start(false).await;
    Box::pin(survives(redis, async |redis| {
        redis.kill().await;
        redis.start_again().await;
    }))
    .await;
}

#[tokio::test]
async fn a_redis_that_restarts_with_its_data_is_only_waited_for() {
    let redis = PrivateRedis::start(true).await;
    Box::pin(survives(redis, async |redis| {
        redis.stop().await;
        redis.start_again().await;
    }))
    .await;
}

#[tokio::test]
async fn a_redis_that_was_killed_with_its_data_on_disk_is_only_waited_for() {
    let redis = PrivateRedis::start(true).await;
    Box::pin(survives(redis, async |redis| {
        redis.kill().await;
        redis.start_again().await;
    }))
    .await;
}

/// The ids of Redis once ran ahead of its clock: after a wipe new entries have lower ones.
#[tokio::test]
async fn ids_that_go_back_after_a_wipe_stop_nobody() {
    let mut redis = PrivateRedis::start(false).await;
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let (shards, partition) = (app.redis().await, app.partition_of(&chat));
    let ahead = "9000000000000-0";
    let field = vec![("unknown", "x")];
    let input = shards.keys.input(partition);
    let client = &shards.of(partition).client;
    let _: String = client.xadd(input, false, None, ahead, field).await.unwrap();
    let load = Load::start(&[app.address], &ann.token, &chat);
    load.goes_on_by(20).await;
    redis.kill().await;
    redis.start_again().await;
    load.goes_on_by(50).await;
    let outcome = load.stop().await;
    check_chat(&app, &chat, &outcome.sent).await;
}
