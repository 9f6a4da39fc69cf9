//! What one socket may ask, and how many there may be.

use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::harness::{Socket, TestApp, message};

/// R-WS-7.
#[tokio::test]
async fn a_flood_of_frames_closes_the_socket() {
    let app = TestApp::start_with(&[("RATE_FRAME", "20/1h")]).await;
    let ann = app.person("ann").await;
    let mut socket = app.connect(&ann).await;
    for _ in 0..20 {
        socket.request("subscribe", json!({ "events": ["*"] })).await;
    }
    socket.ask("subscribe", json!({ "events": ["*"] })).await;
    assert_eq!(socket.closed().await, 4429);
    // Another socket of the same user counts for itself.
    app.connect(&ann).await.request("subscribe", json!({ "events": ["*"] })).await;
    assert_eq!(app.metric("chat_rate_limited_total").await.to_string(), "1");
}

/// Frames that are not even read count too, pings among them, and also before authentication.
#[tokio::test]
async fn malformed_frames_and_pings_count() {
    let app = TestApp::start_with(&[("RATE_FRAME", "5/1h")]).await;
    let ann = app.person("ann").await;
    let mut malformed = app.connect(&ann).await;
    for _ in 0..6 {
        malformed.send_raw("no JSON").await;
    }
    assert_eq!(malformed.closed().await, 4429);
    let mut pinging = app.connect(&ann).await;
    let mut unknown = Socket::open(app.address, &[]).await.unwrap();
    for _ in 0..6 {
        pinging.send_raw(Message::Ping(Bytes::new())).await;
        unknown.send_raw(Message::Ping(Bytes::new())).await;
    }
    assert_eq!(pinging.closed().await, 4429);
    assert_eq!(unknown.closed().await, 4429);
}

#[tokio::test]
async fn refusals_are_answered_until_they_are_too_many() {
    let app = TestApp::start_with(&[("RATE_SEND", "5/1h")]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    for _ in 0..5 {
        socket.say(&chat, "text").await;
    }
    let data = message(&chat, "one too many");
    let id = socket.ask("sendMessage", data).await;
    let answer = socket.answer(&id).await;
    assert_eq!(answer["error"]["code"], "rateLimited", "{answer:#}");
    let retry_after = answer["error"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=720_000).contains(&retry_after), "{retry_after}");
    // What is of another class passes.
    socket.request("getMessages", json!({ "chatId": chat })).await;
    for _ in 0..500 {
        socket.ask("sendMessage", message(&chat, "and more")).await;
    }
    assert_eq!(socket.closed().await, 4429);
    let mut back = app.connect(&ann).await;
    assert_eq!(back.refused("sendMessage", message(&chat, "still")).await, "rateLimited");
}

#[tokio::test]
async fn typing_is_limited_by_socket() {
    let app = TestApp::start_with(&[("RATE_TYPING", "3/1h")]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let (mut one, mut other) = (app.connect(&ann).await, app.connect(&ann).await);
    let typing = json!({ "chatId": chat, "typing": true });
    for _ in 0..3 {
        one.request("typing", typing.clone()).await;
    }
    assert_eq!(one.refused("typing", typing.clone()).await, "rateLimited");
    other.request("typing", typing).await;
}

/// R-WS-4, R-WS-7.
#[tokio::test]
async fn open_sockets_are_bounded_by_user_and_address() {
    let settings = [
        ("SOCKET_PER_USER", "2"),
        ("SOCKET_PER_ADDRESS", "4"),
        ("SOCKET_WAITING_PER_ADDRESS", "1"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let app = TestApp::start_with(&settings).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let _first = app.connect(&ann).await;
    let second = app.connect(&ann).await;
    let bearer = format!("Bearer {}", ann.token);
    let mut third = Socket::open(app.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(third.closed().await, 4429, "of one user");
    drop(third);

    let _waiting = Socket::open(app.address, &[]).await.unwrap();
    assert_eq!(Socket::open(app.address, &[]).await.err(), Some(429), "without authentication");
    let elsewhere = [("x-forwarded-for", "203.0.113.1")];
    Socket::open(app.address, &elsewhere).await.unwrap();
    let _bobs = app.connect(&bob).await;
    let fifth = Socket::open(app.address, &[("authorization", &bearer)]).await;
    assert_eq!(fifth.err(), Some(429), "of one address");
    // A socket's end gives its place back.
    drop(second);
    crate::harness::eventually("there is a place again", async || {
        Socket::try_connect(app.address, &ann.token).await.is_some()
    })
    .await;
}
