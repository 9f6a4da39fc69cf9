//! One refresh token, used many times at once on all nodes: it has one heir.

use std::collections::BTreeSet;

use anyhow::Result;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::Figures;
use super::api::{Api, Run, text};

pub(super) async fn measure(nodes: &[Api], count: usize, figures: &mut Figures) -> Result<()> {
    let run = Run::new();
    let name = nodes[0].sign_up(&run, 0).await?.name;
    let session = nodes[0].session(&run, &name).await?;
    let body = json!({"refreshToken": session.refresh, "device": {"id": "loadtest"}});
    let calls = (0..count).map(|index| {
        let node = &nodes[index % nodes.len()];
        node.call(Method::POST, "/auth/refresh", None, Some(&body))
    });
    let (mut answered, mut heirs) = (0, BTreeSet::new());
    for answer in join_all(calls).await {
        let answer = answer?;
        if answer.status == 200 {
            answered += 1;
            heirs.insert(text(&answer.body, "/refreshToken")?);
        }
    }
    let mut live = 0;
    for heir in &heirs {
        let body = json!({"refreshToken": heir, "device": {"id": "loadtest"}});
        let answer = nodes[0].call(Method::POST, "/auth/refresh", None, Some(&body)).await?;
        live += u64::from(answer.status == 200);
    }
    figures.count("refreshes_at_once", count as u64);
    figures.count("refreshes_answered", answered);
    figures.count("refresh_distinct_successors", heirs.len() as u64);
    figures.count("refresh_live_successors", live);
    figures.must(heirs.len() == 1 && live == 1, "a refresh token has not exactly one successor");
    Ok(())
}
