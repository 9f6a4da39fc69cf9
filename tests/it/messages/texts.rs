//! Texts are stored exactly as sent, and in the order in which they were.

use serde_json::json;
use uuid::Uuid;

use crate::harness::{TestApp, message};

const TEXTS: &[&str] = &[
    "plain",
    " leading and trailing \t ",
    "line\r\nline\nline\r",
    "\n",
    " ",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} \u{1F1E9}\u{1F1EA} \u{1F600}",
    "e\u{301} is not \u{e9}, nor \u{fb01} fi",
    "\u{202E}right to left\u{202C} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{feff}a mark, \u{200b}nothing, \u{ad}a hyphen",
    "quotes \" ' ` \\ / </script> {\"json\":1} ${x} %s $1",
    "controls \u{1}\u{8}\u{b}\u{1b}[31m\u{7f}\u{85}\u{2028}\u{2029}",
    "'; drop table messages; --",
    "\u{10FFFF}\u{FFFD}\u{FFFE}",
];

#[tokio::test]
async fn texts_come_back_to_the_byte_by_every_road() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let path = format!("/chats/{chat}/messages");
    for (index, text) in TEXTS.iter().enumerate() {
        let id = if index % 2 == 0 {
            socket.request("sendMessage", message(&chat, text)).await["messageId"].take()
        } else {
            let body = json!({ "clientId": Uuid::now_v7(), "body": text });
            ann.http.post(&path, body).await.expect(201).body["id"].take()
        };
        let pushed = socket.push("messageCreated").await;
        assert_eq!(pushed["message"]["body"], *text);
        let found = ann.http.get(&format!("{path}/{}", id.as_str().unwrap())).await.expect(200);
        assert_eq!(found.body["body"], *text);
    }
    let page = socket.request("getMessages", json!({ "chatId": chat })).await;
    let texts: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|m| m["body"].as_str().unwrap()).collect();
    assert_eq!(texts, TEXTS);
    let changes = ann.http.get(&format!("/chats/{chat}/changes")).await.expect(200);
    let texts: Vec<&str> = changes.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["body"].as_str().unwrap())
        .collect();
    assert_eq!(texts, TEXTS);
}

/// More than may be under way at once, without waiting for a single answer.
#[tokio::test]
async fn pipelined_sends_keep_their_order_even_among_edits_and_deletions() {
    const SENDS: usize = 600;
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let reader = nodes[1].connect(&bob).await.follow(&chat);
    let mut socket = nodes[0].connect(&ann).await;
    let first = socket.request("sendMessage", message(&chat, "0")).await;
    let mut asked = Vec::new();
    let mut expected = vec!["0".to_owned()];
    for n in 1..SENDS {
        if n % 50 == 0 {
            let body = format!("edited {n}");
            expected.push(body.clone());
            let edit = json!({ "chatId": chat, "messageId": first["messageId"], "body": body });
            asked.push(socket.ask("editMessage", edit).await);
        } else {
            expected.push(n.to_string());
            asked.push(socket.ask("sendMessage", message(&chat, &n.to_string())).await);
        }
    }
    for (index, id) in asked.iter().enumerate() {
        let answer = socket.answer(id).await;
        assert_eq!(answer["data"]["seq"], index + 3, "{answer:#}");
    }
    let events = reader.up_to(i64::try_from(SENDS).unwrap() + 1).await;
    let heard: Vec<&str> =
        events.iter().map(|event| event["data"]["message"]["body"].as_str().unwrap()).collect();
    assert_eq!(heard, expected);
}
