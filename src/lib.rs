//! A realtime chat cluster.
//!
//! Any node accepts any connection and any request. What changes a chat is a *command*, appended to
//! a Redis Stream: the `in` stream of the partition that the chat hashes to. Each partition has one
//! *writer* at a time, which takes commands in order, decides them, gives each its dense per-chat
//! `seq`, and commits a whole batch to Postgres, fenced so that a stale writer can never commit.
//! Only then does it publish the finished events to the partition's `out` stream. Every node
//! follows `out`, hands the same bytes to each socket, and answers the waiting senders.
//!
//! ```text
//!  REST ─> http ─┐ command                                          ┌─> hub ─> outbox ─> socket
//!                ├────────> {pNN}:in ─> writer ─> Postgres ─> {pNN}:out ─┤
//!  WS ───> ws ───┘   XADD     (one owner per partition:             └─> answers the sender
//!                              order, decide, seq, commit, publish)
//!  typing, presence, marks of reading, ended sessions ──> Redis ──> sockets
//!  users, sessions, blocks, jobs ──> Postgres directly
//! ```
//!
//! # The path of a message
//! 1. [`ws`] reads the frame; [`messages`] checks its form and makes a command of it.
//! 2. [`log::append`] appends it to its partition's `in`.
//! 3. [`writer`] reads it, decides it in [`store::sends`], commits, and publishes to `out`.
//! 4. [`log::tail`] of every node reads it there: the answer goes to whoever waits
//!    ([`log::pending`]), the event to the [`fanout`] hub,
//! 5. which lays it, in order, into the outbox of each connection in the chat; [`ws`] writes it.
//!
//! # Three roads, never mixed
//! Chat changes take the log. Records without a chat (accounts, sessions, blocks, jobs) go straight
//! to Postgres. Ephemera (typing, presence) go through Redis alone. Marks of reading are of the third
//! road, and reach Postgres a moment later.
//!
//! # Who may import whom
//! From the bottom: `model` (nothing), `error`, `search` (words, queries, highlights), `origin`,
//! `keyring` and `config`, `protocol`, `metrics`, `store` (all SQL; knows no HTTP), `mail`, `media`
//! (what is in a file), `log` (all of Redis Streams), `cluster`, `limits`, `writer`, `fanout`,
//! `presence` and `receipts` (know no requests), `jobs` (work by the clock), the use cases `accounts`, `chats`,
//! `messages`, the edges `http` and `ws` (no SQL, no Redis), and `app`, which puts it together.
//! `admin` is an edge as well: the command line of operators. `probe` asks a node from outside.
//! `tests/architecture.rs` checks it.

pub mod accounts;
pub mod admin;
pub mod app;
pub mod chats;
pub mod cluster;
pub mod config;
pub mod dev;
pub mod error;
pub mod fanout;
pub mod health;
pub mod http;
pub mod jobs;
pub mod keyring;
pub mod lifeline;
pub mod limits;
pub mod log;
pub mod mail;
pub mod media;
pub mod messages;
pub mod metrics;
pub mod model;
pub mod open_files;
pub mod origin;
pub mod presence;
pub mod probe;
pub mod protocol;
pub mod receipts;
pub mod search;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod writer;
pub mod ws;
