pub mod config;
pub mod dev;
pub mod error;
pub mod model;
