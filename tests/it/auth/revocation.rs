//! Ended sessions: nothing reaches their sockets any more, on no node, whatever is away. R-SE-10,
//! F42. The sockets' own look at their sessions comes with every fourth heartbeat, after 100 s, which
//! is longer than anything waits here: what is closed was closed by the news or by the look at
//! Postgres.

use serde_json::{Value, json};

use crate::harness::{Load, Mode, Person, Proxy, Socket, TestApp, environment, eventually};

/// Nodes that reach Redis through a proxy, which they share.
async fn cluster_behind_a_proxy() -> (Vec<TestApp>, Proxy) {
    let urls = environment("TEST_REDIS_URLS");
    let first = urls.split(',').next().expect("there is one").trim();
    let (proxy, through) = Proxy::before(first).await;
    let mut nodes = vec![TestApp::start_with(&[("REDIS_URL", &through)]).await];
    for _ in 0..2 {
        nodes.push(nodes[0].join().await);
    }
    (nodes, proxy)
}

async fn sockets_of(nodes: &[TestApp], person: &Person) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for node in nodes {
        sockets.push(node.connect(person).await);
    }
    sockets
}

/// Each is told and closed; what was told last is that.
async fn all_are_closed(sockets: Vec<Socket>, session: &Value, reason: &str) {
    for mut socket in sockets {
        let revoked = socket.push("sessionRevoked").await;
        assert_eq!((&revoked["sessionId"], &revoked["reason"]), (session, &json!(reason)));
        // What came before stays for later; what comes behind would be new.
        socket.take_pushes();
        assert_eq!(socket.closed().await, 4403);
        assert_eq!(socket.take_pushes(), Vec::<Value>::new(), "after the revocation");
    }
}

#[tokio::test]
async fn without_redis_a_session_ends_on_every_node() {
    let (nodes, proxy) = cluster_behind_a_proxy().await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let sockets = sockets_of(&nodes, &ann).await;
    let mut others = sockets_of(&nodes, &bob).await;
    for how in [Mode::Cut, Mode::Stall] {
        proxy.set(how);
        // Bob's own second session, which ends while Redis is away in this way.
        let login = nodes[0].client().sign_in("bob", json!({})).await;
        let token = login.text("/accessToken");
        let session = login.body["session"]["id"].clone();
        let mut ending = Vec::new();
        for node in &nodes {
            ending.push(Socket::connect(node.address, &token).await);
        }
        let at = nodes[1].client().with_token(&token);
        at.post("/auth/logout", json!({})).await.expect(204);
        all_are_closed(ending, &session, "logout").await;
        for node in &nodes {
            let there = node.client().with_token(&token);
            eventually("the token is refused", async || {
                there.get("/user/profile").await.status == 401
            })
            .await;
        }
    }
    let session = ann.signed_up["session"]["id"].clone();
    ann.at(&nodes[2]).post("/auth/logout-all", json!({})).await.expect(204);
    all_are_closed(sockets, &session, "logoutAll").await;
    for other in &mut others {
        other.request("subscribe", json!({ "events": ["*"] })).await;
    }
}

/// The announcement is missed: the end stands in Postgres and nobody is told.
#[tokio::test]
async fn an_end_that_nobody_announces_closes_the_sockets_amid_the_flow() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = bob.group(&[&ann]).await;
    let load = Load::start(&[nodes[1].address], &bob.token, &chat);
    let sockets = sockets_of(&nodes, &ann).await;
    load.goes_on_by(20).await;
    let end = "update sessions
               set ended_at = clock_timestamp(), end_reason = 'revoked'
               where id = $1";
    let session = ann.signed_up["session"]["id"].clone();
    nodes[0].sql(end, session.as_str()).await;
    all_are_closed(sockets, &session, "revoked").await;
    load.goes_on_by(20).await;
    load.stop().await;
}

#[tokio::test]
async fn nothing_comes_after_a_revocation_amid_the_flow() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = bob.group(&[&ann]).await;
    let load = Load::start(&[nodes[1].address], &bob.token, &chat);
    for _ in 0..3 {
        let login = nodes[0].client().sign_in("ann", json!({})).await;
        let token = login.text("/accessToken");
        let mut sockets = Vec::new();
        for node in &nodes {
            sockets.push(Socket::connect(node.address, &token).await);
        }
        load.goes_on_by(20).await;
        let path = format!("/auth/sessions/{}", login.text("/session/id"));
        ann.at(&nodes[2]).delete(&path).await.expect(204);
        all_are_closed(sockets, &login.body["session"]["id"], "revoked").await;
    }
    load.stop().await;
}

/// A socket is not kept open by not being read.
#[tokio::test]
async fn a_reader_that_stands_still_loses_its_socket_with_its_session() {
    let settings = [("SOCKET_OUTBOX_BYTES", "104857600")];
    let app = TestApp::start_with(&settings).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = bob.group(&[&ann]).await;
    let _standing_still = Socket::connect_narrow(app.address, &ann.token).await;
    let mut sender = app.connect(&bob).await;
    let text = "x".repeat(8_000);
    // A few at a time: who sends without reading stands still, too.
    for _ in 0..50 {
        let mut asked = Vec::new();
        for _ in 0..20 {
            asked.push(sender.ask("sendMessage", crate::harness::message(&chat, &text)).await);
        }
        for id in asked {
            sender.answer(&id).await;
        }
    }
    ann.http.post("/auth/logout", json!({})).await.expect(204);
    eventually("only the sender is left", async || app.metric("chat_connections").await < 1.5)
        .await;
}

/// Let in on the word of a check that was true a moment before.
#[tokio::test]
async fn a_socket_that_slips_in_beside_the_end_is_closed_too() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    for _ in 0..10 {
        let login = app.client().sign_in("ann", json!({})).await;
        let token = login.text("/accessToken");
        let client = app.client().with_token(&token);
        let (answer, socket) = tokio::join!(
            client.post("/auth/logout", json!({})),
            Socket::try_connect(app.address, &token),
        );
        answer.expect(204);
        if let Some(mut socket) = socket {
            assert_eq!(socket.closed().await, 4403);
        }
    }
    app.connect(&ann).await.request("subscribe", json!({ "events": ["*"] })).await;
}
