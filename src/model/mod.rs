//! Plain words of the domain. Imports nothing of the service.

pub mod account;
pub mod chat;
pub mod emoji;
pub mod event;
pub mod file;
pub mod id;
pub mod message;
pub mod presence;
pub mod session;
pub mod time;
pub mod user;
