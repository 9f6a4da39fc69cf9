//! Tests against real services, in one binary so that linking is paid once. `make test` starts the
//! services and names them in the environment.

mod accounts;
mod auth;
mod chats;
mod cluster;
mod harness;
mod health;
mod jobs;
mod messages;
mod operators;
mod problems;
mod sockets;
