//! Chats: making them, listing them, direct ones, who may see them.

mod direct;
mod groups;
mod invites;
mod members;
mod strangers;
