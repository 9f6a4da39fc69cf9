//! Sent twice is sent once: guarantee 4, I6 of the invariants, F58.

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{TestApp, check_chat, message};

async fn stored(app: &TestApp) -> i64 {
    let mut db = app.database.connect().await;
    let count = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut db).await;
    count.expect("the statement runs")
}

#[tokio::test]
async fn a_message_sent_again_is_answered_the_same_wherever_it_is_sent() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    let (mut here, mut there) = (nodes[0].connect(&ann).await, nodes[1].connect(&ann).await);
    let data = message(&chat, "once");
    let first = here.request("sendMessage", data.clone()).await;
    assert_eq!(here.request("sendMessage", data.clone()).await, first);
    assert_eq!(there.request("sendMessage", data.clone()).await, first);

    let mut body = data.clone();
    body.as_object_mut().unwrap().remove("chatId");
    let path = format!("/chats/{chat}/messages");
    for node in &nodes {
        let again = ann.at(node).post(&path, body.clone()).await.expect(200);
        assert_eq!((&again.body["id"], &again.body["seq"]), (&first["messageId"], &first["seq"]));
        assert_eq!(again.body["createdAt"], first["createdAt"]);
    }
    let fresh = json!({ "clientId": Uuid::now_v7(), "body": "over REST" });
    let made = ann.http.post(&path, fresh.clone()).await.expect(201);
    assert_eq!(ann.http.post(&path, fresh).await.expect(200).body, made.body);
    assert_eq!(stored(&nodes[0]).await, 2);
    assert_eq!(check_chat(&nodes[0], &chat, &[]).await, 3);
    here.say(&chat, "the next").await;
    there.events(&chat, 1, 4).await;
    let repeated = there.take_pushes();
    assert!(repeated.iter().all(|push| push["event"] != "messageCreated"), "{repeated:#?}");
}

#[tokio::test]
async fn twenty_at_once_make_one_message() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    for round in 0..5 {
        let data = message(&chat, &format!("round {round}"));
        // In one batch, over one socket.
        let mut socket = nodes[round % 2].connect(&ann).await;
        let mut asked = Vec::new();
        for _ in 0..20 {
            asked.push(socket.ask("sendMessage", data.clone()).await);
        }
        // And over many connections, by two roads and two nodes.
        let mut body = data.clone();
        body.as_object_mut().unwrap().remove("chatId");
        let path = format!("/chats/{chat}/messages");
        let posts = (0..20).map(|n| {
            let (client, path, body) = (ann.at(&nodes[n % 2]), path.clone(), body.clone());
            async move { client.post(&path, body).await }
        });
        let posted = join_all(posts).await;
        let mut answers = Vec::new();
        for id in asked {
            answers.push(socket.answer(&id).await["data"].take());
        }
        let seq = i64::try_from(round).unwrap() + 2;
        assert!(answers.iter().all(|answer| *answer == answers[0] && answer["seq"] == seq));
        let made = posted.iter().filter(|answer| answer.status == 201).count();
        assert!(made <= 1, "{made} were told that theirs is the first");
        for answer in posted {
            assert!([200, 201].contains(&answer.status), "{:#}", answer.body);
            assert_eq!(answer.body["id"], answers[0]["messageId"]);
        }
    }
    assert_eq!(stored(&nodes[0]).await, 5);
    check_chat(&nodes[0], &chat, &[]).await;
}

#[tokio::test]
async fn a_client_id_used_for_something_else_is_a_conflict() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut socket = app.connect(&ann).await;
    let parent = socket.request("sendMessage", message(&chat, "parent")).await;
    let data = message(&chat, "text");
    let first = socket.request("sendMessage", data.clone()).await;
    let with = |field: &str, value: Value| {
        let mut other = data.clone();
        other[field] = value;
        other
    };
    for other in [
        with("body", json!("text ")),
        with("replyTo", parent["messageId"].clone()),
        with("mentions", json!([bob.id])),
    ] {
        assert_eq!(socket.refused("sendMessage", other).await, "conflict");
    }
    let body = json!({ "clientId": data["clientId"], "body": "another" });
    let path = format!("/chats/{chat}/messages");
    ann.http.post(&path, body).await.expect_problem(409, "conflict");
    // Both in one batch: whichever comes first is the message.
    let (one, other) = (message(&chat, "one"), Uuid::now_v7());
    let mut second = one.clone();
    second["body"] = json!(other);
    let (a, b) = (socket.ask("sendMessage", one).await, socket.ask("sendMessage", second).await);
    assert_eq!(socket.answer(&a).await["ok"], true);
    assert_eq!(socket.answer(&b).await["error"]["code"], "conflict");
    assert_eq!(socket.request("sendMessage", data.clone()).await, first, "it stands as it was");
    assert_eq!(stored(&app).await, 3);
}

#[tokio::test]
async fn a_client_id_is_its_senders_and_its_chats() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (chat, other) = (ann.group(&[&bob]).await, ann.group(&[&bob]).await);
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let data = message(&chat, "text");
    let mut elsewhere = data.clone();
    elsewhere["chatId"] = json!(other);
    let first = by_ann.request("sendMessage", data.clone()).await;
    let second = by_bob.request("sendMessage", data).await;
    let third = by_ann.request("sendMessage", elsewhere).await;
    assert_eq!((&first["seq"], &second["seq"], &third["seq"]), (&json!(2), &json!(3), &json!(2)));
    assert_ne!(first["messageId"], second["messageId"]);
    assert_ne!(first["messageId"], third["messageId"]);
    assert_eq!(stored(&app).await, 3);
}
