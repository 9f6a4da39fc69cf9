//! Chats: making them, listing them, direct ones, who may see them.

mod direct;
mod groups;
mod invites;
mod list;
mod members;
mod mutes;
mod pins;
mod search;
mod strangers;

use crate::harness::Answer;

/// The ids of a list of chats.
fn ids(answer: &Answer) -> Vec<String> {
    let ids = answer.items().iter().map(|chat| chat["id"].as_str().expect("an id").to_owned());
    ids.collect()
}
