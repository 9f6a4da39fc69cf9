//! Rates of users over three nodes, and how they are answered: F35.

use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{come_since, count, know_each_other, three};
use crate::harness::{Answer, TestApp, eventually, message};

/// R-RL-2, R-WS-7.
#[tokio::test]
async fn sends_over_three_nodes_stay_within_a_twentieth_of_the_limit() {
    let nodes = three(&[("RATE_SEND", "100/1h")]).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    let mut sockets = Vec::new();
    for node in &nodes {
        sockets.push(node.connect(&ann).await);
    }
    let began = Instant::now();
    let sending = sockets.iter_mut().map(async |socket| {
        let mut ids = Vec::new();
        for _ in 0..50 {
            ids.push(socket.ask("sendMessage", message(&chat, "text")).await);
        }
        let mut answers = Vec::new();
        for id in ids {
            answers.push(socket.answer(&id).await);
        }
        answers
    });
    let answers: Vec<Value> = join_all(sending).await.into_iter().flatten().collect();
    let passed = answers.iter().filter(|answer| answer["ok"] == true).count();
    let refused = answers.iter().filter(|answer| answer["error"]["code"] == "rateLimited");
    let retries: Vec<u64> =
        refused.map(|answer| answer["error"]["retryAfterMs"].as_u64().unwrap()).collect();
    assert_eq!(passed + retries.len(), 150);
    println!("sends accepted={passed} limit=100 nodes=3 offered=150");
    assert!(passed <= 105 + come_since(began, 100), "{passed} passed");
    // Permits that a node leased and did not need may lapse.
    assert!(passed >= 80, "only {passed} passed");
    assert!(retries.iter().all(|ms| *ms > 0), "{retries:?}");
    let mut limited = 0.0;
    let mut charges = 0.0;
    for node in &nodes {
        limited += node.metric("chat_rate_limited_total").await;
        charges += node.metric("chat_limit_charges_total").await;
    }
    assert_eq!(limited.to_string(), retries.len().to_string());
    println!("counted in Redis {charges} times");
}

/// R-RL-2: where a twentieth is less than one, nothing passes beyond.
#[tokio::test]
async fn requests_over_three_nodes_stay_within_a_small_limit_exactly() {
    let nodes = three(&[("RATE_READ", "20/1h")]).await;
    let ann = nodes[0].person("ann").await;
    let began = Instant::now();
    let mut answers = Vec::new();
    for _ in 0..20 {
        let asking = nodes.iter().map(async |node| ann.at(node).get("/user/profile").await);
        answers.extend(join_all(asking).await);
    }
    let passed = count(&answers, 200);
    println!("requests accepted={passed} limit=20 nodes=3 offered=60");
    assert!(passed <= 20 + come_since(began, 20), "{passed} passed");
    assert!(passed >= 20, "only {passed} passed");
    assert_eq!(passed + count(&answers, 429), 60);
    // Another user has another limit.
    let bob = nodes[1].person("bob").await;
    bob.http.get("/user/profile").await.expect(200);
}

/// R-RL-4.
#[tokio::test]
async fn answers_say_what_is_left_and_when_to_come_back() {
    let app = TestApp::start_with(&[("RATE_DIRECT", "2/1h,10/1d")]).await;
    know_each_other(std::slice::from_ref(&app)).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let policy = "\"direct\";q=2;w=3600, \"directBudget\";q=10;w=86400";
    let first = ann.direct(&bob).await.expect(201);
    assert_eq!(first.header("ratelimit-policy"), policy);
    assert!(first.header("ratelimit").starts_with("\"direct\";r=1;t="), "{first:?}");
    ann.direct(&bob).await.expect(200);
    let refused = ann.direct(&bob).await.expect_problem(429, "rateLimited");
    assert_eq!(refused.header("ratelimit-policy"), policy);
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=1_800).contains(&after), "{after}");
    let state = refused.header("ratelimit");
    assert!(state.starts_with("\"direct\";r=0;t="), "{state}");
    assert!(state.contains("\"directBudget\";r=8;t="), "{state}");
    // Other classes, and other users, are not touched.
    ann.http.get("/user/profile").await.expect(200);
    bob.direct(&ann).await.expect(200);
}

/// R-RL-5.
#[tokio::test]
async fn a_daily_budget_holds_however_slowly_it_is_used() {
    let app = TestApp::start_with(&[("RATE_INVITE", "3/1s,6/1d")]).await;
    let ann = app.person("ann").await;
    let mut made = 0;
    let mut dry = false;
    eventually("the budget is used up", async || {
        let answer = ann.http.post("/chats", json!({ "title": "a group" })).await;
        made += usize::from(answer.status == 201);
        dry = answer.status == 429 && answer.header("ratelimit").contains("\"inviteBudget\";r=0");
        dry
    })
    .await;
    assert_eq!(made, 6);
}

#[tokio::test]
async fn a_request_with_a_bad_token_is_refused_before_it_is_counted() {
    let app = TestApp::start_with(&[("RATE_READ", "5/1h")]).await;
    let ann = app.person("ann").await;
    let stranger = app.client().with_token("no token");
    for _ in 0..10 {
        stranger.get("/user/profile").await.expect_problem(401, "unauthenticated");
    }
    ann.http.get("/user/profile").await.expect(200);
}

/// R-RL-1: a route that exists, in a class or not, is never answered by its absence.
#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_no_routes_without_a_class() {
    let app = TestApp::start().await;
    let client = app.client();
    client.get("/nowhere").await.expect_problem(404, "notFound");
    let request = client.request(Method::PUT, "/chats");
    Answer::of(request).await.expect_problem(405, "invalid");
}
