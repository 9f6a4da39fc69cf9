//! A stranger finds nothing: F43. What is not theirs looks like what does not exist.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, TestApp, message};

#[tokio::test]
async fn a_stranger_gets_not_found_for_everything() {
    let app = TestApp::start().await;
    let [ann, eve] = app.people(["ann", "eve"]).await;
    let chat = ann.group(&[]).await;
    let mut owner = app.connect(&ann).await;
    let sent = owner.request("sendMessage", message(&chat, "secret")).await;
    let id = sent["messageId"].as_str().unwrap();
    let nowhere = Uuid::now_v7().to_string();

    let calls = [
        (Method::GET, "", Value::Null),
        (Method::GET, "/members", Value::Null),
        (Method::GET, "/changes", Value::Null),
        (Method::GET, "/messages", Value::Null),
        (Method::POST, "/messages", json!({ "clientId": Uuid::now_v7(), "body": "text" })),
        (Method::GET, "/messages/{id}", Value::Null),
        (Method::PATCH, "/messages/{id}", json!({ "body": "text" })),
        (Method::DELETE, "/messages/{id}", Value::Null),
        (Method::GET, "/messages/{id}/edits", Value::Null),
    ];
    for (method, rest, body) in calls {
        let of = async |chat: &str| {
            let path = format!("/chats/{chat}{}", rest.replace("{id}", id));
            let request = eve.http.request(method.clone(), &path);
            let request = if body.is_null() { request } else { request.json(&body) };
            let mut answer = Answer::of(request).await.expect_problem(404, "notFound");
            answer.body["requestId"].take();
            answer.body
        };
        assert_eq!(of(&chat).await, of(&nowhere).await, "{method} {rest}: the two look the same");
    }

    let mut socket = app.connect(&eve).await;
    let requests = [
        ("sendMessage", message(&chat, "text")),
        ("editMessage", json!({ "chatId": chat, "messageId": id, "body": "text" })),
        ("deleteMessage", json!({ "chatId": chat, "messageId": id })),
        ("getMessages", json!({ "chatId": chat })),
        ("joinChat", json!({ "chatId": chat })),
        ("joinChat", json!({ "chatId": chat, "afterSeq": 0 })),
        ("typing", json!({ "chatId": chat, "typing": true })),
    ];
    for (event, data) in requests {
        assert_eq!(socket.refused(event, data).await, "notFound", "{event}");
    }
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 0 }] });
    let synced = socket.request("sync", known).await;
    assert_eq!(synced, json!({ "chats": [], "removed": [chat], "added": [] }));
    let history = ann.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
    assert_eq!(history.items().len(), 1);
    assert_eq!(history.items()[0]["body"], "secret");
}

/// A message's id opens it in its own chat alone.
#[tokio::test]
async fn a_message_is_not_reached_through_another_chat() {
    let app = TestApp::start().await;
    let [ann, eve] = app.people(["ann", "eve"]).await;
    let (secret, own) = (ann.group(&[]).await, eve.group(&[]).await);
    let mut owner = app.connect(&ann).await;
    let sent = owner.request("sendMessage", message(&secret, "secret")).await;
    let id = sent["messageId"].as_str().unwrap();
    let path = format!("/chats/{own}/messages/{id}");
    eve.http.get(&path).await.expect_problem(404, "notFound");
    eve.http.get(&format!("{path}/edits")).await.expect_problem(404, "notFound");
    eve.http.delete(&path).await.expect_problem(404, "notFound");
    let mut socket = app.connect(&eve).await;
    let mut reply = message(&own, "reply");
    reply["replyTo"] = json!(id);
    assert_eq!(socket.refused("sendMessage", reply).await, "notFound");
    let edit = json!({ "chatId": own, "messageId": id, "body": "x" });
    assert_eq!(socket.refused("editMessage", edit).await, "notFound");
}
