//! Following somebody on a socket.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{all_say, change, follow, hidden};
use crate::harness::{TestApp, eventually};

/// Longer than anything takes that could still be announced of a socket that closed.
const ALL_ANNOUNCED: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn who_follows_somebody_is_told_on_every_node_until_they_ask_to_stop() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob, cat] = nodes[0].people(["ann", "bob", "cat"]).await;
    let mut here = nodes[0].connect(&ann).await;
    let mut there = nodes[2].connect(&ann).await;
    let mut stranger = nodes[2].connect(&cat).await;
    for socket in [&mut here, &mut there] {
        assert_eq!(follow(socket, &bob).await, hidden(&bob.id), "never seen");
    }
    for _ in 0..2 {
        let of_bob = nodes[1].connect(&bob).await;
        for socket in [&mut here, &mut there] {
            let came = change(socket, &bob).await;
            assert_eq!(came["online"], true);
            assert!(came["lastSeenAt"].is_string(), "{came:#}");
        }
        drop(of_bob);
        let went = change(&mut here, &bob).await;
        assert_eq!(went["online"], false);
        assert_eq!(change(&mut there, &bob).await, went, "all are told alike");
        assert_eq!(follow(&mut here, &bob).await, went, "and shown what they were told");
    }
    let answer = here.request("unsubscribePresence", json!({ "userIds": [bob.id] })).await;
    assert_eq!(answer, json!({ "items": [] }));
    let _of_bob = nodes[1].connect(&bob).await;
    change(&mut there, &bob).await;
    for socket in [&mut here, &mut stranger] {
        // Whatever was meant for it would stand before this answer.
        socket.request("unsubscribePresence", json!({ "userIds": [] })).await;
        assert_eq!(socket.take_pushes(), Vec::<Value>::new());
    }
}

/// Somebody's phone changes networks: nobody is told that they went and came.
#[tokio::test]
async fn who_comes_back_at_once_elsewhere_was_never_away() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let mut follower = nodes[0].connect(&ann).await;
    follow(&mut follower, &bob).await;
    let mut of_bob = nodes[0].connect(&bob).await;
    assert_eq!(change(&mut follower, &bob).await["online"], true);
    for n in 0..20 {
        let began = Instant::now();
        drop(of_bob);
        of_bob = nodes[(n + 1) % 2].connect(&bob).await;
        let was_quick = began.elapsed() < Duration::from_millis(400);
        if was_quick {
            follower.expect_silence("presenceChanged", ALL_ANNOUNCED).await;
            drop(of_bob);
            assert_eq!(change(&mut follower, &bob).await["online"], false);
            return;
        }
        // The machine was too slow for this to be a quick one.
        tokio::time::sleep(ALL_ANNOUNCED).await;
        follower.request("unsubscribePresence", json!({ "userIds": [] })).await;
        follower.take_pushes();
    }
    panic!("no reconnection was quick");
}

#[tokio::test]
async fn a_socket_follows_five_hundred_and_no_more() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let mut socket = app.connect(&ann).await;
    let ids: Vec<String> = (0..501).map(|_| Uuid::now_v7().to_string()).collect();
    let named = |ids: &[String]| json!({ "userIds": ids });
    assert_eq!(socket.refused("subscribePresence", named(&ids)).await, "invalid");
    let answer = socket.request("subscribePresence", named(&ids[..500])).await;
    let items = answer["items"].as_array().expect("as the contract says");
    assert_eq!(items.len(), 500);
    assert!(items.iter().zip(&ids).all(|(item, id)| *item == hidden(id)), "in their order");
    assert_eq!(socket.refused("subscribePresence", named(&ids[500..])).await, "invalid");
    let again = socket.request("subscribePresence", named(&ids[..2])).await;
    assert_eq!(again["items"].as_array().map(Vec::len), Some(2), "those count already");
    socket.request("unsubscribePresence", named(&ids[..1])).await;
    socket.request("subscribePresence", named(&ids[500..])).await;
    let metric = "chat_presence_subscriptions";
    assert!((app.metric(metric).await - 500.0).abs() < 0.5);
    drop(socket);
    eventually("its seats are given back", async || app.metric(metric).await < 0.5).await;

    let mut socket = app.connect(&ann).await;
    for wrong in [json!({}), json!({ "userIds": ["1"] }), json!({ "userIds": [], "x": 1 })] {
        for event in ["subscribePresence", "unsubscribePresence"] {
            assert_eq!(socket.refused(event, wrong.clone()).await, "invalid", "{wrong}");
        }
    }
}

#[tokio::test]
async fn presence_is_among_what_subscribe_chooses() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut socket = app.connect(&ann).await;
    let mut other = app.connect(&ann).await;
    follow(&mut socket, &bob).await;
    follow(&mut other, &bob).await;
    socket.request("subscribe", json!({ "events": ["messageCreated"] })).await;
    let _of_bob = app.connect(&bob).await;
    change(&mut other, &bob).await;
    socket.request("subscribe", json!({ "events": [] })).await;
    assert_eq!(socket.take_pushes(), Vec::<Value>::new());
}

/// A node that ends in order sends its sockets away first: who comes back elsewhere stays online.
#[tokio::test]
async fn a_node_that_ends_takes_its_users_along_and_those_who_moved_stay() {
    let mut nodes = TestApp::cluster(2).await;
    let [ann, bob, cat] = nodes[0].people(["ann", "bob", "cat"]).await;
    let mut follower = nodes[0].connect(&ann).await;
    for user in [&bob, &cat] {
        follow(&mut follower, user).await;
    }
    let stays = nodes[0].connect(&bob).await;
    change(&mut follower, &bob).await;
    let (_moves, _ends) = (nodes[1].connect(&bob).await, nodes[1].connect(&cat).await);
    change(&mut follower, &cat).await;
    nodes[1].stop().await;
    let went = change(&mut follower, &cat).await;
    assert_eq!(went["online"], false);
    all_say(&[&nodes[0]], &ann, &bob, true).await;
    follower.expect_silence("presenceChanged", ALL_ANNOUNCED).await;
    drop(stays);
    assert_eq!(change(&mut follower, &bob).await["online"], false);
}
