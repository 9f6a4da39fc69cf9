//! Rotation of refresh tokens: R-SE-7, R-SE-8, R-SE-9.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Http, Proxy, Socket, TestApp};

async fn refresh(client: &Http, token: &str, device: Option<&str>) -> Answer {
    let mut body = json!({ "refreshToken": token });
    if let Some(id) = device {
        body["device"] = json!({ "id": id });
    }
    client.post("/auth/refresh", body).await
}

/// Lets the time since every use pass.
async fn age_uses(app: &TestApp, seconds: i32) {
    let mut db = app.database.connect().await;
    sqlx::query("update refresh_tokens set used_at = used_at - $1 * interval '1 second'")
        .bind(seconds)
        .execute(&mut db)
        .await
        .expect("the statement runs");
}

async fn audited(app: &TestApp, action: &str) -> i64 {
    let mut db = app.database.connect().await;
    sqlx::query_scalar("select count(*) from audit_log where action = $1")
        .bind(action)
        .fetch_one(&mut db)
        .await
        .expect("the statement runs")
}

#[tokio::test]
async fn each_use_makes_the_next_token() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut token = client.sign_up("ann").await.text("/refreshToken");
    for _ in 0..3 {
        let answer = refresh(&client, &token, None).await.expect(200);
        assert_eq!(answer.body["tokenType"], "Bearer");
        assert_eq!(answer.body["expiresIn"], 3_600);
        client.with_token(answer.text("/accessToken")).get("/user/profile").await.expect(200);
        assert_ne!(answer.text("/refreshToken"), token);
        token = answer.text("/refreshToken");
    }
}

