//! Reads a room's whole history over REST, page by page from the start.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use uuid::Uuid;

use super::Stored;
use crate::rest::Rest;
use crate::wire::Message;
use crate::world::{Room, World};

const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Message<'a>>,
    has_after: bool,
}

pub(crate) struct Read {
    pub messages: Vec<Stored>,
    pub last_seq: u64,
}

/// Reads as one member, from one node.
pub(crate) async fn read(
    world: &World,
    rest: &Rest,
    token: &str,
    index: u32,
    room: &Room,
) -> Result<Read> {
    let chat_id = *room.chat_id.get().context("the chat was never created")?;
    let inputs = room.book().len();
    let mut messages = Vec::with_capacity(inputs);
    let mut after = 0;
    loop {
        let path = format!("/chats/{chat_id}/messages?after={after}&limit={PAGE}");
        let text = rest.get_text(token, &path).await?;
        let page: Page<'_> =
            serde_json::from_str(&text).with_context(|| format!("not a page: GET {path}"))?;
        let stored = page
            .items
            .iter()
            .map(|message| Stored::new(message, world.tag, index, &room.texts, inputs));
        messages.extend(stored);
        let Some(last) = page.items.iter().map(|message| message.seq).max() else { break };
        ensure!(last > after, "paging of {chat_id} stays at seq {after}");
        after = last;
        if !page.has_after {
            break;
        }
    }
    let last_seq = last_seq(rest, token, chat_id).await?;
    Ok(Read { messages, last_seq })
}

async fn last_seq(rest: &Rest, token: &str, chat_id: Uuid) -> Result<u64> {
    Ok(rest.chat(token, chat_id).await?.last_seq)
}
