//! Tables `message_search` and `search_progress`: finding messages, and keeping the index.
//!
//! A search has two roads. It first walks back through the newest messages of the reader's chats: what
//! is common is found there after a few thousand rows, however much of it there is. What is rarer than
//! that is looked up in the index, which has a list for each word of each chat; there are few then, so
//! all are read and put in order. Neither road reads what grows with the whole service.
//!
//! # Invariants
//! - Only chats in which the reader is a present member are read: they are asked for in the snapshot in
//!   which everything else is read.
//! - The index may be behind, and finds by words alone what it has no places of. Whoever shows a
//!   message looks at its present text first.

mod find;
mod index;
mod lexemes;

pub use find::{CHATS, Filter, Place, find};
pub use index::{Behind, Changed, behind, changed, write};
