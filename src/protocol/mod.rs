//! The wire: what clients send and get, as JSON. Knows the model and nothing else of the service.

pub mod changes;
pub mod close;
pub mod push;
pub mod request;
