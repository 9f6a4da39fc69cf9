//! What handlers can ask for. Each takes the part that it needs, so its signature tells.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::accounts::Accounts;
use crate::config::Config;
use crate::http::limits::Limits;

#[derive(Clone, Debug, FromRef)]
pub struct AppState {
    pub accounts: Accounts,
    pub config: Arc<Config>,
    /// The rate limits at this node's door.
    pub limits: Limits,
}
