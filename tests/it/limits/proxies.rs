//! Who is believed about where a request comes from: F56.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestApp};

const FORGED: [&[(&str, &str)]; 14] = [
    &[],
    &[("x-forwarded-for", "203.0.113.1")],
    &[("x-forwarded-for", "203.0.113.2, 203.0.113.3")],
    &[("x-forwarded-for", "203.0.113.4"), ("x-forwarded-for", "203.0.113.5")],
    &[("x-forwarded-for", "[2001:db8::1]:443")],
    &[("x-forwarded-for", "127.0.0.1")],
    &[("x-forwarded-for", "not an address")],
    &[("forwarded", "for=203.0.113.6;proto=https")],
    &[("x-real-ip", "203.0.113.7")],
    &[("x-client-ip", "203.0.113.8")],
    &[("true-client-ip", "203.0.113.9")],
    &[("cf-connecting-ip", "203.0.113.10")],
    &[("x-forwarded-host", "elsewhere.example"), ("x-forwarded-for", "203.0.113.11")],
    &[("x-cluster-client-ip", "203.0.113.12")],
];

async fn try_with(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    let body = json!({ "login": "ann", "password": "a wrong password" });
    let mut request = app.client().request(Method::POST, "/auth/signin").json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.status
}

/// R-RL-3.
#[tokio::test]
async fn without_proxies_no_header_gets_around_a_limit() {
    let app = TestApp::start_with(&[("RATE_AUTH", "3/1h")]).await;
    let mut passed = 0;
    for headers in FORGED {
        passed += usize::from(try_with(&app, headers).await == 401);
    }
    println!("limit bypass={} of {} headers", passed - 3, FORGED.len());
    assert_eq!(passed, 3);
}

/// R-RL-3: what a client put before the proxy's own entry is not read.
#[tokio::test]
async fn behind_a_proxy_only_its_own_entry_counts() {
    let app = TestApp::start_with(&[("RATE_AUTH", "3/1h"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut passed = 0;
    for headers in FORGED {
        let mut headers = headers.to_vec();
        headers.push(("x-forwarded-for", "198.51.100.1"));
        passed += usize::from(try_with(&app, &headers).await == 401);
    }
    assert_eq!(passed, 3);
    // Each client behind the proxy has its own limit.
    for client in ["198.51.100.2", "198.51.100.3", "2001:db8::7"] {
        assert_eq!(try_with(&app, &[("x-forwarded-for", client)]).await, 401, "{client}");
    }
    // The host of an IPv6 address has a whole /64.
    for host in ["2001:db8::8", "2001:db8::9", "2001:db8::a"] {
        let status = try_with(&app, &[("x-forwarded-for", host)]).await;
        assert_eq!(status, if host == "2001:db8::a" { 429 } else { 401 }, "{host}");
    }
}
