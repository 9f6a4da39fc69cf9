//! Messages: sending once, changing, answering, reading history.

mod edits;
mod history;
mod repeats;
mod replies;
mod texts;
mod threads;
