//! A node of one's own for each test: a fresh database, a free port, a client.

mod client;
mod database;

pub(crate) use client::{Answer, Http};
pub(crate) use database::Database;

use std::net::SocketAddr;
use std::sync::Arc;

use chat_service::accounts::Accounts;
use chat_service::config::Config;
use chat_service::http::limits::Limits;
use chat_service::state::AppState;
use chat_service::store;

/// A running node, ended when it is dropped.
pub(crate) struct TestApp {
    pub(crate) database: Database,
    pub(crate) address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own, by the names of their variables.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(Database::create().await, settings).await
    }

    /// Another node of the same cluster.
    pub(crate) async fn join(&self) -> Self {
        Self::start_on(self.database.share(), &[]).await
    }

    async fn start_on(database: Database, settings: &[(&str, &str)]) -> Self {
        let config = Arc::new(config(&database.url, settings));
        let pool = store::connect(&config.postgres).await.expect("the database was just made");
        let state = AppState {
            accounts: Accounts::new(pool, &config.auth),
            limits: Limits::new(&config),
            config,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = chat_service::http::router(state);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            axum::serve(listener, service).await.expect("serving does not end by itself");
        });
        Self { database, address, server }
    }

    /// A client without a token.
    pub(crate) fn client(&self) -> Http {
        Http::new(self.address)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The limits are high, since all tests come from one address; those about limits set their own.
fn config(database_url: &str, settings: &[(&str, &str)]) -> Config {
    let defaults = [
        ("APP_ENV", "development"),
        ("DATABASE_URL", database_url),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("RATE_ADDRESS", "10000"),
        ("RATE_ADDRESS_BURST", "10000"),
        ("RATE_AUTH", "10000"),
        ("RATE_AUTH_BURST", "10000"),
    ];
    let all = || settings.iter().chain(&defaults);
    let lookup = |name: &str| all().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
    Config::from_lookup(&lookup).expect("the settings are good")
}
