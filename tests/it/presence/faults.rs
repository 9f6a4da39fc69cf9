//! Nodes that die, and Redis that goes away or forgets: no live socket's user is ever shown offline,
//! and in the end all agree with the open sockets.

use std::time::{Duration, Instant};

use fred::interfaces::KeysInterface;
use nix::sys::signal::Signal;
use serde_json::json;

use super::{all_say, change, follow, presence};
use crate::harness::{Mode, Person, PrivateRedis, Proxy, Socket, TestApp, eventually};

/// So that a death is noticed within the patience of a test.
const SHORT_LIFE: (&str, &str) = ("PRESENCE_LIFE_MS", "3000");

#[tokio::test]
async fn the_users_of_a_node_that_was_killed_go_offline_and_are_cleaned_up() {
    let edge = TestApp::start_with(&[SHORT_LIFE]).await;
    let mut node = edge.join_process().await;
    let [ann, bob, cat] = edge.people(["ann", "bob", "cat"]).await;
    let mut follower = edge.connect(&ann).await;
    for user in [&bob, &cat] {
        follow(&mut follower, user).await;
    }
    let _of_bob = Socket::connect(node.address, &bob.token).await;
    let came = change(&mut follower, &bob).await;
    let _of_cat = (Socket::connect(node.address, &cat.token).await, edge.connect(&cat).await);
    change(&mut follower, &cat).await;
    node.kill().await;
    let went = change(&mut follower, &bob).await;
    assert_eq!(went["online"], false);
    assert!(went["lastSeenAt"].as_str() >= came["lastSeenAt"].as_str(), "{went:#}");
    all_say(&[&edge], &ann, &cat, true).await;
    assert_eq!(presence(&ann.http, &bob.id).await, Some(went.clone()), "asked, and told");
    let redis = edge.redis().await;
    let key = redis.keys.presence(bob.id.parse().expect("an id"));
    eventually("nothing is left of them in Redis", async || {
        let mut left = 0;
        for shard in redis.all() {
            left += shard.client.exists::<i64, _>(&*key).await.expect("Redis is there");
        }
        left == 0
    })
    .await;
    assert_eq!(presence(&ann.http, &bob.id).await, Some(went));
    let pushes = follower.take_pushes();
    assert!(pushes.is_empty(), "cat has another socket: {pushes:#?}");
}

/// The old process's sockets are gone, whatever its heartbeat says.
#[tokio::test]
async fn a_node_that_starts_again_ends_what_its_former_process_said() {
    let edge = TestApp::start_with(&[("PRESENCE_LIFE_MS", "30000")]).await;
    let mut node = edge.join_process().await;
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let mut follower = edge.connect(&ann).await;
    follow(&mut follower, &bob).await;
    let _of_bob = Socket::connect(node.address, &bob.token).await;
    change(&mut follower, &bob).await;
    node.kill().await;
    node.start_again().await;
    assert_eq!(change(&mut follower, &bob).await["online"], false);
    let _of_bob = Socket::connect(node.address, &bob.token).await;
    assert_eq!(change(&mut follower, &bob).await["online"], true);
}

/// A node sleeps for less than a life: its sockets are open, so its users are online.
#[tokio::test]
async fn a_node_that_was_paused_takes_nobody_offline() {
    let edge = TestApp::start().await;
    let node = edge.join_process().await;
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let mut follower = edge.connect(&ann).await;
    follow(&mut follower, &bob).await;
    let of_bob = Socket::connect(node.address, &bob.token).await;
    change(&mut follower, &bob).await;
    node.signal(Signal::SIGSTOP);
    let until = Instant::now() + Duration::from_secs(5);
    stays_online(&ann, &bob, until).await;
    node.signal(Signal::SIGCONT);
    drop(of_bob);
    assert_eq!(change(&mut follower, &bob).await["online"], false, "and nothing before");
}

