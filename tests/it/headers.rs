//! What browsers are told, and settings that a node does not start with: R-DE-7, R-DE-12.

use chat_service::app::Node;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PrivatePostgres, TestApp};

const PAGE: &str = "https://chat.example";

/// What a browser asks before a page's request that is not a plain one.
async fn preflight(app: &TestApp, path: &str, origin: &str) -> Answer {
    let request = app
        .client()
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization, content-type");
    Answer::of(request).await
}

async fn from(app: &TestApp, path: &str, origin: &str) -> Answer {
    Answer::of(app.client().request(Method::GET, path).header("origin", origin)).await
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").and_then(|value| value.to_str().ok())
}

#[tokio::test]
async fn only_pages_of_the_listed_origins_may_call() {
    let listed = format!("{PAGE}, http://localhost:5173");
    let app = TestApp::start_with(&[("ALLOWED_ORIGINS", &listed)]).await;
    for origin in [PAGE, "http://localhost:5173"] {
        let answer = preflight(&app, "/user/profile", origin).await.expect(200);
        assert_eq!(allowed(&answer), Some(origin));
        assert!(answer.header("access-control-allow-methods").contains("PATCH"));
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(answer.header("access-control-max-age"), "3600");
        let answer = from(&app, "/user/profile", origin).await.expect(401);
        assert_eq!(allowed(&answer), Some(origin), "refusals can be read, too");
        assert!(answer.header("access-control-expose-headers").contains("retry-after"));
    }
    for foreign in [
        "https://evil.example",
        "null",
        "",
        "http://chat.example",
        "https://chat.example:8443",
        "https://chat.example/",
        "https://CHAT.example",
        "https://sub.chat.example",
        "https://evilchat.example",
        "https://chat.example.evil.example",
        "https://chat.example, http://localhost:5173",
        "http://localhost:4000",
    ] {
        let asked = preflight(&app, "/user/profile", foreign).await;
        assert_eq!(allowed(&asked), None, "{foreign}");
        assert_eq!(allowed(&from(&app, "/user/profile", foreign).await), None, "{foreign}");
    }
    for path in ["/user/profile", "/nowhere", "/auth/signin"] {
        for origin in [PAGE, "https://evil.example"] {
            let answer = from(&app, path, origin).await;
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"), "{path}");
            assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        }
    }
}

#[tokio::test]
async fn without_a_list_no_page_may_call() {
    let app = TestApp::start().await;
    assert_eq!(allowed(&preflight(&app, "/user/profile", PAGE).await), None);
    assert_eq!(allowed(&from(&app, "/user/profile", PAGE).await), None);
}

/// A page that is over its limit must be able to see that.
#[tokio::test]
async fn preflights_are_not_counted_and_refusals_can_be_read() {
    let settings = [("ALLOWED_ORIGINS", PAGE), ("RATE_ADDRESS", "1/1h")];
    let app = TestApp::start_with(&settings).await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = from(&app, "/user/profile", PAGE).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the limit is reached").expect_problem(429, "rateLimited");
    assert_eq!(allowed(&refused), Some(PAGE));
    for _ in 0..20 {
        let answer = preflight(&app, "/user/profile", PAGE).await.expect(200);
        assert_eq!(allowed(&answer), Some(PAGE));
    }
}

#[tokio::test]
async fn every_answer_says_how_it_may_be_used() {
    let settings = [("HSTS_MAX_AGE", "31536000"), ("RATE_AUTH", "1/1h")];
    let app = TestApp::start_with(&settings).await;
    let client = app.client();
    let ann = app.person("ann").await;
    let answers = [
        ann.http.get("/user/profile").await.expect(200),
        client.get("/user/profile").await.expect(401),
        client.get("/nowhere").await.expect(404),
        client.get("/../nowhere").await.expect(404),
        client.delete("/auth/signin").await.expect(405),
        client.post("/auth/signin", json!({})).await.expect(429),
        client.get("/../health").await.expect(200),
        client.get("/../health/live").await.expect(200),
        preflight(&app, "/user/profile", PAGE).await,
    ];
    for answer in answers {
        let status = answer.status;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ] {
            assert_eq!(answer.header(name), value, "{status}");
        }
        assert!(!answer.header("x-request-id").is_empty());
        assert!(!answer.headers.contains_key("server"));
    }
    let other = app.join_with(&[("HSTS_MAX_AGE", "0")]).await;
    let answer = other.client().get("/../health/live").await.expect(200);
    assert!(!answer.headers.contains_key("strict-transport-security"));
}

async fn why_not(app: &TestApp, settings: &[(&str, &str)]) -> String {
    match Node::start(app.config_with(settings)).await {
        Ok(_) => panic!("the node starts"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_node_does_not_start_where_commits_may_be_lost() {
    let app = TestApp::start().await;
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(&mut app.database.connect().await)
        .await
        .unwrap();
    let sql = format!("alter database {name} set synchronous_commit = off");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut app.database.connect().await).await.unwrap();
    let why = why_not(&app, &[]).await;
    assert!(why.contains("synchronous_commit is off"), "{why}");
}

#[tokio::test]
async fn a_node_does_not_start_on_a_standby() {
    let app = TestApp::start().await;
    let mut postgres = PrivatePostgres::start().await;
    postgres.restart_as_standby().await;
    let why = why_not(&app, &[("DATABASE_URL", &postgres.url())]).await;
    assert!(why.contains("in recovery"), "{why}");
}
