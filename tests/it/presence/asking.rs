//! Asking over REST, and presence where people are shown.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{all_say, hidden, is_online, presence};
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_socket_anywhere_is_seen_everywhere_and_its_end_too() {
    let nodes = TestApp::cluster(3).await;
    let all: Vec<&TestApp> = nodes.iter().collect();
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let before = presence(&ann.http, &bob.id).await.expect("Redis is there");
    assert_eq!(before, hidden(&bob.id), "never seen");
    let socket = nodes[1].connect(&bob).await;
    all_say(&all, &ann, &bob, true).await;
    let shown = presence(&ann.http, &bob.id).await.expect("Redis is there");
    assert!(shown["lastSeenAt"].is_string(), "since when: {shown:#}");
    drop(socket);
    all_say(&all, &ann, &bob, false).await;
    // The moment reaches Postgres in batches, beside this.
    eventually("all nodes name the same moment, later than the first", async || {
        let mut seen = Vec::new();
        for node in &nodes {
            seen.push(presence(&ann.at(node), &bob.id).await.expect("Redis is there"));
        }
        let is_later = seen[0]["lastSeenAt"].as_str() > shown["lastSeenAt"].as_str();
        is_later && seen.iter().all(|other| *other == seen[0])
    })
    .await;
}

#[tokio::test]
async fn with_a_socket_left_on_another_node_somebody_stays_online() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let (first, second) = (nodes[0].connect(&bob).await, nodes[1].connect(&bob).await);
    all_say(&[&nodes[0], &nodes[1]], &ann, &bob, true).await;
    eventually("both were written", async || {
        let mut written = 0.0;
        for node in &nodes {
            written += node.metric("chat_presence_changes_total").await;
        }
        written >= 2.0
    })
    .await;
    let published = nodes[0].metric("chat_presence_changes_total").await;
    drop(first);
    eventually("the first node has written that they went", async || {
        let online = is_online(&ann.at(&nodes[1]), &bob.id).await;
        assert!(online, "one socket is open");
        nodes[0].metric("chat_presence_changes_total").await > published
    })
    .await;
    assert!(is_online(&ann.http, &bob.id).await);
    assert!(nodes[0].metric("chat_presence_online").await < 1.0);
    drop(second);
    all_say(&[&nodes[0], &nodes[1]], &ann, &bob, false).await;
}

#[tokio::test]
async fn what_is_asked_for_is_checked_and_answered_in_order() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let unknown = Uuid::now_v7().to_string();
    let path = format!("/user/presence?ids={},{unknown},{},{}", bob.id, ann.id, bob.id);
    let answer = ann.http.get(&path).await.expect(200);
    let ids: Vec<&str> =
        answer.items().iter().map(|item| item["userId"].as_str().unwrap()).collect();
    assert_eq!(ids, [&*bob.id, &*unknown, &*ann.id], "each once");
    let ids: Vec<String> = (0..101).map(|_| Uuid::now_v7().to_string()).collect();
    let (most, too_many) = (ids[1..].join(","), ids.join(","));
    assert_eq!(
        ann.http.get(&format!("/user/presence?ids={most}")).await.expect(200).items().len(),
        100
    );
    let wrong =
        ["", "?ids=", "?ids=1", &format!("?ids={}&x=1", bob.id), &format!("?ids={too_many}")];
    for query in wrong {
        ann.http.get(&format!("/user/presence{query}")).await.expect_problem(422, "invalid");
    }
    let nobody = app.client().get(&format!("/user/presence?ids={}", bob.id)).await;
    nobody.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn people_and_the_others_of_direct_chats_are_shown_with_it() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let path = format!("/user/{}", bob.id);
    let before = ann.http.get(&path).await.expect(200).body;
    assert_eq!((&before["online"], before.get("lastSeenAt")), (&json!(false), None));
    let _socket = app.connect(&bob).await;
    all_say(&[&app], &ann, &bob, true).await;
    let shown = ann.http.get(&path).await.expect(200).body;
    assert_eq!(shown["online"], true);
    assert!(shown["lastSeenAt"].is_string());

    let chat = ann.direct(&bob).await.expect(201);
    let id = chat.text("/id");
    let mut socket = app.connect(&ann).await;
    let joined = socket.request("joinChat", json!({ "chatId": id })).await;
    let synced = socket.request("sync", json!({ "chats": [] })).await;
    let found = ann.http.get(&format!("/chats/{id}")).await.expect(200);
    let list = ann.http.get("/chats").await.expect(200);
    let peers = [
        chat.body["peer"].clone(),
        joined["chat"]["peer"].clone(),
        synced["added"][0]["peer"].clone(),
        found.body["peer"].clone(),
        list.items()[0]["peer"].clone(),
    ];
    for peer in peers {
        assert_eq!((&peer["id"], &peer["online"]), (&json!(bob.id), &json!(true)), "{peer:#}");
    }
}

#[tokio::test]
async fn when_somebody_was_last_seen_outlasts_redis_and_never_goes_back() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    drop(app.connect(&bob).await);
    eventually("they are gone", async || {
        presence(&ann.http, &bob.id)
            .await
            .is_some_and(|shown| shown["online"] == false && shown["lastSeenAt"].is_string())
            && app.metric("chat_presence_online").await < 1.0
    })
    .await;
    let seen = presence(&ann.http, &bob.id).await.expect("Redis is there");
    let mut db = app.database.connect().await;
    let stored = async |db: &mut sqlx::PgConnection| -> Option<String> {
        sqlx::query_scalar(
            "select to_char(at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
             from user_last_seen",
        )
        .fetch_optional(db)
        .await
        .expect("the table is there")
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while stored(&mut db).await.as_deref() != seen["lastSeenAt"].as_str() {
        assert!(std::time::Instant::now() < deadline, "{:?}, not {seen:#}", stored(&mut db).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A moment that is later than all that this test will write: it stays.
    app.sql("update user_last_seen set at = '2100-01-01' where user_id = $1", Some(&bob.id)).await;
    let socket = app.connect(&bob).await;
    all_say(&[&app], &ann, &bob, true).await;
    drop(socket);
    all_say(&[&app], &ann, &bob, false).await;
    // Whoever comes later is stored later.
    let cat = app.person("cat").await;
    drop(app.connect(&cat).await);
    eventually("cat is stored", async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from user_last_seen")
            .fetch_one(&mut db)
            .await
            .expect("the table is there");
        rows == 2
    })
    .await;
    let kept = presence(&ann.http, &bob.id).await.expect("Redis is there");
    assert_eq!(kept["lastSeenAt"], "2100-01-01T00:00:00.000Z");
}
