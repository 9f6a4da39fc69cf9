//! A private cluster on one machine: what `chat-service dev` and the tests run on.
//!
//! [`tools`] finds PostgreSQL and Redis, [`postgres`], [`redis`] and [`s3`] start one server each,
//! [`cluster`] puts them and the nodes together and restarts whatever dies, [`services`] starts
//! only what tests need. Nothing here is part of a node: `serve` never calls it.
//!
//! *Invariants*: everything listens on loopback only; everything written lies below one directory
//! (one exception, see `account`); whatever a supervisor started is ended with it, or, where the
//! supervisor was killed, by the next one (`registry`).

pub mod cluster;
pub mod cluster_file;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod s3;
pub mod services;
pub mod tools;

mod account;
mod blueprint;
mod board;
mod console;
mod keeper;
mod node;
mod plan;
mod registry;
mod stop;

use std::path::PathBuf;

pub use cluster::run;
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use s3::S3Server;
pub use stop::{clean, stop};
pub use tools::Tools;

/// What `chat-service dev` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DevOptions {
    /// Where data, logs and cluster.json are kept
    #[arg(long, value_name = "DIRECTORY", default_value = "target/dev")]
    pub dir: PathBuf,

    /// How many nodes run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nodes: u16,

    /// Over how many Redis servers the partitions are spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub redis_shards: u16,

    /// Port of the first node; the others follow it. 0 takes free ones
    #[arg(long, value_name = "PORT", default_value_t = 4001)]
    pub http_base_port: u16,

    /// End the cluster that runs in the directory
    #[arg(long)]
    pub stop: bool,

    /// End it, and remove all its data
    #[arg(long, conflicts_with = "stop")]
    pub clean: bool,

    /// The program run as `serve` and `migrate`; this one where not given
    #[arg(long, value_name = "PATH", hide = true)]
    pub node_binary: Option<PathBuf>,
}

impl DevOptions {
    /// Does what the options say.
    pub async fn execute(self) -> anyhow::Result<()> {
        if self.clean {
            clean(&self.dir).await
        } else if self.stop {
            stop(&self.dir).await
        } else {
            run(self).await
        }
    }
}
