//! What handlers can ask for. Each takes the part that it needs, so its signature tells.

use std::sync::Arc;

use axum::extract::FromRef;

use super::limits::Doors;
use crate::accounts::Accounts;
use crate::chats::Chats;
use crate::config::Config;
use crate::health::Health;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::receipts::Receipts;
use crate::ws::Edge;

#[derive(Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    /// The limits at this node's door.
    pub doors: Doors,
    pub health: Health,
    pub jobs: Jobs,
    pub edge: Edge,
}

macro_rules! parts {
    ($($part:ty => $($path:ident).+),* $(,)?) => {$(
        impl FromRef<AppState> for $part {
            fn from_ref(state: &AppState) -> Self {
                state.$($path).+.clone()
            }
        }
    )*};
}

parts! {
    Arc<Config> => config,
    Limits => edge.limits,
    Health => health,
    Jobs => jobs,
    Edge => edge,
    Accounts => edge.accounts,
    Chats => edge.chats,
    Messages => edge.messages,
    Presence => edge.presence,
    Receipts => edge.receipts,
    Arc<Metrics> => edge.metrics,
}
