//! Pages of history.

use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp, message};

const MESSAGES: i64 = 25;

/// A chat whose messages are seq 2 to 26.
async fn filled(app: &TestApp, ann: &Person) -> String {
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(ann).await;
    let mut asked = Vec::new();
    for n in 0..MESSAGES {
        asked.push(socket.ask("sendMessage", message(&chat, &n.to_string())).await);
    }
    for id in asked {
        assert_eq!(socket.answer(&id).await["ok"], true);
    }
    chat
}

#[tokio::test]
async fn pages_say_whether_there_is_more_on_either_side() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = filled(&app, &ann).await;
    let mut socket = app.connect(&ann).await;
    // The query; the first and the last seq that it brings; whether there are any before and after.
    let pages = [
        ("", (2, 26), false, false),
        ("limit=25", (2, 26), false, false),
        ("limit=24", (3, 26), true, false),
        ("limit=1", (26, 26), true, false),
        ("before=26&limit=5", (21, 25), true, true),
        ("before=27&limit=5", (22, 26), true, false),
        ("before=1000&limit=5", (22, 26), true, false),
        ("before=7&limit=5", (2, 6), false, true),
        ("before=8&limit=5", (3, 7), true, true),
        ("before=3", (2, 2), false, true),
        ("before=2", (1, 0), false, true),
        ("before=0", (1, 0), false, true),
        ("after=0&limit=5", (2, 6), false, true),
        ("after=1&limit=5", (2, 6), false, true),
        ("after=2&limit=5", (3, 7), true, true),
        ("after=21&limit=5", (22, 26), true, false),
        ("after=20&limit=5", (21, 25), true, true),
        ("after=25", (26, 26), true, false),
        ("after=26", (1, 0), true, false),
        ("after=1000", (1, 0), true, false),
        ("around=13&limit=5", (11, 15), true, true),
        ("around=13&limit=1", (13, 13), true, true),
        ("around=2&limit=10", (2, 11), false, true),
        ("around=1&limit=10", (2, 11), false, true),
        ("around=26&limit=4", (24, 26), true, false),
        ("around=13&limit=100", (2, 26), false, false),
    ];
    for (query, (first, last), before, after) in pages {
        let page = ann.http.get(&format!("/chats/{chat}/messages?{query}")).await.expect(200).body;
        let found: Vec<i64> =
            page["items"].as_array().unwrap().iter().map(|m| m["seq"].as_i64().unwrap()).collect();
        assert_eq!(found, (first..=last).collect::<Vec<i64>>(), "{query}");
        assert_eq!(
            (&page["hasBefore"], &page["hasAfter"]),
            (&json!(before), &json!(after)),
            "{query}"
        );
        let mut data = json!({ "chatId": chat });
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            data[name] = json!(value.parse::<i64>().unwrap());
        }
        assert_eq!(socket.request("getMessages", data).await, page, "{query}: the socket's answer");
    }
}

#[tokio::test]
async fn a_chat_without_messages_has_an_empty_page() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    for query in ["", "?after=0", "?before=5", "?around=1"] {
        let page = ann.http.get(&format!("/chats/{chat}/messages{query}")).await.expect(200).body;
        assert_eq!(page, json!({ "items": [], "hasBefore": false, "hasAfter": false }), "{query}");
    }
}

#[tokio::test]
async fn odd_pages_are_refused_by_problem_documents() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    for query in
        ["limit=0", "limit=101", "limit=-1", "limit=x", "before=x", "page=1", "before=1&after=1"]
    {
        let path = format!("/chats/{chat}/messages?{query}");
        ann.http.get(&path).await.expect_problem(422, "invalid");
    }
    for data in [json!({ "limit": 0 }), json!({ "before": 1, "after": 1 }), json!({ "after": "1" })]
    {
        let mut data = data;
        data["chatId"] = json!(chat);
        assert_eq!(socket.refused("getMessages", data).await, "invalid");
    }
}

/// The mirror refuses what the socket refuses, as problem documents.
#[tokio::test]
async fn what_is_wrong_with_a_send_over_rest_is_a_problem_document() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let path = format!("/chats/{chat}/messages");
    let good = message(&chat, "text");
    let with = |field: &str, value: Value| {
        let mut body = json!({ "clientId": good["clientId"], "body": "text" });
        body[field] = value;
        body
    };
    let wrong = [
        (with("body", json!("")), "body"),
        (with("body", json!("x".repeat(8_001))), "body"),
        (with("body", json!("\u{0}")), "body"),
        (with("body", json!(1)), "body"),
        (with("clientId", json!("x")), "clientId"),
        (with("chatId", json!(chat)), "chatId"),
        (with("seq", json!(1)), "seq"),
        (json!({ "body": "text" }), "clientId"),
    ];
    for (body, field) in wrong {
        let shown = body.to_string();
        let answer = ann.http.post(&path, body).await.expect_problem(422, "invalid");
        assert_eq!(answer.error_paths(), [field], "{shown:.200}");
    }
    let request = ann.http.request(reqwest::Method::POST, &path);
    let request = request.header("content-type", "application/json").body("{");
    Answer::of(request).await.expect_problem(400, "invalid");
    app.client()
        .post(&path, with("body", json!("text")))
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(ann.http.get(&path).await.expect(200).items().len(), 0, "nothing was stored");
}
