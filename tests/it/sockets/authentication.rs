//! Who may have a socket, and for how long.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{PATIENCE, Socket, TestApp};

#[tokio::test]
async fn a_token_comes_by_header_by_subprotocol_or_by_the_first_frame() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let bearer = format!("Bearer {}", ann.token);
    let by_header = Socket::open(app.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(by_header.protocol, None);
    let offers = format!("chat.v1, bearer.{}", ann.token);
    let offers = [("sec-websocket-protocol", offers.as_str())];
    let by_protocol = Socket::open(app.address, &offers).await.unwrap();
    assert_eq!(by_protocol.protocol.as_deref(), Some("chat.v1"), "and not the token");
    let mut by_frame = Socket::open(app.address, &[]).await.unwrap();
    let answer = by_frame.request("authenticate", json!({ "token": ann.token })).await;
    assert_eq!(answer["userId"], ann.id);
    assert!(answer["expiresAt"].is_string());

    let mut connections = Vec::new();
    for mut socket in [by_header, by_protocol, by_frame] {
        let ready = socket.push("ready").await;
        assert_eq!(ready["userId"], ann.id);
        assert_eq!(ready["sessionId"], ann.signed_up["session"]["id"]);
        assert_eq!(ready["heartbeatMs"], 25_000);
        assert!(ready["serverTime"].is_string());
        connections.push(ready["connectionId"].as_str().unwrap().to_owned());
    }
    connections.sort_unstable();
    connections.dedup();
    assert_eq!(connections.len(), 3);
}

#[tokio::test]
async fn a_wrong_token_opens_nothing() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let forged = format!("{}x", ann.token);
    for token in [forged.as_str(), "x"] {
        let bearer = format!("Bearer {token}");
        let opened = Socket::open(app.address, &[("authorization", &bearer)]).await;
        assert_eq!(opened.err(), Some(401), "{token:?}");
    }
    let offers = format!("chat.v1, bearer.{forged}");
    let opened = Socket::open(app.address, &[("sec-websocket-protocol", &offers)]).await;
    assert_eq!(opened.err(), Some(401));

    let mut socket = Socket::open(app.address, &[]).await.unwrap();
    let code = socket.refused("sendMessage", json!({})).await;
    assert_eq!(code, "unauthenticated", "nothing comes before authentication");
    assert_eq!(socket.refused("authenticate", json!({ "token": forged })).await, "unauthenticated");
    assert_eq!(socket.refused("authenticate", json!({})).await, "invalid");
    socket.request("authenticate", json!({ "token": ann.token })).await;
    socket.push("ready").await;
}

#[tokio::test]
async fn guessing_tokens_on_one_socket_ends_it() {
    let app = TestApp::start().await;
    let mut socket = Socket::open(app.address, &[]).await.unwrap();
    for _ in 0..40 {
        socket.ask("authenticate", json!({ "token": "a guess" })).await;
    }
    assert_eq!(socket.closed().await, 4401);
}

#[tokio::test]
async fn a_token_in_the_url_is_not_looked_at() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let settings = [("SOCKET_AUTH_TIMEOUT_MS", "200")];
    let other = app.join_with(&settings).await;
    let mut socket =
        Socket::open_with_query(other.address, &format!("token={}", ann.token)).await.unwrap();
    assert_eq!(socket.closed().await, 4401);
}

