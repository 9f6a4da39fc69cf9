//! Whatever is refused is refused by a problem document.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestApp};

#[tokio::test]
async fn bodies_of_the_wrong_form_are_told_apart() {
    let app = TestApp::start().await;
    let client = app.client();
    let send = |kind: &'static str, body: String| {
        let request = client.request(Method::POST, "/auth/signin");
        Answer::of(request.header("content-type", kind).body(body))
    };
    let json = "application/json";
    send(json, "{\"login\":".into()).await.expect_problem(400, "invalid");
    send(json, String::new()).await.expect_problem(400, "invalid");
    send("text/plain", "{}".into()).await.expect_problem(415, "unsupportedMedia");
    let missing = send(json, r#"{"login": "ann"}"#.into()).await.expect_problem(422, "invalid");
    assert_eq!(missing.error_paths(), ["password"]);
    let wrong = send(json, r#"{"login": 1, "password": ""}"#.into()).await;
    assert_eq!(wrong.expect_problem(422, "invalid").error_paths(), ["login"]);
    let unknown = r#"{"login": "a", "password": "b", "role": "admin"}"#;
    let unknown = send(json, unknown.into()).await.expect_problem(422, "invalid");
    assert_eq!(unknown.error_paths(), ["role"]);
    send(json, "x".repeat(65_537)).await.expect_problem(413, "tooLarge");
}

/// Without a declared length the limit still holds, while reading.
#[tokio::test]
async fn an_undeclared_length_is_limited_too() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start().await;
    let mut socket = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = "POST /api/v1/auth/signin HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..17 {
        socket.write_all(chunk.as_bytes()).await.unwrap();
    }
    let mut answer = vec![0; 4_096];
    let length = socket.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"code\":\"tooLarge\""), "{answer}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let app = TestApp::start().await;
    let client = app.client();
    client.get("/nowhere").await.expect_problem(404, "notFound");
    client.get("/../elsewhere").await.expect_problem(404, "notFound");
    let answer = client.delete("/auth/signin").await.expect_problem(405, "invalid");
    assert_eq!(answer.header("allow"), "POST");
    client.get("/user/profile").await.expect_problem(401, "unauthenticated");
    let ann = client.with_token(client.sign_up("ann").await.text("/accessToken"));
    let odd = ann.get("/user/not-an-id").await.expect_problem(422, "invalid");
    assert_eq!(odd.error_paths(), ["userId"]);
    let stranger = format!("/user/{}", uuid::Uuid::now_v7());
    ann.get(&stranger).await.expect_problem(404, "notFound");
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_given() {
    let app = TestApp::start().await;
    let request = |id: &'static str| {
        Answer::of(app.client().request(Method::GET, "/nowhere").header("x-request-id", id))
    };
    let own = request("mine-1").await.expect_problem(404, "notFound");
    assert_eq!(own.header("x-request-id"), "mine-1");
    let odd = request("not mine").await.expect_problem(404, "notFound");
    assert_ne!(odd.header("x-request-id"), "not mine");
}

#[tokio::test]
async fn guessing_is_limited_by_address() {
    let app = TestApp::start_with(&[("RATE_AUTH", "3/3s")]).await;
    let client = app.client();
    let body = json!({ "login": "ann", "password": "a wrong password" });
    for forged in 0..3 {
        let request = client.request(Method::POST, "/auth/signin").json(&body);
        let request = request.header("x-forwarded-for", format!("192.0.2.{forged}"));
        Answer::of(request).await.expect(401);
    }
    let refused = client.post("/auth/signin", body).await.expect_problem(429, "rateLimited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit"), "\"auth\";r=0;t=1");
    assert_eq!(refused.header("ratelimit-policy"), "\"auth\";q=3;w=3");
    client.get("/user/profile").await.expect(401);
}

#[tokio::test]
async fn the_app_token_is_asked_for_where_it_is_set() {
    let app = TestApp::start_with(&[("APP_TOKEN", "of the app")]).await;
    let get = |token: Option<&'static str>| {
        let request = app.client().request(Method::GET, "/nowhere");
        Answer::of(token.into_iter().fold(request, |r, token| r.header("x-app-token", token)))
    };
    get(None).await.expect_problem(401, "unauthenticated");
    get(Some("of another")).await.expect_problem(401, "unauthenticated");
    get(Some("of the app")).await.expect_problem(404, "notFound");
}