/// Somebody is never said to be offline; that it cannot be said is no harm.
async fn stays_online(viewer: &Person, user: &Person, until: Instant) {
    while Instant::now() < until {
        if let Some(shown) = presence(&viewer.http, &user.id).await {
            assert_eq!(shown["online"], true, "{shown:#}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// F6.
#[tokio::test]
async fn a_redis_that_was_wiped_is_told_again_and_nobody_is_offline_meanwhile() {
    let redis = PrivateRedis::start(false).await;
    let first = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let nodes = [&first, &first.join().await, &first.join().await];
    let [ann, bob, cat] = first.people(["ann", "bob", "cat"]).await;
    let mut follower = nodes[2].connect(&ann).await;
    for user in [&bob, &cat] {
        follow(&mut follower, user).await;
    }
    let of_bob = nodes[1].connect(&bob).await;
    change(&mut follower, &bob).await;
    let of_cat = first.connect(&cat).await;
    change(&mut follower, &cat).await;
    for _ in 0..3 {
        redis.wipe().await;
        let began = Instant::now();
        stays_online(&ann, &bob, began + Duration::from_secs(3)).await;
        all_say(&nodes, &ann, &bob, true).await;
        all_say(&nodes, &ann, &cat, true).await;
    }
    drop(of_bob);
    let went = change(&mut follower, &bob).await;
    assert_eq!(went["online"], false, "nothing was told before this");
    drop(of_cat);
    assert_eq!(change(&mut follower, &cat).await["online"], false);
}

#[tokio::test]
async fn while_redis_is_away_nobody_is_told_anything_wrong_and_all_agree_afterwards() {
    let mut redis = PrivateRedis::start(false).await;
    let first = TestApp::start_with(&[("REDIS_URL", &redis.url()), SHORT_LIFE]).await;
    let second = first.join().await;
    let [ann, bob, cat, dan] = first.people(["ann", "bob", "cat", "dan"]).await;
    let mut follower = first.connect(&ann).await;
    let (of_bob, of_cat) = (second.connect(&bob).await, second.connect(&cat).await);
    all_say(&[&first, &second], &ann, &bob, true).await;
    all_say(&[&first, &second], &ann, &cat, true).await;
    for user in [&bob, &cat, &dan] {
        follow(&mut follower, user).await;
    }
    redis.kill().await;
    let path = format!("/user/presence?ids={}", bob.id);
    eventually("it cannot be said who is online", async || ann.http.get(&path).await.status == 503)
        .await;
    ann.http.get(&path).await.expect_problem(503, "unavailable");
    let profile = ann.http.get(&format!("/user/{}", bob.id)).await.expect(200).body;
    assert_eq!((profile.get("online"), profile.get("lastSeenAt")), (None, None));
    let mut other = first.connect(&ann).await;
    let stranger = json!({ "userIds": [first.person("eve").await.id] });
    assert_eq!(other.refused("subscribePresence", stranger).await, "unavailable");
    assert_eq!(follow(&mut other, &bob).await["online"], true, "known here, as it was last");
    // Meanwhile one goes and one comes.
    drop(of_cat);
    let _of_dan = second.connect(&dan).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    redis.start_again().await;
    let mut told = vec![follower.push("presenceChanged").await];
    told.push(follower.push("presenceChanged").await);
    told.sort_by_key(|push| push["online"] == true);
    assert_eq!((&told[0]["userId"], &told[0]["online"]), (&json!(cat.id), &json!(false)));
    assert_eq!((&told[1]["userId"], &told[1]["online"]), (&json!(dan.id), &json!(true)));
    for (user, online) in [(&bob, true), (&cat, false), (&dan, true)] {
        all_say(&[&first, &second], &ann, user, online).await;
    }
    drop(of_bob);
    let went = change(&mut follower, &bob).await;
    assert_eq!(went["online"], false, "nothing was told before this");
}

/// News are lost while a node is cut off from Redis: it reads again what it follows.
#[tokio::test]
async fn a_node_that_was_cut_off_catches_up_and_its_own_users_stay() {
    let redis = PrivateRedis::start(false).await;
    let (proxy, through) = Proxy::before(&redis.url()).await;
    let steady = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let cut = steady.join_with(&[("REDIS_URL", &through)]).await;
    let [ann, bob, cat] = steady.people(["ann", "bob", "cat"]).await;
    let (mut here, mut there) = (steady.connect(&ann).await, cut.connect(&ann).await);
    let of_cat = cut.connect(&cat).await;
    all_say(&[&steady, &cut], &ann, &cat, true).await;
    for socket in [&mut here, &mut there] {
        follow(socket, &cat).await;
        follow(socket, &bob).await;
    }
    for mode in [Mode::Cut, Mode::Stall] {
        proxy.set(mode);
        let of_bob = steady.connect(&bob).await;
        assert_eq!(change(&mut here, &bob).await["online"], true);
        stays_online(&ann, &cat, Instant::now() + Duration::from_secs(2)).await;
        proxy.set(Mode::Pass);
        assert_eq!(change(&mut there, &bob).await["online"], true);
        drop(of_bob);
        for socket in [&mut here, &mut there] {
            assert_eq!(change(socket, &bob).await["online"], false);
        }
        all_say(&[&steady, &cut], &ann, &cat, true).await;
    }
    drop(of_cat);
    for socket in [&mut here, &mut there] {
        assert_eq!(change(socket, &cat).await["online"], false, "and nothing before");
    }
}
