//! A black-box load generator and judge for a chat-service cluster.
//!
//! It knows the wire contract and nothing of the server's insides. While it sends, by real IRC
//! days (`replay`) or on a schedule (`run`), every member keeps what it received; afterwards the
//! [`oracle`] holds all of that against history read back over REST, and the last line says
//! `verdict=OK`, `FAIL` or `UNKNOWN` (exit code 0, 1 or 2).
//!
//! One process, one clock: a delivery's latency is the time between two of its own tasks.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures to print, and counts far below the types' limits"
)]

mod accounts;
mod client;
mod closing;
mod cluster;
mod dispatch;
#[cfg(test)]
mod fake;
mod faults;
mod figures;
mod idle;
mod irc;
mod limits;
mod oracle;
mod proc;
mod progress;
mod receipts;
mod replay;
mod rest;
mod run;
mod schedule;
mod smoke;
mod stage;
mod wire;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// Thousands of tasks allocate and free small strings all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const CLUSTER_FILE: &str = "target/dev/cluster.json";
/// Neither right nor wrong: the run says nothing about the service.
const UNKNOWN: u8 = 2;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play real IRC days: one chat for each file, one account for each nick
    Replay(replay::ReplayArgs),
    /// Synthetic load on a schedule, or as fast as answers come
    Run(run::RunArgs),
    /// Memory and CPU of connections that do nothing
    Idle(idle::IdleArgs),
    /// Timing of refused sign-ins, life after revocation, one refresh token used at once, limits
    Accounts(accounts::AccountsArgs),
    /// What marking as read costs, and how marks are joined
    Receipts(receipts::ReceiptsArgs),
    /// One message, edit, delete and sync between two nodes
    Smoke(smoke::SmokeArgs),
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CommonArgs {
    /// What runs where
    #[arg(long, default_value = CLUSTER_FILE)]
    pub cluster: PathBuf,
    /// Also write all figures to this file
    #[arg(long)]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub faults: faults::FaultArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = tokio::select! {
        outcome = execute(command) => outcome,
        // Returning drops every task, and with it the guards of stopped processes.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        println!("verdict=UNKNOWN");
        UNKNOWN
    }))
}

async fn execute(command: Command) -> Result<u8> {
    match command {
        Command::Replay(args) => replay::replay(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Idle(args) => idle::idle(args).await,
        Command::Accounts(args) => accounts::accounts(args).await,
        Command::Receipts(args) => receipts::receipts(args).await,
        Command::Smoke(args) => smoke::smoke(args).await,
    }
}

/// `500ms`, `8s`, `2m`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is not a time"))?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        _ => return Err(format!("{unit:?} is not a unit: use ms, s or m")),
    };
    if seconds <= 0.0 {
        return Err("a time above zero is needed".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("8s"), Ok(Duration::from_secs(8)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        assert!(parse_duration("0s").is_err() && parse_duration("5h").is_err());
        assert!(parse_duration("s").is_err() && parse_duration("-1s").is_err());
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
