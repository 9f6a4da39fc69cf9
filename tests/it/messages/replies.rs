//! Answers to messages.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Socket, TestApp, message};

async fn reply(socket: &mut Socket, chat: &str, parent: &Value, body: &str) -> Value {
    let mut data = message(chat, body);
    data["replyTo"] = parent.clone();
    socket.request("sendMessage", data).await["messageId"].take()
}

#[tokio::test]
async fn an_answer_quotes_and_every_level_above_counts_it() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let long = format!("{}behind", "\u{1F600}".repeat(140));
    let root = by_ann.request("sendMessage", message(&chat, &long)).await["messageId"].take();
    let one = reply(&mut by_bob, &chat, &root, "one").await;
    let two = reply(&mut by_ann, &chat, &one, "two").await;
    let three = reply(&mut by_bob, &chat, &two, "three").await;
    let beside = reply(&mut by_bob, &chat, &root, "beside").await;

    let pushed = by_ann.events(&chat, 1, 6).await;
    let quote = &pushed[1]["data"]["message"]["replyTo"];
    assert_eq!(
        *quote,
        json!({
            "messageId": root, "seq": 2, "senderId": ann.id, "excerpt": "\u{1F600}".repeat(140),
        })
    );
    let shown = async |id: &Value| {
        let path = format!("/chats/{chat}/messages/{}", id.as_str().unwrap());
        ann.http.get(&path).await.expect(200).body
    };
    for (id, count, is_answer) in
        [(&root, 4, false), (&one, 2, true), (&two, 1, true), (&three, 0, true), (&beside, 0, true)]
    {
        let message = shown(id).await;
        assert_eq!(message["replyCount"], count, "{message:#}");
        let expected = if is_answer { &root } else { &Value::Null };
        assert_eq!(message["threadRootId"], *expected);
    }
    assert_eq!(shown(&three).await["replyTo"]["messageId"], two);
    assert_eq!(shown(&root).await["replyTo"], Value::Null);

    by_ann.request("deleteMessage", json!({ "chatId": chat, "messageId": root })).await;
    let orphan = shown(&one).await;
    assert_eq!(orphan["replyTo"]["excerpt"], Value::Null, "what is deleted is quoted no more");
    assert_eq!(orphan["replyTo"]["messageId"], root);
    let late = reply(&mut by_bob, &chat, &root, "to a deleted one").await;
    assert_eq!(shown(&late).await["replyTo"]["excerpt"], Value::Null);
}

#[tokio::test]
async fn what_does_not_exist_here_cannot_be_answered() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let (chat, other) = (ann.group(&[]).await, ann.group(&[]).await);
    let mut socket = app.connect(&ann).await;
    let elsewhere = socket.request("sendMessage", message(&other, "elsewhere")).await;
    for parent in [&json!(Uuid::now_v7()), &elsewhere["messageId"]] {
        let mut data = message(&chat, "answer");
        data["replyTo"] = parent.clone();
        assert_eq!(socket.refused("sendMessage", data).await, "notFound");
    }
    assert_eq!(socket.say(&chat, "no seq was used up").await, 2);
}

/// Many answers at once are counted one by one.
#[tokio::test]
async fn answers_of_one_batch_are_all_counted() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let root = socket.request("sendMessage", message(&chat, "root")).await["messageId"].take();
    let mut asked = Vec::new();
    for n in 0..50 {
        let mut data = message(&chat, &n.to_string());
        data["replyTo"] = root.clone();
        asked.push(socket.ask("sendMessage", data).await);
    }
    for id in asked {
        assert_eq!(socket.answer(&id).await["ok"], true);
    }
    let path = format!("/chats/{chat}/messages/{}", root.as_str().unwrap());
    assert_eq!(ann.http.get(&path).await.expect(200).body["replyCount"], 50);
}
