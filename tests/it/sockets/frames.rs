//! Frames that are wrong: F31, F32, F34. Each is answered where it can be, nothing of it is done,
//! and the connection lives on.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use uuid::Uuid;

use crate::harness::{Socket, TestApp, message};

async fn stored(app: &TestApp) -> i64 {
    let mut db = app.database.connect().await;
    let count = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut db).await;
    count.expect("the statement runs")
}

/// Sends a raw frame with the id `x` and returns the code of the answer.
async fn code_of(socket: &mut Socket, frame: &str) -> Value {
    socket.send_raw(frame).await;
    let answer = socket.answer("x").await;
    assert_eq!(answer["ok"], false, "{frame:.200}");
    answer["error"]["code"].clone()
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_and_nothing_is_done() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = Uuid::now_v7().to_string();
    let good = json!({ "chatId": chat, "clientId": id, "body": "text" });
    let with = |field: &str, value: Value| {
        let mut data = good.clone();
        data[field] = value;
        data
    };
    let without = |field: &str| {
        let mut data = good.clone();
        data.as_object_mut().unwrap().remove(field);
        data
    };
    let deep = |levels: usize| {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"id":"x","event":"sendMessage","data":{deep}}}"#)
    };
    let wrong = [
        with("body", json!(1)),
        with("body", json!(["text"])),
        with("body", json!("")),
        with("body", json!("x".repeat(8_001))),
        with("body", json!("before\u{0}behind")),
        with("clientId", json!("not a UUID")),
        with("clientId", json!(Uuid::nil())),
        with("clientId", Value::Null),
        with("chatId", json!("1")),
        with("chatId", json!(7)),
        with("replyTo", json!("x")),
        with("fileIds", json!("x")),
        with("fileIds", json!(vec![id.clone(); 11])),
        with("mentions", json!(vec![id.clone(); 51])),
        with("mentions", json!([1])),
        with("senderId", json!(id)),
        with("seq", json!(1)),
        without("chatId"),
        without("clientId"),
        without("body"),
        json!([chat, id, "text"]),
        json!("text"),
        Value::Null,
        json!({}),
    ];
    for data in wrong {
        let shown = data.to_string();
        let frame = json!({ "id": "x", "event": "sendMessage", "data": data }).to_string();
        assert_eq!(code_of(&mut socket, &frame).await, "invalid", "{shown:.300}");
    }
    let frame = json!({ "id": "x", "event": "sendMessage" }).to_string();
    assert_eq!(code_of(&mut socket, &frame).await, "invalid", "without data");
    let frame = json!({ "id": "x", "event": "sendMassage", "data": good }).to_string();
    assert_eq!(code_of(&mut socket, &frame).await, "invalid", "an unknown event");
    assert_eq!(code_of(&mut socket, &deep(100)).await, "invalid", "deep");
    let many = (0..3_000).map(|n| format!(r#""k{n}":1"#)).collect::<Vec<_>>().join(",");
    let frame = format!(r#"{{"id":"x","event":"sendMessage","data":{{{many}}}}}"#);
    assert_eq!(code_of(&mut socket, &frame).await, "invalid", "many keys");
    let foreign = with("chatId", json!(Uuid::now_v7()));
    assert_eq!(socket.refused("sendMessage", foreign).await, "notFound");
    let file = with("fileIds", json!([Uuid::now_v7()]));
    assert_eq!(socket.refused("sendMessage", file).await, "notFound");

    assert_eq!(stored(&app).await, 0);
    assert_eq!(socket.say(&chat, "text").await, 2, "the connection lives on");
}

#[tokio::test]
async fn a_malformed_frame_is_borne_with_and_answered_where_its_id_can_be_read() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    for frame in [r#"{"id":"x"}"#, r#"{"id":"x","event":7}"#, r#"{"id":"x","event":null}"#] {
        assert_eq!(code_of(&mut socket, frame).await, "invalid", "{frame}");
    }
    let long = json!({ "id": "x".repeat(65), "event": "sendMessage", "data": message(&chat, "a") });
    for frame in ["no JSON", "", "[]", "{\"id\":", &long.to_string()] {
        socket.send_raw(frame).await;
    }
    socket.send_raw(Message::Binary(Bytes::from_static(b"\x00\x01"))).await;
    // Neither did the one with the long id.
    assert_eq!(socket.say(&chat, "text").await, 2);
    assert_eq!(stored(&app).await, 1);
}

#[tokio::test]
async fn an_id_of_64_characters_is_given_back_and_without_one_there_is_no_answer() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = "\u{1F600}".repeat(64);
    let frame = json!({ "id": id, "event": "sendMessage", "data": message(&chat, "a") });
    socket.send_raw(frame.to_string()).await;
    assert_eq!(socket.answer(&id).await["data"]["seq"], 2);
    let frame = json!({ "event": "sendMessage", "data": message(&chat, "b") });
    socket.send_raw(frame.to_string()).await;
    let pushed = socket.events(&chat, 1, 3).await;
    assert_eq!(pushed[1]["data"]["message"]["body"], "b");
}

