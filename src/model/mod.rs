//! Plain words of the domain. Imports nothing of the service.

pub mod id;
pub mod time;
