//! The writer: the only one that changes chats.
//!
//! Each partition has one owner at a time. The owner reads `in`, decides every command in order,
//! commits a whole batch in one transaction that names its fence, and only then publishes the
//! events and answers to `out`. So nobody sees what could still be lost.
//!
//! ```text
//! lease ── who should own ──> term ── fence, position ──> lane: read in → decide → commit → publish
//! ```
//!
//! # Failure
//! - Any Redis error, or a commit whose outcome is unknown: the owner gives its terms up and takes
//!   the partitions over anew, from itself too. What was committed but not published comes back
//!   from `in` as a repetition and is published then.
//! - Another owner was here: Postgres refuses the batch or Redis the entry. The term is dropped.
//! - A command that cannot be read or stored is set aside as a dead letter, and the partition goes
//!   on.

mod commit;
mod dead_letter;
mod decide;
pub mod indexer;
mod lag;
mod lane;
pub mod lease;
mod publish;
mod term;

pub use lag::{Behind, Lag, Standing};
pub use lane::{Lane, connect_pool};
