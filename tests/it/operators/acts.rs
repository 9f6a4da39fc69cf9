//! Who may act, on whom, and what is written down of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Http, PASSWORD, TestApp};

const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

/// Every call of the operators' part, on this user.
fn calls(user: &str) -> [(Method, String); 7] {
    let of_user = |rest: &str| format!("/admin/users/{user}{rest}");
    [
        (Method::GET, "/admin/users".to_owned()),
        (Method::GET, "/admin/audit".to_owned()),
        (Method::GET, "/admin/jobs".to_owned()),
        (Method::PATCH, of_user("")),
        (Method::POST, of_user("/suspend")),
        (Method::POST, of_user("/unsuspend")),
        (Method::DELETE, of_user("/sessions")),
    ]
}

async fn send(client: &Http, method: &Method, path: &str, body: &str) -> Answer {
    let request = client.request(method.clone(), path);
    Answer::of(request.header("content-type", "application/json").body(body.to_owned())).await
}

/// R-AZ-3: whoever is no operator cannot tell these paths from paths that are none, whatever they
/// send there.
#[tokio::test]
async fn for_everybody_else_there_is_nothing_here() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut nowhere = ann.http.get("/nowhere").await.expect_problem(404, "notFound").body;
    nowhere["requestId"] = Value::Null;
    for (method, path) in calls(&bob.id) {
        for body in ["{}", "{", r#"{"verified": true}"#, r#"{"role": "admin"}"#] {
            let answer = send(&app.client(), &method, &path, body).await;
            answer.expect_problem(401, "unauthenticated");
            let answer = send(&ann.http, &method, &path, body).await;
            let mut problem = answer.expect_problem(404, "notFound").body;
            problem["requestId"] = Value::Null;
            assert_eq!(problem, nowhere, "{method} {path}");
        }
    }
    bob.http.get("/user/profile").await.expect(200);
}

#[tokio::test]
async fn the_badge_is_given_and_taken() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let operator = app.operator("olga").await;
    let path = format!("/admin/users/{}", ann.id);
    let given = operator.http.patch(&path, json!({ "verified": true })).await.expect(200);
    assert_eq!(given.body["verified"], true);
    assert_eq!(given.body["email"], "ann@example.org");
    let seen = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200);
    assert_eq!(seen.body["verified"], true);

    // What is so already is no act.
    operator.http.patch(&path, json!({ "verified": true })).await.expect(200);
    operator.http.patch(&path, json!({})).await.expect(200);
    operator.http.patch(&path, json!({ "verified": false })).await.expect(200);
    let rows = operator.http.get(&format!("/admin/audit?subject={}", ann.id)).await.expect(200);
    let actions: Vec<&str> = rows.items().iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["user.unverify", "user.verify", "user.signUp"]);
    let row = &rows.items()[0];
    assert_eq!((&row["actorId"], &row["ip"]), (&json!(operator.id), &json!("127.0.0.1")));

    let odd = operator.http.patch(&path, json!({ "role": "admin" })).await;
    assert_eq!(odd.expect_problem(422, "invalid").error_paths(), ["role"]);
    let nobody = format!("/admin/users/{NOBODY}");
    let answer = operator.http.patch(&nobody, json!({ "verified": true })).await;
    answer.expect_problem(404, "notFound");
}

/// R-AD-8: acting on accounts takes a recent sign-in, which a refresh is not; reading does not.
#[tokio::test]
async fn an_act_takes_a_recent_sign_in() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    let sql = "update sessions set created_at = now() - interval '16 minutes' where user_id = $1";
    app.sql(sql, Some(&operator.id)).await;
    let body = json!({ "refreshToken": operator.signed_up["refreshToken"] });
    let refreshed = app.client().post("/auth/refresh", body).await.expect(200);
    let refreshed = app.client().with_token(refreshed.text("/accessToken"));

    for (method, path) in calls(&ann.id) {
        let answer = send(&refreshed, &method, &path, "{}").await;
        if method == Method::GET {
            answer.expect(200);
        } else {
            answer.expect_problem(403, "forbidden");
        }
    }
    ann.http.get("/user/profile").await.expect(200);

    let again = app.client().sign_in("olga", json!({})).await;
    let again = app.client().with_token(again.text("/accessToken"));
    let path = format!("/admin/users/{}/suspend", ann.id);
    again.post(&path, json!({})).await.expect(200);
}

/// The right to act is looked up with the act, and not in the token.
#[tokio::test]
async fn a_role_that_was_taken_away_is_worth_nothing() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    operator.http.get("/admin/jobs").await.expect(200);
    app.sql("update users set role = 'user' where id = $1", Some(&operator.id)).await;
    for (method, path) in calls(&ann.id) {
        send(&operator.http, &method, &path, "{}").await.expect_problem(404, "notFound");
    }
}

#[tokio::test]
async fn operators_do_not_act_against_operators() {
    let app = TestApp::start().await;
    let [olga, otto] = [app.operator("olga").await, app.operator("otto").await];
    for target in [&olga, &otto] {
        for (method, path) in calls(&target.id) {
            if [Method::POST, Method::DELETE].contains(&method) {
                let answer = send(&olga.http, &method, &path, "{}").await;
                answer.expect_problem(403, "forbidden");
            }
        }
        target.http.get("/user/profile").await.expect(200);
    }
    let path = format!("/admin/users/{}", otto.id);
    olga.http.patch(&path, json!({ "verified": true })).await.expect(200);
}

/// R-AD-8: the act and its audit row are one transaction.
#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    let sql = "alter table audit_log add constraint none check (actor_id is null) not valid";
    app.sql(sql, None).await;
    let account = format!("/admin/users/{}", ann.id);
    let acts = [
        (Method::PATCH, account.clone(), r#"{"verified": true}"#),
        (Method::POST, format!("{account}/suspend"), "{}"),
        (Method::DELETE, format!("{account}/sessions"), "{}"),
    ];
    for (method, path, body) in acts {
        let answer = send(&operator.http, &method, &path, body).await;
        answer.expect_problem(500, "internal");
    }
    ann.http.get("/user/profile").await.expect(200);
    let account = operator.http.get(&format!("/admin/users?q={}", ann.id)).await.expect(200);
    assert_eq!(account.items()[0]["suspendedAt"], Value::Null);
    assert_eq!(account.items()[0]["verified"], false);
}

#[tokio::test]
async fn ending_all_sessions_lets_sign_in_again() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let operator = nodes[0].operator("olga").await;
    let mut socket = nodes[1].connect(&ann).await;
    let path = format!("/admin/users/{}/sessions", ann.id);
    operator.http.delete(&path).await.expect(204);
    let told = socket.push("sessionRevoked").await;
    assert_eq!(told["reason"], "revoked");
    assert_eq!(socket.closed().await, 4403);
    ann.http.get("/user/profile").await.expect_problem(401, "unauthenticated");
    let body = json!({ "login": "ann", "password": PASSWORD });
    nodes[1].client().post("/auth/signin", body).await.expect(200);
    let answer = operator.http.delete(&format!("/admin/users/{NOBODY}/sessions")).await;
    answer.expect_problem(404, "notFound");
}
