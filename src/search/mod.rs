//! What is searched for, and in what: words out of texts, queries out of what people type, and the
//! places in a text that a query finds. Knows nothing of where texts are kept.
//!
//! A text and a query go through the same [`words()`], so their words agree. An index may answer more
//! than fits; [`Query::find`] has the last word, on the text itself.

mod fold;
mod highlight;
mod query;
#[cfg(test)]
mod tests;
mod words;

pub use highlight::{Highlight, Part};
pub use query::{Phrase, QUERY_CHARS, QUERY_WORDS, Query, Wanted};
pub use words::{Kind, Word, words};
