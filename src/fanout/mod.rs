//! Fan-out: from the log's events to the sockets of this node.
//!
//! ```text
//! tail ──> hub: room of the chat (in order, gaps filled) ──> outbox of each connection ──> socket
//! ```
//!
//! A *room* is what a node keeps of a chat that at least one of its connections is in: the seq up
//! to which it has delivered, and the connections. Events at or below that seq are dropped, the
//! next one is delivered, one further on waits until the gap is filled from Postgres. So every
//! connection gets a chat's events in order, each once. Who blocks somebody gets another form of
//! what that person wrote, at the same place.

pub mod blocks;
pub mod catch_up;
pub mod connection;
pub mod ephemera;
pub mod hub;
pub mod outbox;
mod room;
mod screen;
