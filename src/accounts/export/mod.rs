//! All that is held on the caller, as a ZIP of JSON.
//!
//! It is made while it is sent: a page is read from Postgres, packed, and handed over before the
//! next one is read. So an export takes little memory however much somebody wrote, and a slow
//! reader slows their own export and nothing else. Nobody else's data is in it: of others it has
//! ids. Files join when there are files.
//!
//! # Failure
//! Where Postgres goes away in the middle, the answer breaks off: its status is sent already. An
//! archive without its end is refused by every program that reads archives.

mod archive;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Accounts, Caller, Client};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::model::time::Timestamp;
use crate::model::user::Me;
use crate::store::export::{self as held, ChatRow};
use crate::store::{Pool, audit};

use archive::Archive;

/// Exports of one node at once; a further one is told to come back.
const SLOTS: usize = 2;
/// Rows of a page. A message has 32 KB at the most, so a page has a few MB.
const PAGE: i64 = 100;
/// Pieces that wait for the reader, of some 32 KB each.
const PIECES: usize = 2;
/// A reader that takes longer has gone: the export breaks off, and its slot is free again.
const LONGEST: Duration = Duration::from_mins(10);

/// An export, to be sent as it is made.
pub struct Export {
    pub file_name: String,
    pub body: BoxStream<'static, io::Result<Bytes>>,
}

impl Accounts {
    /// Begins an export of all that is held on the caller.
    ///
    /// # Errors
    /// `RateLimited` while the caller's last one is under way at this node; `Unavailable`, also
    /// where too many others are.
    pub async fn export(&self, caller: Caller, client: &Client) -> Result<Export> {
        let slot = Slot::take(&self.inner.exports, caller.user_id)?;
        let me = self.me(caller).await?;
        let entry = audit::Entry {
            actor: Some(caller.user_id),
            action: "user.export",
            subject: &caller.user_id.to_string(),
            detail: json!({}),
            ip: Some(client.address),
        };
        audit::add(&self.inner.pool, entry).await?;
        let day = &Timestamp::now().to_string()[..10];
        let file_name = format!("chat-export-{}-{day}.zip", me.user.username);
        let (out, pieces) = mpsc::channel(PIECES);
        let making = make(self.inner.pool.clone(), me, Archive::new(out));
        let making = async move {
            let made = tokio::time::timeout(LONGEST, making).await;
            drop(slot);
            made.unwrap_or(Err(Error::Timeout))
        };
        Ok(Export { file_name, body: driven(making, pieces) })
    }
}

/// The pieces, with their making driven by whoever reads them: no task of its own, so nothing is
/// left running when the reader goes.
fn driven(
    making: impl Future<Output = Result<()>> + Send + 'static,
    mut pieces: mpsc::Receiver<Bytes>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let mut making = Some(Box::pin(making));
    let mut broken = None;
    let stream = stream::poll_fn(move |context| {
        if let Some(running) = &mut making
            && let Poll::Ready(ended) = running.as_mut().poll(context)
        {
            making = None;
            if let Err(error) = ended {
                tracing::warn!(%error, "an export broke off");
                broken = Some(io::Error::other("the export broke off"));
            }
        }
        match pieces.poll_recv(context) {
            Poll::Ready(None) => Poll::Ready(broken.take().map(Err)),
            Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(piece))),
            Poll::Pending => Poll::Pending,
        }
    });
    stream.boxed()
}

async fn make(pool: Pool, me: Me, mut zip: Archive) -> Result<()> {
    let user = me.user.id;
    let account = json!({ "exportedAt": Timestamp::now(), "account": me });
    zip.object("account.json", &account).await?;

    zip.begin("sessions.json")?;
    let mut after = None;
    while let Some(last) = page(&mut zip, held::sessions(&pool, user, after, PAGE).await?).await? {
        after = Some(last.id);
    }
    zip.end().await?;

    zip.begin("blocks.json")?;
    let mut after = None;
    while let Some(last) = page(&mut zip, held::blocks(&pool, user, after, PAGE).await?).await? {
        after = Some(last.user_id);
    }
    zip.end().await?;

    zip.begin("chats.json")?;
    let mut after = None;
    while let Some(last) = page(&mut zip, held::chats(&pool, user, after, PAGE).await?).await? {
        after = Some(last.chat_id);
    }
    zip.end().await?;

    // Once more by pages, rather than all of them in memory.
    let mut after = None;
    loop {
        let chats = held::chats(&pool, user, after, PAGE).await?;
        for chat in &chats {
            messages(&pool, user, chat, &mut zip).await?;
            edits(&pool, user, chat, &mut zip).await?;
            reactions(&pool, user, chat, &mut zip).await?;
        }
        let Some(last) = chats.last() else { break };
        after = Some(last.chat_id);
    }

    zip.begin("audit.json")?;
    let mut after = None;
    while let Some(last) = page(&mut zip, held::audit_rows(&pool, user, after, PAGE).await?).await?
    {
        after = Some((last.at, last.id));
    }
    zip.end().await?;
    zip.finish().await
}

