//! The log: Redis Streams between the edges and the writers.
//!
//! A partition has two streams. Edges append *commands* to `in` ([`append`]); the partition's owner
//! decides and commits them and publishes finished *events* and *answers* to `out`; every edge
//! follows `out` ([`tail`]). Neither stream is the truth: Postgres is, and Redis may lose both at
//! any moment.
//!
//! **`out` ids are `<fence>-<n>`**, n = 1, 2, 3 … within an owner's term, `<fence>-0` the marker of
//! the takeover. Redis refuses an id that is not above the top, so a stale owner cannot publish,
//! publishing twice is harmless, and readers see every gap.
//!
//! **Where to go on is in the `out` tail**: every entry carries `i`, the last `in` id that it
//! covers. Position and stream live and die together.

pub mod append;
pub mod command;
pub mod entry;
pub mod keys;
pub mod partition;
pub mod pending;
pub mod shard;
pub mod stream;
pub mod tail;