#[tokio::test]
async fn twenty_at_once_get_one_successor() {
    let app = TestApp::start().await;
    let client = app.client();
    let device = json!({ "id": "phone" });
    client.sign_up("ann").await;
    let token = client.sign_in("ann", device).await.text("/refreshToken");
    let answers = join_all((0..20).map(|_| refresh(&client, &token, Some("phone")))).await;
    let successors: HashSet<_> =
        answers.into_iter().map(|answer| answer.expect(200).text("/refreshToken")).collect();
    assert_eq!(successors.len(), 1);
    let mut db = app.database.connect().await;
    let kept: i64 = sqlx::query_scalar(
        "select count(*)
         from refresh_tokens
         join sessions on sessions.id = session_id
         where device_id = 'phone'",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(kept, 2, "the first token and one successor");
    let next = successors.into_iter().next().unwrap();
    refresh(&client, &next, Some("phone")).await.expect(200);
}

/// R-SE-8, F39.
#[tokio::test]
async fn fifty_at_once_over_three_nodes_get_one_successor() {
    let nodes = TestApp::cluster(3).await;
    nodes[0].client().sign_up("ann").await;
    let signed_in = nodes[0].client().sign_in("ann", json!({ "id": "phone" })).await;
    let token = signed_in.text("/refreshToken");
    let clients: Vec<Http> = nodes.iter().map(TestApp::client).collect();
    let calls = (0..50).map(|index| refresh(&clients[index % 3], &token, Some("phone")));
    let answers = join_all(calls).await;
    let successors: HashSet<_> =
        answers.into_iter().map(|answer| answer.expect(200).text("/refreshToken")).collect();
    assert_eq!(successors.len(), 1, "distinct successors");
    let mut db = nodes[0].database.connect().await;
    let live: i64 = sqlx::query_scalar(
        "select count(*)
         from refresh_tokens
         join sessions on sessions.id = session_id
         where device_id = 'phone' and used_at is null and revoked_at is null",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(live, 1, "live successors");
    let next = successors.into_iter().next().unwrap();
    refresh(&clients[2], &next, Some("phone")).await.expect(200);
}

/// F40: the answer was lost, so the device asks again; that is no theft.
#[tokio::test]
async fn a_lost_answer_signs_nobody_out() {
    let app = TestApp::start().await;
    let proxy = Proxy::start(&app.address.to_string()).await;
    let client = app.client().at(proxy.address);
    let mut token = client.sign_up("ann").await.text("/refreshToken");
    for lost in 1..=5 {
        proxy.lose_reply_to(&token);
        let body = json!({ "refreshToken": token });
        let asking = client.request(Method::POST, "/auth/refresh").json(&body);
        assert!(asking.send().await.is_err(), "the answer gets lost");
        assert_eq!(proxy.lost(), lost);
        token = refresh(&client, &token, None).await.expect(200).text("/refreshToken");
    }
    refresh(&client, &token, None).await.expect(200);
}

#[tokio::test]
async fn a_second_use_after_the_grace_ends_the_session() {
    let app = TestApp::start().await;
    let client = app.client();
    let first = client.sign_up("ann").await.text("/refreshToken");
    let second = refresh(&client, &first, None).await.expect(200);
    age_uses(&app, 11).await;
    refresh(&client, &first, None).await.expect_problem(401, "unauthenticated");
    let heir = second.text("/refreshToken");
    refresh(&client, &heir, None).await.expect_problem(401, "unauthenticated");
    let ann = client.with_token(second.text("/accessToken"));
    ann.get("/user/profile").await.expect_problem(401, "unauthenticated");
    assert_eq!(audited(&app, "session.tokenReuse").await, 1);
    client.sign_in("ann", json!({})).await;
}

#[tokio::test]
async fn a_second_use_by_another_device_is_theft_at_once() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    let first = client.sign_in("ann", json!({ "id": "phone" })).await.text("/refreshToken");
    let second = refresh(&client, &first, Some("phone")).await.expect(200).text("/refreshToken");
    refresh(&client, &first, Some("laptop")).await.expect_problem(401, "unauthenticated");
    refresh(&client, &second, Some("phone")).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_device_that_was_named_must_be_named_again() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    let token = client.sign_in("ann", json!({ "id": "phone" })).await.text("/refreshToken");
    for other in [None, Some("laptop")] {
        refresh(&client, &token, other).await.expect_problem(401, "unauthenticated");
    }
    refresh(&client, &token, Some("phone")).await.expect(200);
}

#[tokio::test]
async fn tokens_end_when_idle_and_sessions_end_in_any_case() {
    let app = TestApp::start().await;
    let client = app.client();
    let idle = client.sign_up("ann").await.text("/refreshToken");
    let mut db = app.database.connect().await;
    sqlx::query("update refresh_tokens set expires_at = now()").execute(&mut db).await.unwrap();
    refresh(&client, &idle, None).await.expect_problem(401, "unauthenticated");

    let answer = client.sign_in("ann", json!({})).await;
    let soon = "update sessions set expires_at = now() + interval '60 seconds'";
    sqlx::query(soon).execute(&mut db).await.unwrap();
    let next = refresh(&client, &answer.text("/refreshToken"), None).await.expect(200);
    let life = next.body["expiresIn"].as_u64().unwrap();
    assert!(life <= 60, "the access token would outlive its session by {life} s");
    sqlx::query("update sessions set expires_at = now()").execute(&mut db).await.unwrap();
    let token = next.text("/refreshToken");
    refresh(&client, &token, None).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let app = TestApp::start().await;
    let client = app.client();
    let access = client.sign_up("ann").await.text("/accessToken");
    let unknown = "A".repeat(43);
    for token in ["", "x", "\0", access.as_str(), unknown.as_str()] {
        refresh(&client, token, None).await.expect_problem(401, "unauthenticated");
    }
}

/// R-SE-6: a token stands nowhere in the database.
#[tokio::test]
async fn tokens_are_kept_as_hashes_and_listed_without() {
    let app = TestApp::start().await;
    let client = app.client();
    let answer = client.sign_up("ann").await;
    let first = answer.text("/refreshToken");
    let next = refresh(&client, &first, None).await.expect(200).text("/refreshToken");
    let ann = client.with_token(answer.text("/accessToken"));
    let list = ann.get("/auth/refresh-tokens").await.expect(200);
    let items = list.items();
    assert_eq!(items.len(), 2);
    assert!(items[0]["usedAt"].is_null() && items[1]["usedAt"].is_string(), "newest first");
    let mut keys: Vec<_> = items[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["createdAt", "expiresAt", "id", "revokedAt", "sessionId", "usedAt"]);

    let mut db = app.database.connect().await;
    let dump: Vec<String> = sqlx::query_scalar("select to_jsonb(r)::text from refresh_tokens r")
        .fetch_all(&mut db)
        .await
        .unwrap();
    let shown = Value::from(dump).to_string() + &list.body.to_string();
    assert!(!shown.contains(&first) && !shown.contains(&next));
}

/// R-SE-7, F38: reuse ends the whole family, with its sockets, on every node.
#[tokio::test]
async fn reuse_closes_the_sockets_on_every_node() {
    let nodes = TestApp::cluster(3).await;
    let ann = nodes[0].person("ann").await;
    let first = ann.signed_up["refreshToken"].as_str().unwrap().to_owned();
    let second = refresh(&nodes[1].client(), &first, None).await.expect(200);
    let mut sockets = Vec::new();
    for node in &nodes {
        sockets.push(node.connect(&ann).await);
        let renewed = second.text("/accessToken");
        sockets.push(Socket::connect(node.address, &renewed).await);
    }
    age_uses(&nodes[0], 11).await;
    refresh(&nodes[2].client(), &first, None).await.expect_problem(401, "unauthenticated");
    for socket in &mut sockets {
        let revoked = socket.push("sessionRevoked").await;
        assert_eq!(revoked["sessionId"], ann.signed_up["session"]["id"]);
        assert_eq!(revoked["reason"], "tokenReuse");
        assert_eq!(socket.closed().await, 4403);
    }
    let heir = second.text("/refreshToken");
    for node in &nodes {
        refresh(&node.client(), &heir, None).await.expect_problem(401, "unauthenticated");
    }
    assert_eq!(audited(&nodes[0], "session.tokenReuse").await, 1);
}