/// Adds a page to the list that was begun, and gives its last row; none where it was empty.
async fn page<T: Serialize>(zip: &mut Archive, mut rows: Vec<T>) -> Result<Option<T>> {
    for row in &rows {
        zip.item(row).await?;
    }
    Ok(rows.pop())
}

/// A file for each chat in which the user wrote.
async fn messages(pool: &Pool, user: UserId, chat: &ChatRow, zip: &mut Archive) -> Result<()> {
    let mut after = 0;
    let mut is_begun = false;
    while after < chat.last_seq {
        let part = held::messages(pool, user, chat.chat_id, after).await?;
        if !is_begun && !part.rows.is_empty() {
            zip.begin(&format!("messages/{}.json", chat.chat_id))?;
            is_begun = true;
        }
        page(zip, part.rows).await?;
        after = part.next;
    }
    if is_begun { zip.end().await } else { Ok(()) }
}

/// The same for what messages said before they were edited.
async fn edits(pool: &Pool, user: UserId, chat: &ChatRow, zip: &mut Archive) -> Result<()> {
    let mut after = (0, 0);
    let mut is_begun = false;
    while after.0 < chat.last_seq || (after.0 == chat.last_seq && after.1 < i32::MAX) {
        let part = held::edits(pool, user, chat.chat_id, after, PAGE).await?;
        if !is_begun && !part.rows.is_empty() {
            zip.begin(&format!("edits/{}.json", chat.chat_id))?;
            is_begun = true;
        }
        page(zip, part.rows).await?;
        after = part.next;
    }
    if is_begun { zip.end().await } else { Ok(()) }
}

/// The same for what they reacted with.
async fn reactions(pool: &Pool, user: UserId, chat: &ChatRow, zip: &mut Archive) -> Result<()> {
    let mut after = None;
    let mut is_begun = false;
    loop {
        let rows = held::reactions(pool, user, chat.chat_id, after, PAGE).await?;
        if !is_begun && !rows.is_empty() {
            zip.begin(&format!("reactions/{}.json", chat.chat_id))?;
            is_begun = true;
        }
        let Some(last) = page(zip, rows).await? else { break };
        after = Some((last.message_seq, last.emoji));
    }
    if is_begun { zip.end().await } else { Ok(()) }
}

/// Who exports at this node now, and since when.
#[derive(Default)]
pub(super) struct Slots(Mutex<HashMap<UserId, Instant>>);

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Instant>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

/// A place among them, until it is dropped.
struct Slot {
    slots: Arc<Slots>,
    user: UserId,
    since: Instant,
}

impl Slot {
    fn take(slots: &Arc<Slots>, user: UserId) -> Result<Self> {
        let since = Instant::now();
        let mut running = slots.lock();
        // A reader that stopped reading drives nothing, not even its own time limit.
        running.retain(|_, began| since.duration_since(*began) < LONGEST);
        if running.contains_key(&user) {
            return Err(Error::RateLimited { retry_after: Duration::from_mins(1) });
        }
        if running.len() >= SLOTS {
            let retry_after = Duration::from_secs(30);
            return Err(Error::Unavailable { part: "the export", retry_after });
        }
        running.insert(user, since);
        drop(running);
        Ok(Self { slots: Arc::clone(slots), user, since })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.slots.lock();
        // Another may have it by now, where this one took too long.
        if running.get(&self.user) == Some(&self.since) {
            running.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_export_a_user_and_few_a_node() {
        let slots = Arc::default();
        let ann = UserId::new();
        let first = Slot::take(&slots, ann).unwrap();
        assert!(matches!(Slot::take(&slots, ann), Err(Error::RateLimited { .. })));
        let second = Slot::take(&slots, UserId::new()).unwrap();
        assert!(matches!(Slot::take(&slots, UserId::new()), Err(Error::Unavailable { .. })));
        drop(second);
        drop(first);
        assert!(Slot::take(&slots, ann).is_ok());
    }

    #[test]
    fn a_slot_of_a_reader_that_has_gone_is_free_again() {
        let slots: Arc<Slots> = Arc::default();
        let ann = UserId::new();
        let mut gone = Slot::take(&slots, ann).unwrap();
        gone.since = gone.since.checked_sub(LONGEST).unwrap();
        slots.lock().insert(ann, gone.since);
        let next = Slot::take(&slots, ann).unwrap();
        drop(gone);
        assert!(slots.lock().contains_key(&ann), "the old one does not free the new one's");
        drop(next);
        assert!(slots.lock().is_empty());
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_whole_answer() {
        let (out, pieces) = mpsc::channel(PIECES);
        let making = async move {
            out.send(Bytes::from_static(b"a piece")).await.map_err(Error::internal)?;
            Err(Error::unavailable("the database"))
        };
        let all: Vec<io::Result<Bytes>> = driven(making, pieces).collect().await;
        assert_eq!(all.len(), 2);
        assert!(all[0].is_ok() && all[1].is_err());
    }
}
