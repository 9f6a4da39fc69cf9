//! The log under faults: F1, F2, F3, F5, F6, F9, F11, F13, F16, F60. After each fault everything
//! acknowledged is in Postgres once, the seqs have no hole, and live readers got each once.

mod crashes;
mod fences;
mod log;
mod postgres;
mod redis;
mod shards;
