//! Suspension: out at once, everywhere, and not to be told from a wrong password.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, TestApp, eventually};

/// R-SE-10, F42: what was open closes on every node, and nothing gets in again.
#[tokio::test]
async fn a_suspended_user_is_out_on_every_node() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let operator = nodes[0].operator("olga").await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let mut sockets = Vec::new();
    for node in &nodes {
        sockets.push(node.connect(&ann).await);
    }
    sockets[1].say(&chat, "before").await;

    let path = format!("/admin/users/{}/suspend", ann.id);
    let account = operator.http.post(&path, json!({ "reason": "spam" })).await.expect(200);
    assert!(account.body["suspendedAt"].is_string());
    for socket in &mut sockets {
        assert_eq!(socket.push("sessionRevoked").await["reason"], "suspended");
        assert_eq!(socket.closed().await, 4403);
    }
    for node in &nodes {
        let ann = ann.at(node);
        eventually("the token is refused", async || ann.get("/user/profile").await.status == 401)
            .await;
        let body = json!({ "clientId": uuid::Uuid::now_v7(), "body": "after" });
        let sent = ann.post(&format!("/chats/{chat}/messages"), body).await;
        sent.expect_problem(401, "unauthenticated");
    }
    let body = json!({ "refreshToken": ann.signed_up["refreshToken"] });
    nodes[1].client().post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");

    // What was said stays, and so does its author.
    let history = bob.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
    assert_eq!(history.items()[0]["body"], "before");
    let author = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200);
    assert_eq!(author.body["username"], "ann");

    // Once more is no other suspension.
    let again = operator.http.post(&path, json!({})).await.expect(200);
    assert_eq!(again.body["suspendedAt"], account.body["suspendedAt"]);
    let rows = operator.http.get("/admin/audit?action=user.suspend").await.expect(200);
    assert_eq!(rows.items().len(), 1);
    assert_eq!(rows.items()[0]["detail"]["reason"], "spam");
    assert_eq!(rows.items()[0]["detail"]["sessionIds"].as_array().map(Vec::len), Some(1));
}

/// R-AU-6: the right password of a suspended account and a wrong one get the same bytes.
#[tokio::test]
async fn signing_in_looks_like_a_wrong_password() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    let account = format!("/admin/users/{}", ann.id);
    operator.http.post(&format!("{account}/suspend"), json!({})).await.expect(200);
    let try_in = async |login: &str, password: &str| {
        let body = json!({ "login": login, "password": password });
        let answer = app.client().post("/auth/signin", body).await;
        let mut problem = answer.expect_problem(401, "unauthenticated").body;
        problem["requestId"] = Value::Null;
        problem
    };
    let suspended = try_in("ann", PASSWORD).await;
    assert_eq!(suspended, try_in("ann", "not the password").await);
    assert_eq!(suspended, try_in("nobody", PASSWORD).await);

    let back = operator.http.post(&format!("{account}/unsuspend"), json!({})).await.expect(200);
    assert_eq!(back.body["suspendedAt"], Value::Null);
    app.client().sign_in("ann", json!({})).await;
    ann.http.get("/user/profile").await.expect_problem(401, "unauthenticated");
}

/// A sign-in that is under way while its account is suspended leaves no session behind.
#[tokio::test]
async fn no_session_slips_past_a_suspension() {
    let app = TestApp::start().await;
    let operator = app.operator("olga").await;
    for round in 0..5 {
        let name = format!("ann{round}");
        let ann = app.person(&name).await;
        let path = format!("/admin/users/{}/suspend", ann.id);
        let body = json!({ "login": name, "password": PASSWORD });
        let client = app.client();
        let (suspended, _) =
            tokio::join!(operator.http.post(&path, json!({})), client.post("/auth/signin", body),);
        suspended.expect(200);
        let mut db = app.database.connect().await;
        let alive: i64 = sqlx::query_scalar(
            "select count(*) from sessions where user_id = $1::text::uuid and ended_at is null",
        )
        .bind(&ann.id)
        .fetch_one(&mut db)
        .await
        .unwrap();
        assert_eq!(alive, 0, "in round {round}");
    }
}

#[tokio::test]
async fn a_reason_has_a_bound() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    let path = format!("/admin/users/{}/suspend", ann.id);
    for reason in ["x".repeat(501), "a\0b".to_owned()] {
        let answer = operator.http.post(&path, json!({ "reason": reason })).await;
        assert_eq!(answer.expect_problem(422, "invalid").error_paths(), ["reason"]);
    }
    ann.http.get("/user/profile").await.expect(200);
}
