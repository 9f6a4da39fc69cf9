//! The way of marks to Postgres, and unread counts after all kinds of things (I11).

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::{is_stored, mark, open, say, standing, stored};
use crate::harness::{TestApp, check_chat, eventually};

#[tokio::test]
async fn the_owner_stores_what_moved_and_nothing_twice() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    let mut by_bob = nodes[1].connect(&bob).await;
    say(&mut by_ann, &chat, 10).await;
    for seq in 2..=9 {
        mark(&mut by_bob, &chat, seq).await;
    }
    is_stored(&nodes[0], &chat, &bob, 9).await;
    check_chat(&nodes[0], &chat, &[]).await;
    let stored = async || {
        let mut sum = 0.0;
        for node in &nodes {
            sum += node.metric("chat_receipts_total").await;
        }
        sum
    };
    let before = stored().await;
    // Longer than the owner takes to look again.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert!(stored().await <= before, "what is stored is left alone");
    assert_eq!(standing(&bob.at(&nodes[0]), &chat).await, (9, 2));
    mark(&mut by_bob, &chat, 11).await;
    is_stored(&nodes[0], &chat, &bob, 11).await;
}

/// What is stored is kept in Redis for a while: a mark that was looked up before must not go back.
#[tokio::test]
async fn a_mark_that_is_stored_is_not_forgotten_at_once() {
    use fred::interfaces::{HashesInterface, SortedSetsInterface};
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let last = say(&mut app.connect(&ann).await, &chat, 3).await;
    mark(&mut app.connect(&bob).await, &chat, last).await;
    is_stored(&app, &chat, &bob, last).await;
    let (shards, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &shards.of(partition).client;
    let (moved, field) = (shards.keys.read_moved(partition), format!("{chat}/{}", bob.id));
    eventually("the owner has noted it", async || {
        client.zcard::<u64, _>(&moved).await.unwrap() == 0
    })
    .await;
    let kept: String = client.hget(shards.keys.read(partition), &field).await.unwrap();
    assert!(kept.starts_with(&format!("{last} 3 ")), "{kept}");
    let stored = shards.keys.read_stored(partition);
    let since: f64 = client.zscore(&stored, &field).await.unwrap();
    // A minute later.
    client
        .zadd::<(), _, _>(&stored, None, None, false, false, (since - 60_001.0, &*field))
        .await
        .unwrap();
    eventually("it is forgotten", async || {
        client.hlen::<u64, _>(shards.keys.read(partition)).await.unwrap() == 0
    })
    .await;
    assert_eq!(standing(&bob.http, &chat).await, (last, 0));
}

/// A mark that moves while it is stored stays to be stored.
#[tokio::test]
async fn marks_that_never_rest_are_all_stored_in_the_end() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let mut by_ann = app.connect(&ann).await;
    let mut readers = [app.connect(&bob).await, app.connect(&eve).await];
    let mut last = 0;
    for _ in 0..150 {
        last = by_ann.say(&chat, "text").await;
        for reader in &mut readers {
            mark(reader, &chat, last).await;
        }
    }
    for person in [&bob, &eve] {
        assert_eq!(standing(&person.http, &chat).await, (last, 0));
        is_stored(&app, &chat, person, last).await;
    }
    check_chat(&app, &chat, &[]).await;
}

/// I11: after any run unread equals recomputation from the rows.
#[tokio::test]
async fn unread_equals_recomputation_after_a_mixed_run() {
    let nodes = TestApp::cluster(3).await;
    let people = nodes[0].people(["ann", "bob", "eve", "dan"]).await;
    let chat = people[0].group(&[&people[1], &people[2], &people[3]]).await;
    let mut sockets = Vec::new();
    for (n, person) in people.iter().enumerate() {
        let mut socket = nodes[n % 3].connect(person).await;
        open(&mut socket, &chat).await;
        sockets.push(socket);
    }
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut chance = rand::rngs::StdRng::seed_from_u64(seed);
    let mut sent = Vec::new();
    let mut is_in = true;
    for _ in 0..250 {
        let who = chance.random_range(0..if is_in { 4 } else { 3 });
        match chance.random_range(0..20) {
            0..8 => {
                let data = crate::harness::message(&chat, "text");
                let answer = sockets[who].request("sendMessage", data).await;
                sent.push((who, answer["messageId"].as_str().unwrap().to_owned()));
            }
            8..16 => {
                let seq = chance.random_range(0..300);
                mark(&mut sockets[who], &chat, seq).await;
            }
            16 | 17 => {
                if let Some((author, id)) = sent.choose(&mut chance) {
                    let data = json!({ "chatId": chat, "messageId": id });
                    if *author < 3 {
                        sockets[*author].request("deleteMessage", data).await;
                    }
                }
            }
            18 if is_in => {
                let path = format!("/chats/{chat}/members/{}", people[3].id);
                people[0].http.delete(&path).await.expect(204);
                is_in = false;
            }
            18 => {
                let body = json!({ "userIds": [people[3].id] });
                let path = format!("/chats/{chat}/members");
                people[0].http.post(&path, body).await.expect(200);
                is_in = true;
            }
            _ => {
                let path = format!("/chats/{chat}/read");
                people[who].at(&nodes[who % 3]).patch(&path, json!({})).await.expect(200);
            }
        }
    }
    let mut shown = Vec::new();
    for person in &people[..3] {
        shown.push(standing(&person.http, &chat).await);
    }
    for (person, (read_seq, unread)) in people.iter().zip(&shown) {
        is_stored(&nodes[0], &chat, person, *read_seq).await;
        let mut db = nodes[0].database.connect().await;
        let behind: i64 =
            sqlx::query_scalar("select count(*) from messages where chat_id = $1 and seq > $2")
                .bind(chat.parse::<uuid::Uuid>().unwrap())
                .bind(read_seq)
                .fetch_one(&mut db)
                .await
                .unwrap();
        assert_eq!(*unread, behind);
        assert_eq!(stored(&nodes[0], &chat, person).await, *read_seq);
    }
    check_chat(&nodes[0], &chat, &[]).await;
}
