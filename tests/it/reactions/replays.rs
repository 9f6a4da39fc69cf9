//! Commands that come twice, writers that die, readers that missed something: I15 of the invariants.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use fred::interfaces::StreamsInterface;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{THUMB, check_rows, shown};
use crate::harness::{Mode, PATIENCE, Proxy, Socket, TestApp, check_chat, environment, seqs};

/// A writer that died between its commit and its publishing leaves the command in `in`: the next one
/// finds what it did, and publishes that.
#[tokio::test]
async fn a_command_that_is_read_again_is_done_once() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let command = |action: &str, command_id: Uuid| {
        let what = json!({ "message_id": id, "emoji": THUMB });
        json!({
            "id": command_id, "chat": chat, "actor": ann.id,
            "answer_to": { "node": 1, "request": 1 }, "action": { action: what },
        })
    };
    let (adding, removing) = (Uuid::now_v7(), Uuid::now_v7());
    let add = command("addReaction", adding);
    let remove = command("removeReaction", removing);
    for batch in [vec![&add, &add], vec![&add], vec![&remove], vec![&add, &remove, &remove]] {
        let mut packed = BytesMut::new();
        for command in batch {
            let bytes = command.to_string().into_bytes();
            packed.put_u32_le(u32::try_from(bytes.len()).unwrap());
            packed.put_slice(&bytes);
        }
        let field = vec![("c", packed.freeze())];
        let input = redis.keys.input(partition);
        let _: String = client.xadd(input, false, None, "*", field).await.unwrap();
    }
    let last = socket.say(&chat, "behind").await;
    let events = socket.events(&chat, 1, last).await;
    let names: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(names, ["messageCreated", "reactionAdded", "reactionRemoved", "messageCreated"]);
    check_chat(&app, &chat, &[]).await;
    let message = ann.http.get(&format!("/chats/{chat}/messages/{id}")).await.expect(200).body;
    assert_eq!(message["reactions"], json!([]));
}

/// What a reader missed is made again from Postgres, the very same.
#[tokio::test]
async fn missed_reactions_are_read_from_postgres_as_they_were() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (mut proxies, mut through) = (Vec::new(), Vec::new());
    for url in environment("TEST_REDIS_URLS").split(',') {
        let (proxy, url) = Proxy::before(url).await;
        proxies.push(proxy);
        through.push(url);
    }
    let settings = [("REDIS_URL", through.join(",")), ("NODE_ROLES", "edge".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let behind = app.join_with(&settings).await;
    let chat = ann.group(&[&bob]).await;
    let mut late = behind.connect(&bob).await;
    let (mut live, mut by_ann) = (app.connect(&bob).await, app.connect(&ann).await);
    let id = by_ann.send(&chat, "text").await;
    late.events(&chat, 1, 2).await;
    for proxy in &proxies {
        proxy.set(Mode::Stall);
    }
    for emoji in ["like", "love", "like", "wow"] {
        by_ann.react(&chat, &id, emoji).await;
        by_ann.unreact(&chat, &id, emoji).await;
    }
    by_ann.react(&chat, &id, "sad").await;
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let _: u64 = client.xtrim(redis.keys.output(partition), ("MAXLEN", "=", 1)).await.unwrap();
    for proxy in &proxies {
        proxy.set(Mode::Pass);
    }
    let last = by_ann.say(&chat, "behind").await;
    let (seen_live, seen_late) =
        (live.events(&chat, 1, last).await, late.events(&chat, 2, last).await);
    assert_eq!(seen_late, seen_live[1..]);
    assert!(behind.metric("chat_out_gaps_total").await >= 1.0, "there was a gap indeed");
}

/// A client that repeats what it does not know the outcome of, at whichever node takes it.
async fn insist(addresses: &[SocketAddr], token: &str, requests: &[(&str, Value)]) -> usize {
    let (mut socket, mut next, mut closed) = (None::<Socket>, 0, 0);
    let deadline = Instant::now() + PATIENCE * 3;
    for (event, data) in requests {
        loop {
            assert!(Instant::now() < deadline, "{event} is never done");
            let Some(open) = &mut socket else {
                socket = Socket::try_connect(addresses[next % addresses.len()], token).await;
                if socket.is_none() {
                    next += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                continue;
            };
            let id = open.ask(event, data.clone()).await;
            match open.try_answer(&id).await {
                Some(answer) if answer["ok"] == true => break,
                Some(answer) => {
                    let code = &answer["error"]["code"];
                    assert!(["timeout", "unavailable"].iter().any(|known| code == known));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                None => {
                    (socket, closed, next) = (None, closed + 1, next + 1);
                }
            }
        }
    }
    closed
}

/// F1: writers are killed in the middle. Each reaction that was answered is there, once, and the
/// events say the same as the rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_lose_and_double_no_reaction() {
    let edge = TestApp::start_with(&[("NODE_ROLES", "edge")]).await;
    let mut nodes = [edge.join_process().await, edge.join_process().await];
    let [ann, bob] = edge.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let id = edge.connect(&ann).await.send(&chat, "text").await;
    let reader = edge.connect(&bob).await.follow(&chat);
    let addresses = nodes.each_ref().map(|node| node.address);
    let work = |person: &crate::harness::Person, words: [&'static str; 2]| {
        let mut requests = Vec::new();
        for _ in 0..150 {
            for (event, word) in [
                ("addReaction", words[0]),
                ("addReaction", words[1]),
                ("removeReaction", words[0]),
                ("removeReaction", words[1]),
            ] {
                let data = json!({ "chatId": chat, "messageId": id, "emoji": word });
                requests.push((event, data));
            }
        }
        let data = json!({ "chatId": chat, "messageId": id, "emoji": words[0] });
        requests.push(("addReaction", data));
        let token = person.token.clone();
        tokio::spawn(async move { insist(&addresses, &token, &requests).await })
    };
    let works = [work(&ann, ["like", "love"]), work(&bob, ["like", "wow"])];
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        nodes[round % 2].kill().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        nodes[round % 2].start_again().await;
    }
    let mut closed = 0;
    for work in works {
        closed += work.await.unwrap();
    }
    assert!(closed > 0, "no socket was cut: the kills did nothing");
    let last = check_chat(&edge, &chat, &[]).await;
    let events = reader.up_to(last).await;
    assert_eq!(seqs(&events), (3..=last).collect::<Vec<_>>());
    let mut there = std::collections::BTreeSet::new();
    for event in &events {
        let data = &event["data"];
        let key = (data["userId"].to_string(), data["emoji"].to_string());
        let changed = match event["event"].as_str() {
            Some("reactionAdded") => there.insert(key.clone()),
            Some("reactionRemoved") => there.remove(&key),
            other => panic!("{other:?}"),
        };
        assert!(changed, "{event:#} changes nothing");
        let count = there.iter().filter(|(_, emoji)| *emoji == key.1).count();
        assert_eq!(data["count"], count, "{event:#}");
    }
    let message = ann.http.get(&format!("/chats/{chat}/messages/{id}")).await.expect(200).body;
    assert_eq!(message["reactions"], json!([shown(THUMB, 2, true)]));
    check_rows(&edge).await;
}
