//! `accounts`: what the tests of accounts cannot tell, since it is a matter of degree. How far apart
//! in time two refusals are, how long a revoked session still hears, how many heirs a refresh token
//! gets that is used fifty times at once, and how exactly a limit holds over all nodes.
//!
//! It wants a cluster of its own: the figures are worth nothing beside other load.

mod api;
mod limit;
mod refresh;
mod revocation;
mod timing;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use api::Api;

#[derive(Debug, Args)]
pub(crate) struct AccountsArgs {
    #[arg(long, default_value = crate::CLUSTER_FILE)]
    cluster: PathBuf,
    /// Sign-ins of each kind whose times are compared; 0 leaves them out, as with the others
    #[arg(long, default_value_t = 200)]
    tries: usize,
    /// Sessions that are ended amid a flow of messages
    #[arg(long, default_value_t = 60)]
    revocations: usize,
    /// Uses of one refresh token at once
    #[arg(long, default_value_t = 50)]
    refreshes: usize,
    /// How long to send against a limit
    #[arg(long, default_value_t = 5)]
    limit_seconds: u64,
    /// Also write all figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What was measured, a line each, and what of it was not as it should be.
#[derive(Default)]
struct Figures {
    all: Map<String, Value>,
    faults: Vec<String>,
}

impl Figures {
    fn count(&mut self, name: &str, value: u64) {
        println!("{name}={value}");
        self.all.insert(name.to_owned(), json!(value));
    }

    fn measure(&mut self, name: &str, value: f64) {
        println!("{name}={value:.2}");
        self.all.insert(name.to_owned(), json!(value));
    }

    fn text(&mut self, name: &str, value: &str) {
        println!("{name}={value}");
        self.all.insert(name.to_owned(), json!(value));
    }

    /// A fault where `holds` is not so.
    fn must(&mut self, holds: bool, what: &str) {
        if !holds {
            self.faults.push(what.to_owned());
        }
    }
}

pub(crate) async fn accounts(args: AccountsArgs) -> Result<u8> {
    let nodes = Api::all(&Cluster::load(&args.cluster)?.urls());
    ensure!(nodes.len() >= 3, "these figures are about three nodes; found {}", nodes.len());
    let mut figures = Figures::default();
    if args.tries > 0 {
        timing::measure(&nodes[0], args.tries, &mut figures).await?;
    }
    if args.revocations > 0 {
        revocation::measure(&nodes, args.revocations, &mut figures).await?;
    }
    if args.refreshes > 0 {
        refresh::measure(&nodes, args.refreshes, &mut figures).await?;
    }
    if args.limit_seconds > 0 {
        limit::measure(&nodes, args.limit_seconds, &mut figures).await?;
    }
    for fault in &figures.faults {
        println!("fault: {fault}");
    }
    let verdict = if figures.faults.is_empty() { "OK" } else { "FAIL" };
    println!("verdict={verdict}");
    if let Some(path) = &args.json {
        figures.all.insert("verdict".to_owned(), json!(verdict));
        std::fs::write(path, serde_json::to_string_pretty(&figures.all)?)?;
    }
    Ok(u8::from(!figures.faults.is_empty()))
}

/// The value below which this share of all lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).ceil() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.5).to_bits(), 50.0_f64.to_bits());
        assert_eq!(quantile(&mut values, 0.99).to_bits(), 99.0_f64.to_bits());
        assert_eq!(quantile(&mut [], 0.5).to_bits(), 0.0_f64.to_bits());
    }
}
