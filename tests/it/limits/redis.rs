//! Limits while Redis is away: each node lets its share pass, never everything.

use reqwest::Method;
use serde_json::json;

use super::know_each_other;
use crate::harness::{Answer, Mode, Proxy, TestApp, environment, eventually};

/// R-RL-2.
#[tokio::test]
async fn without_redis_each_node_lets_its_share_pass() {
    let urls = environment("TEST_REDIS_URLS");
    let url = urls.split(',').next().expect("there is one");
    let (proxy, through) = Proxy::before(url).await;
    let settings = [
        ("REDIS_URL", through.as_str()),
        ("RATE_READ", "40/1h"),
        ("SIGN_IN_TRIES", "8"),
        ("SIGN_IN_DELAY_MAX", "1h"),
        ("RATE_SIGN_IN", "60/1h"),
    ];
    let nodes = [TestApp::start_with(&settings).await];
    let nodes = [nodes[0].join().await, {
        let [first] = nodes;
        first
    }];
    know_each_other(&nodes).await;
    let ann = nodes[1].person("ann").await;
    proxy.set(Mode::Cut);
    eventually("the node counts on its own", async || {
        let bob = app_stranger(&nodes[1], "/auth/refresh").await;
        assert_ne!(bob.status, 500);
        nodes[1].metric("chat_limits_alone_total").await > 0.0
    })
    .await;

    // Half of 40 at each of two nodes.
    for node in &nodes {
        let mut passed = 0;
        for _ in 0..30 {
            passed += usize::from(ann.at(node).get("/user/profile").await.status == 200);
        }
        assert_eq!(passed, 20);
    }
    // Half of 8 tries, then a delay.
    let mut wrong = 0;
    for _ in 0..20 {
        let body = json!({ "login": "nobody", "password": "a wrong password" });
        wrong += usize::from(nodes[0].client().post("/auth/signin", body).await.status == 401);
    }
    assert!((4..=7).contains(&wrong), "{wrong} were evaluated");

    proxy.set(Mode::Pass);
    eventually("Redis counts again", async || {
        ann.at(&nodes[0]).get("/user/profile").await.status == 200
    })
    .await;
}

async fn app_stranger(app: &TestApp, path: &str) -> Answer {
    let body = json!({ "refreshToken": "x" });
    Answer::of(app.client().request(Method::POST, path).json(&body)).await
}