#[tokio::test]
async fn repeated_abuse_closes_the_socket_and_disturbs_nobody() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let (mut abuser, mut neighbour) = (app.connect(&ann).await, app.connect(&ann).await);
    for _ in 0..10 {
        abuser.send_raw("no JSON").await;
    }
    assert_eq!(abuser.say(&chat, "ten are borne with").await, 2);
    abuser.send_raw("no JSON").await;
    assert_eq!(abuser.closed().await, 4400);
    assert_eq!(neighbour.say(&chat, "undisturbed").await, 3);
}

#[tokio::test]
async fn a_frame_beyond_64_kib_closes_the_socket() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let padded = |length: usize| {
        let frame = json!({ "id": "x", "event": "sendMessage", "data": message(&chat, "text") });
        let frame = frame.to_string();
        let padding = length - frame.len();
        format!("{frame}{}", " ".repeat(padding))
    };
    let mut socket = app.connect(&ann).await;
    socket.send_raw(padded(65_536)).await;
    assert_eq!(socket.answer("x").await["ok"], true, "64 KiB fit");
    socket.send_raw(padded(65_537)).await;
    assert_eq!(socket.closed().await, 1009);

    let mut unauthenticated = Socket::open(app.address, &[]).await.unwrap();
    unauthenticated.send_raw(" ".repeat(65_537)).await;
    assert_eq!(unauthenticated.closed().await, 1009);
    assert_eq!(stored(&app).await, 1);
}

#[tokio::test]
async fn the_longest_message_of_the_widest_characters_fits() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let body = "\u{1F600}".repeat(8_000);
    socket.say(&chat, &body).await;
    let pushed = socket.push("messageCreated").await;
    assert_eq!(pushed["message"]["body"], body);
    let more = message(&chat, &format!("{body}x"));
    assert_eq!(socket.refused("sendMessage", more).await, "invalid");
}

#[tokio::test]
async fn surrogates_and_escapes_arrive_as_the_text_they_mean() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let frame = |body: &str| {
        let id = Uuid::now_v7();
        format!(
            r#"{{"id":"x","event":"sendMessage","data":{{"chatId":"{chat}","clientId":"{id}","body":"{body}"}}}}"#
        )
    };
    assert_eq!(code_of(&mut socket, &frame(r"\ud83d")).await, "invalid", "half a character");
    assert_eq!(code_of(&mut socket, &frame(r"\u0000")).await, "invalid", "NUL");
    socket.send_raw(frame(r"\ud83d\ude00\u00e9\n")).await;
    assert_eq!(socket.answer("x").await["ok"], true);
    assert_eq!(socket.push("messageCreated").await["message"]["body"], "\u{1F600}\u{e9}\n");
}
