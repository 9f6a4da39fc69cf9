//! Tests against real services, in one binary so that linking is paid once. `make test` starts the
//! services and names them in the environment.

mod access;
mod accounts;
mod auth;
mod chats;
mod cluster;
mod documents;
mod harness;
mod headers;
mod health;
mod jobs;
mod limits;
mod messages;
mod metrics;
mod operators;
mod people;
mod presence;
mod problems;
mod reactions;
mod receipts;
mod search;
mod secrets;
mod sockets;
