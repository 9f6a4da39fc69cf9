//! How exactly a limit holds that all nodes share: one user sends over all of them at once, faster
//! than allowed, and what got through is held against what the refusals announce.
//!
//! The announced policy `"name";q=20;w=4` lets 20 through at once, and 20 more in each 4 seconds.
//! A cluster whose limit is not reached in the time given, as in development, says nothing here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Figures;
use super::api::{Api, Run};

/// Requests under way at each node.
const AT_ONCE: usize = 10;
/// What may get through beyond the limit.
const ALLOWED_PERCENT: f64 = 5.0;

#[derive(Clone, Debug, PartialEq)]
struct Policy {
    name: String,
    quota: f64,
    window_seconds: f64,
}

impl Policy {
    /// The first one of a `RateLimit-Policy` header.
    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split(',').next()?.split(';').map(str::trim);
        let name = parts.next()?.trim_matches('"').to_owned();
        let (mut quota, mut window) = (None, None);
        for part in parts {
            match part.split_once('=')? {
                ("q", value) => quota = value.parse().ok(),
                ("w", value) => window = value.parse().ok(),
                _ => {}
            }
        }
        Some(Self { name, quota: quota?, window_seconds: window? })
    }

    /// How many may get through in a time that begins after a long silence.
    fn allows(&self, time: Duration) -> f64 {
        self.quota * (1.0 + time.as_secs_f64() / self.window_seconds.max(1.0))
    }
}

#[derive(Default)]
struct Seen {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    policy: Mutex<Option<Policy>>,
}

/// Measures the class `sends`. Another class needs another request in [`press`], and nothing else.
pub(super) async fn measure(nodes: &[Api], seconds: u64, figures: &mut Figures) -> Result<()> {
    let run = Run::new();
    let sender = nodes[0].sign_up(&run, 0).await?;
    let chat = nodes[0].group(&sender.access, &[]).await?;
    let path = format!("/chats/{chat}/messages");
    let (seen, began) = (Seen::default(), Instant::now());
    let until = began + Duration::from_secs(seconds);
    let pressing = nodes.iter().cycle().take(nodes.len() * AT_ONCE);
    try_join_all(pressing.map(|node| press(node, &sender.access, &path, until, &seen))).await?;
    let took = began.elapsed();
    let accepted = seen.accepted.into_inner();
    figures.count("limit_accepted", accepted);
    figures.count("limit_refused", seen.refused.into_inner());
    figures.count("limit_failed", seen.failed.into_inner());
    let Some(policy) = seen.policy.into_inner() else {
        figures.text("limit_overshoot_percent", "unknown");
        return Ok(());
    };
    let allowed = policy.allows(took);
    let overshoot = 100.0 * (accepted as f64 - allowed).max(0.0) / allowed;
    figures.text("limit_class", &policy.name);
    figures.measure("limit_allowed", allowed);
    figures.measure("limit_overshoot_percent", overshoot);
    figures.must(overshoot <= ALLOWED_PERCENT, "over 5 % more got through than the limit allows");
    Ok(())
}

/// Sends one after the other.
async fn press(node: &Api, token: &str, path: &str, until: Instant, seen: &Seen) -> Result<()> {
    while Instant::now() < until {
        let body = json!({"clientId": Uuid::new_v4(), "body": "pressing"});
        let answer = node.call(Method::POST, path, Some(token), Some(&body)).await?;
        let counter = match answer.status {
            200 | 201 => &seen.accepted,
            429 => &seen.refused,
            _ => &seen.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if answer.status == 429 {
            let policy = answer.headers.get("ratelimit-policy");
            let policy = policy.and_then(|value| Policy::parse(value.to_str().ok()?));
            let mut known = seen.policy.lock().await;
            *known = known.take().or(policy);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_how_much_it_allows() {
        let policy = Policy::parse("\"sends\";q=20;w=4, \"other\";q=1;w=1").expect("it is one");
        let expected = Policy { name: "sends".into(), quota: 20.0, window_seconds: 4.0 };
        assert_eq!(policy, expected);
        assert!((policy.allows(Duration::from_secs(8)) - 60.0).abs() < 1e-9);
        assert_eq!(Policy::parse("\"sends\";q=20"), None);
        assert_eq!(Policy::parse(""), None);
    }
}
