//! The command line.

use std::process::ExitCode;

use chat_service::dev::{self, DevOptions, s3::S3Options, services::ServicesOptions};
use clap::Parser;

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Run a private cluster on this machine
    Dev(DevOptions),
    /// The S3 server of `dev`
    #[command(hide = true)]
    DevS3(S3Options),
    /// Run a command beside a private Postgres, Redis and S3
    WithServices(ServicesOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Command::parse()).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(options) => options.execute().await?,
        Command::DevS3(options) => {
            tracing_subscriber::fmt().with_env_filter(dev::s3::LOG_FILTER).init();
            dev::s3::run(options).await?;
        }
        Command::WithServices(options) => {
            return dev::services::run(options).await.map(ExitCode::from);
        }
    }
    Ok(ExitCode::SUCCESS)
}
