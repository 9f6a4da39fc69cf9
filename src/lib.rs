//! A realtime chat cluster.

pub mod accounts;
pub mod config;
pub mod error;
pub mod http;
pub mod model;
pub mod state;
pub mod store;
