//! The command line.

use std::process::ExitCode;

use anyhow::Context;
use chat_service::admin::AdminCommand;
use chat_service::app::Node;
use chat_service::config::{Config, VARIABLES};
use chat_service::dev::{self, DevOptions, s3::S3Options, services::ServicesOptions};
use chat_service::probe::{HealthOptions, ProbeOptions};
use chat_service::{open_files, shutdown, store, telemetry};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Run a node
    Serve(ServeOptions),
    /// Bring the database's schema to this version
    Migrate,
    /// Ask the node on this machine whether it is alive
    Health(HealthOptions),
    /// Ask a service how it is, and open a socket to it
    Probe(ProbeOptions),
    /// Print the settings that are in force, without secrets
    Config,
    /// Make operators, and act as one
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Run a private cluster on this machine
    Dev(DevOptions),
    /// The S3 server of `dev`
    #[command(hide = true)]
    DevS3(S3Options),
    /// Run a command beside a private Postgres, Redis and S3
    WithServices(ServicesOptions),
}

#[derive(clap::Args)]
struct ServeOptions {
    /// End when standard input ends
    #[arg(long, env = "EXIT_WITH_PARENT", hide = true)]
    exit_with_parent: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Command::parse())).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chat-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(options) => Box::pin(serve(options.exit_with_parent.is_some())).await?,
        Command::Migrate => {
            let (postgres, telemetry) = Config::for_migrations_from_env()?;
            telemetry::init(&telemetry);
            let pool = store::connect_to_migrate(&postgres).await.context("Postgres")?;
            store::migrate(&pool).await.context("migrating")?;
        }
        Command::Health(options) => options.execute().await?,
        Command::Probe(options) => options.execute().await?,
        Command::Config => {
            print_config();
            Config::from_env()?;
        }
        Command::Admin(command) => Box::pin(command.execute()).await?,
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

async fn serve(with_parent: bool) -> anyhow::Result<()> {
    let config = Config::from_env()?;
    telemetry::init(&config.telemetry);
    open_files::raise(config.socket.max_connections);
    let name = config.node.name.clone();
    let node = Node::start(config).await?;
    tracing::info!(node = name, http = %node.http_addr, metrics = %node.metrics_addr, "started");
    let failed = tokio::select! {
        () = shutdown::signal(with_parent) => false,
        () = node.failed() => true,
    };
    node.stop().await;
    anyhow::ensure!(!failed, "a task panicked");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it shows the environment")]
fn print_config() {
    for variable in VARIABLES {
        let value = match std::env::var(variable.name) {
            Ok(value) if value.trim().is_empty() => format!("{} (default)", variable.default),
            Ok(_) if variable.secret => "(set)".to_owned(),
            Ok(value) => value,
            Err(_) => format!("{} (default)", variable.default),
        };
        println!("{}={value}", variable.name);
    }
}