#[tokio::test]
async fn who_does_not_authenticate_in_time_is_out() {
    let app = TestApp::start_with(&[("SOCKET_AUTH_TIMEOUT_MS", "200")]).await;
    let mut silent = Socket::open(app.address, &[]).await.unwrap();
    assert_eq!(silent.closed().await, 4401);
    let mut busy = Socket::open(app.address, &[]).await.unwrap();
    let answering = async {
        loop {
            let id = busy.ask("authenticate", json!({ "token": "x" })).await;
            if busy.try_answer(&id).await.is_none() {
                return busy.closed().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let code = tokio::time::timeout(PATIENCE, answering).await.expect("refusals win no time");
    assert_eq!(code, 4401);
}

/// R-WS-2, F48.
#[tokio::test]
async fn a_foreign_origin_is_refused_before_the_upgrade() {
    let app = TestApp::start_with(&[("ALLOWED_ORIGINS", "https://chat.example")]).await;
    let ann = app.person("ann").await;
    let bearer = format!("Bearer {}", ann.token);
    let from = async |origin: &str| {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        Socket::open(app.address, &headers).await.err()
    };
    assert_eq!(from("https://chat.example").await, None);
    for foreign in [
        "https://evil.example",
        "null",
        "",
        "http://chat.example",
        "https://chat.example:8443",
        "https://chat.example.",
        "https://chat.example/",
        "https://CHAT.example",
        "https://sub.chat.example",
        "https://evilchat.example",
        "https://chat.example.evil.example",
        "https://evil.example/https://chat.example",
        "https://chat.example, https://evil.example",
        "file://",
    ] {
        assert_eq!(from(foreign).await, Some(403), "{foreign}");
    }
}

#[tokio::test]
async fn the_app_token_is_asked_of_sockets_too() {
    let app = TestApp::start_with(&[("APP_TOKEN", "of-the-app")]).await;
    assert_eq!(Socket::open(app.address, &[]).await.err(), Some(401));
    let wrong = [("x-app-token", "of-another")];
    assert_eq!(Socket::open(app.address, &wrong).await.err(), Some(401));
    assert!(Socket::open(app.address, &[("x-app-token", "of-the-app")]).await.is_ok());
    let offers = [("sec-websocket-protocol", "chat.v1, app.of-the-app")];
    assert!(Socket::open(app.address, &offers).await.is_ok());
}

#[tokio::test]
async fn a_socket_ends_with_its_token_unless_a_new_one_is_brought() {
    let settings = [("JWT_EXPIRE", "5s"), ("SOCKET_HEARTBEAT_MS", "1000")];
    let app = TestApp::start_with(&settings).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (mut kept, mut left) = (app.connect(&ann).await, app.connect(&ann).await);
    let expiring = kept.push("tokenExpiring").await;
    let body = json!({ "refreshToken": ann.signed_up["refreshToken"] });
    let renewed = app.client().post("/auth/refresh", body).await.expect(200);
    let token = renewed.text("/accessToken");
    let answer = kept.request("authenticate", json!({ "token": token })).await;
    assert_eq!(answer["userId"], ann.id);
    assert!(answer["expiresAt"].as_str() >= expiring["expiresAt"].as_str());
    let anothers = json!({ "token": bob.token });
    assert_eq!(kept.refused("authenticate", anothers).await, "forbidden");

    // The one that is kept must be read meanwhile, to answer the pings.
    let code = tokio::select! {
        code = left.closed() => code,
        code = kept.closed() => panic!("the renewed one ended first, with {code}"),
    };
    assert_eq!(code, 4401);
    kept.request("subscribe", json!({ "events": ["*"] })).await;
    assert_eq!(kept.closed().await, 4401, "the second token ends too");
}

/// R-SE-10, and figure F42: 2 s on every node.
#[tokio::test]
async fn the_end_of_a_session_closes_its_sockets_on_every_node_and_no_others() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let elsewhere = nodes[0].client().sign_in("ann", json!({ "id": "laptop" })).await;
    let mut other_session =
        Socket::connect(nodes[1].address, &elsewhere.text("/accessToken")).await;
    let (mut here, mut there) = (nodes[0].connect(&ann).await, nodes[1].connect(&ann).await);
    let mut idle = nodes[1].connect(&ann).await;

    let began = Instant::now();
    ann.http.post("/auth/logout", json!({})).await.expect(204);
    for socket in [&mut here, &mut there, &mut idle] {
        let revoked = socket.push("sessionRevoked").await;
        assert_eq!(revoked["sessionId"], ann.signed_up["session"]["id"]);
        assert_eq!(revoked["reason"], "logout");
        assert_eq!(socket.closed().await, 4403);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    other_session.request("subscribe", json!({ "events": ["*"] })).await;
}

/// A suspension that ended no session is found out with the heartbeat.
#[tokio::test]
async fn a_user_who_may_not_stay_is_noticed_with_the_heartbeat() {
    let app = TestApp::start_with(&[("SOCKET_HEARTBEAT_MS", "1000")]).await;
    let ann = app.person("ann").await;
    let mut socket = app.connect(&ann).await;
    app.sql("update users set suspended_at = now()", None).await;
    assert_eq!(socket.closed().await, 4403);
}

#[tokio::test]
async fn one_socket_more_than_a_node_has_room_for_is_sent_away() {
    let app = TestApp::start_with(&[("SOCKET_MAX_CONNECTIONS", "2")]).await;
    let ann = app.person("ann").await;
    let (_first, second) = (app.connect(&ann).await, app.connect(&ann).await);
    assert_eq!(Socket::open(app.address, &[]).await.err(), Some(503));
    drop(second);
    crate::harness::eventually("a place is free again", async || {
        Socket::open(app.address, &[]).await.is_ok()
    })
    .await;
}
