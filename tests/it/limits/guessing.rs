//! Guessing at passwords and tokens, over three nodes: F36.

use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{come_since, count, three};
use crate::harness::{Answer, PASSWORD, TestApp};

/// A sign-in that comes from this address, by a proxy.
async fn sign_in(app: &TestApp, from: &str, login: &str, password: &str, device: Value) -> Answer {
    let body = json!({ "login": login, "password": password, "device": device });
    let request = app.client().request(Method::POST, "/auth/signin").json(&body);
    Answer::of(request.header("x-forwarded-for", from)).await
}

async fn evaluated(app: &TestApp) -> i64 {
    let mut db = app.database.connect().await;
    let sql = "select count(*) from audit_log where action = 'user.signInRefused'";
    sqlx::query_scalar(sql).fetch_one(&mut db).await.expect("the statement runs")
}

/// R-AU-5.
#[tokio::test]
async fn a_stranger_is_held_back_on_all_nodes_and_locks_nobody_out() {
    let nodes = three(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("SIGN_IN_TRIES", "5")]).await;
    let phone = json!({ "id": "phone-1" });
    let home = "198.51.100.7";
    nodes[0].person("ann").await;
    sign_in(&nodes[0], home, "ann", PASSWORD, phone.clone()).await.expect(200);

    let began = Instant::now();
    let mut answers = Vec::new();
    for round in 0..25 {
        let trying = (0..6).map(async |index: usize| {
            let from = format!("203.0.113.{}", (round * 6 + index) % 50);
            sign_in(&nodes[index % 3], &from, "Ann", "a wrong password", json!({})).await
        });
        answers.extend(join_all(trying).await);
    }
    let wrong = count(&answers, 401);
    assert_eq!(wrong + count(&answers, 429), 150);
    assert_eq!(evaluated(&nodes[0]).await.to_string(), wrong.to_string());
    // Five at once, and one more after 1, 2, 4, 8, ... seconds.
    let since = began.elapsed().as_secs() + 1;
    let most = 5 + usize::try_from((since + 1).ilog2()).unwrap() + 1;
    println!("tries offered=150 evaluated={wrong} limit={most}");
    assert!((1..=most).contains(&wrong), "{wrong} were evaluated");

    // Right or wrong, strangers wait; whom the account knows does not.
    let stranger = sign_in(&nodes[1], "203.0.113.99", "ann", PASSWORD, json!({})).await;
    let refused = stranger.expect_problem(429, "rateLimited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    sign_in(&nodes[1], "192.0.2.77", "ann", PASSWORD, phone).await.expect(200);
    sign_in(&nodes[2], home, "ann", PASSWORD, json!({})).await.expect(200);
}

/// R-AU-6: the limits tell nothing of who has an account.
#[tokio::test]
async fn unknown_accounts_are_limited_like_known_ones() {
    let settings =
        [("TRUSTED_PROXIES", "127.0.0.0/8"), ("SIGN_IN_TRIES", "3"), ("SIGN_IN_DELAY_MAX", "1h")];
    let app = TestApp::start_with(&settings).await;
    app.person("ann").await;
    let mut told = Vec::new();
    for login in ["ann", "nobody", "ann@example.org", "nobody@example.org"] {
        let attempt = async || {
            let device = json!({ "id": "guessed" });
            sign_in(&app, "203.0.113.1", login, "a wrong password", device).await
        };
        for _ in 0..3 {
            attempt().await.expect(401);
        }
        // On a slow machine the first delays may be over before the next try is made.
        let mut answer = attempt().await;
        while answer.status == 401 {
            answer = attempt().await;
        }
        let mut refusal = answer.expect_problem(429, "rateLimited").body;
        refusal.as_object_mut().unwrap().remove("requestId");
        told.push(refusal);
    }
    for other in &told[1..] {
        assert_eq!(other, &told[0]);
    }
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones() {
    let app = TestApp::start_with(&[("SIGN_IN_TRIES", "4"), ("SIGN_IN_DELAY_MAX", "1h")]).await;
    app.person("ann").await;
    for _ in 0..4 {
        for _ in 0..3 {
            sign_in(&app, "", "ann", "a wrong password", json!({})).await.expect(401);
        }
        sign_in(&app, "", "ann", PASSWORD, json!({})).await.expect(200);
    }
}

/// R-AU-5: many accounts from one address.
#[tokio::test]
async fn an_address_has_so_many_wrong_tries_over_all_nodes() {
    let nodes = three(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("RATE_SIGN_IN", "12/1h")]).await;
    let (ann, began) = (nodes[0].person("ann").await, Instant::now());
    let mut answers = Vec::new();
    for round in 0..15 {
        let trying = nodes.iter().enumerate().map(async |(index, node)| {
            let login = format!("somebody{round}-{index}");
            sign_in(node, "203.0.113.1", &login, "a wrong password", json!({})).await
        });
        answers.extend(join_all(trying).await);
    }
    let wrong = count(&answers, 401);
    println!("tries offered=45 evaluated={wrong} limit=12");
    assert!(wrong <= 12 + come_since(began, 12), "{wrong} were evaluated");
    assert!(wrong >= 12, "only {wrong} were evaluated");
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.header("ratelimit-policy").starts_with("\"signIn\";q=12;w=3600"));
    // Guessing at refresh tokens is the same.
    let guess = json!({ "refreshToken": "x".repeat(43) });
    let request = nodes[1].client().request(Method::POST, "/auth/refresh").json(&guess);
    Answer::of(request.header("x-forwarded-for", "203.0.113.1")).await.expect(429);
    // From elsewhere all is well, also for the same account.
    sign_in(&nodes[2], "192.0.2.1", "ann", PASSWORD, json!({})).await.expect(200);
    let token = ann.signed_up["refreshToken"].clone();
    let body = json!({ "refreshToken": token });
    nodes[0].client().post("/auth/refresh", body).await.expect(200);
}

/// What is right does not count, however many there are behind one address.
#[tokio::test]
async fn right_sign_ins_are_given_back() {
    let app = TestApp::start_with(&[("RATE_SIGN_IN", "4/1h")]).await;
    let ann = app.person("ann").await;
    let mut refresh_token = ann.signed_up["refreshToken"].clone();
    for _ in 0..6 {
        sign_in(&app, "", "ann", PASSWORD, json!({})).await.expect(200);
        let body = json!({ "refreshToken": refresh_token });
        let answer = app.client().post("/auth/refresh", body).await.expect(200);
        refresh_token = answer.body["refreshToken"].clone();
        // What is given back is counted a moment later.
        app.person(&format!("other{}", uuid::Uuid::now_v7().simple())[..20]).await;
    }
}
