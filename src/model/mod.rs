//! Plain words of the domain. Imports nothing of the service.

pub mod id;
pub mod session;
pub mod time;
pub mod user;
