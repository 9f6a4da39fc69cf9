//! Limits while Redis is away: each node lets its share pass, never everything.

use std::time::Instant;

use serde_json::json;

use super::know_each_other;
use crate::harness::{Mode, Proxy, TestApp, environment, eventually};

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
    let first = TestApp::start_with(&settings).await;
    let second = first.join().await;
    let nodes = [first, second];
    know_each_other(&nodes).await;
    let ann = nodes[1].person("ann").await;
    proxy.set(Mode::Cut);
    // Half of 40 at each of two nodes.
    for node in &nodes {
        let mut passed = 0;
        for _ in 0..30 {
            passed += usize::from(ann.at(node).get("/user/profile").await.status == 200);
        }
        assert_eq!(passed, 20);
        assert!(node.metric("chat_limits_alone_total").await > 0.0);
    }
    // Half of 8 tries, and one more after 1, 2, 4, 8, ... seconds.
    let (mut wrong, began) = (0, Instant::now());
    for _ in 0..20 {
        let body = json!({ "login": "nobody", "password": "a wrong password" });
        wrong += u32::from(nodes[0].client().post("/auth/signin", body).await.status == 401);
    }
    let most = 4 + (began.elapsed().as_secs() + 2).ilog2() + 1;
    assert!((4..=most).contains(&wrong), "{wrong} were evaluated");

    proxy.set(Mode::Pass);
    eventually("Redis counts again", async || {
        ann.at(&nodes[0]).get("/user/profile").await.status == 200
    })
    .await;
}
