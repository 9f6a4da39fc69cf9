//! Catching up: the present state of what changed since a reader was last here.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use sqlx::PgConnection;

use super::{Chats, views};
use crate::error::{Error, Result};
use crate::metrics::PostgresCall;
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;
use crate::protocol::changes::{Changes, Synced, fitting};
use crate::protocol::request::Known;
use crate::store::chats::{self, ChatRow};
use crate::store::{self, members, messages, visibility};

/// Messages of one answer; members come beside them. One event changes at most 1,000 members, so a
/// page always gets on.
const MESSAGES: i64 = 100;
const MEMBERS: i64 = 2_000;

/// Messages that one event changes, at the most: an answer is one, and what it answers, and the first
/// of the thread. They are not parted, so a page may be longer by two.
const OF_ONE_EVENT: i64 = 3;

/// What all of an answer may hold; chats beyond it are marked incomplete.
const BUDGET: Budget = Budget { rows: 3_000, text_bytes: 256 * 1024 };

/// Chats that a `sync` may name, and that it adds: a client asks again until none are added.
pub const SYNC_CHATS: usize = 1_000;

/// What is left of an answer's size.
#[derive(Clone, Copy)]
struct Budget {
    rows: usize,
    text_bytes: usize,
}

impl Budget {
    fn spend(&mut self, changes: &Changes) {
        self.rows = self.rows.saturating_sub(changes.messages.len() + changes.members.len());
        let text = changes.messages.iter().map(Message::text_bytes).sum();
        self.text_bytes = self.text_bytes.saturating_sub(text);
    }
}

impl Chats {
    /// What changed in a chat after `after_seq`.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn changes(
        &self,
        caller: UserId,
        chat: ChatId,
        after_seq: i64,
        limit: Option<i64>,
    ) -> Result<Changes> {
        let limit = limit.unwrap_or(MESSAGES).clamp(1, MESSAGES);
        let (metrics, began) = (self.log.metrics(), Instant::now());
        let found = self.read_changes(caller, chat, after_seq, limit).await;
        metrics.postgres.note(PostgresCall::Sync, began, &found);
        found.inspect(|found| metrics.sync_rows.increment(found.rows() as u64))
    }

    async fn read_changes(
        &self,
        caller: UserId,
        chat: ChatId,
        after_seq: i64,
        limit: i64,
    ) -> Result<Changes> {
        let mut snapshot = store::snapshot(&self.pool).await?;
        let row = chats::find(&mut *snapshot, caller, chat).await?;
        let row = row.ok_or(Error::NotFound("chat"))?;
        changes(self, &mut snapshot, caller, row, after_seq, (limit, BUDGET)).await
    }

    /// What changed in all chats of the caller, given how far each is known; and the newest seq of
    /// each of them.
    pub async fn sync(
        &self,
        caller: UserId,
        known: &[Known],
    ) -> Result<(Synced, HashMap<ChatId, i64>)> {
        let (metrics, began) = (self.log.metrics(), Instant::now());
        let read = self.read_missed(caller, known).await;
        metrics.postgres.note(PostgresCall::Sync, began, &read);
        read.inspect(|(synced, _)| {
            let rows = synced.chats.iter().map(Changes::rows).sum::<usize>() + synced.added.len();
            metrics.sync_rows.increment(rows as u64);
        })
    }

    async fn read_missed(
        &self,
        caller: UserId,
        known: &[Known],
    ) -> Result<(Synced, HashMap<ChatId, i64>)> {
        let mut snapshot = store::snapshot(&self.pool).await?;
        let standings = members::chats_of(&mut *snapshot, caller).await?;
        let present: HashMap<ChatId, i64> =
            standings.iter().map(|standing| (standing.chat_id, standing.last_seq)).collect();
        let named: HashSet<ChatId> = known.iter().map(|known| known.chat_id).collect();
        let removed: Vec<ChatId> =
            named.iter().copied().filter(|chat| !present.contains_key(chat)).collect();

        let added = present.keys().copied().filter(|chat| !named.contains(chat));
        let added: Vec<ChatId> = added.take(SYNC_CHATS).collect();
        let added = if added.is_empty() {
            Vec::new()
        } else {
            let mut rows = chats::some(&mut *snapshot, caller, &added).await?;
            self.receipts.show_in(caller, &mut rows).await;
            views::all(&mut snapshot, caller, rows).await?
        };

        let behind: HashMap<ChatId, i64> = known
            .iter()
            .filter(|known| present.get(&known.chat_id).is_some_and(|last| *last > known.after_seq))
            .map(|known| (known.chat_id, known.after_seq))
            .collect();
        if behind.is_empty() {
            return Ok((Synced { chats: Vec::new(), removed, added }, present));
        }
        let ids: Vec<ChatId> = behind.keys().copied().collect();
        let rows = chats::some(&mut *snapshot, caller, &ids).await?;
        let mut left = BUDGET;
        let mut answered = Vec::with_capacity(rows.len());
        for row in rows {
            let after_seq = behind[&row.id];
            if left.rows == 0 || left.text_bytes == 0 {
                answered.push(nothing_yet(row.id, after_seq));
                continue;
            }
            let page = (MESSAGES, left);
            let found = changes(self, &mut snapshot, caller, row, after_seq, page).await?;
            left.spend(&found);
            answered.push(found);
        }
        Ok((Synced { chats: answered, removed, added }, present))
    }
}

/// The answer is full: the client asks for this chat again.
fn nothing_yet(chat_id: ChatId, after_seq: i64) -> Changes {
    Changes {
        chat_id,
        from_seq: after_seq,
        to_seq: after_seq,
        complete: false,
        messages: Vec::new(),
        members: Vec::new(),
        left: Vec::new(),
        chat: None,
    }
}

async fn changes(
    chats: &Chats,
    snapshot: &mut PgConnection,
    caller: UserId,
    mut row: ChatRow,
    after_seq: i64,
    (limit, budget): (i64, Budget),
) -> Result<Changes> {
    let (chat, last_seq) = (row.id, row.last_seq);
    // Nobody knows more than there is.
    let from_seq = after_seq.clamp(0, last_seq);
    let mut to_seq = last_seq;

    let mut found =
        messages::changed_after(&mut *snapshot, chat, from_seq, limit + OF_ONE_EVENT).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let texts = found.iter().map(|(_, message)| message.text_bytes());
    let fits = fitting(texts, limit, budget.text_bytes);
    if found.len() > fits {
        to_seq = found[fits - 1].0;
        found.retain(|(changed_seq, _)| *changed_seq <= to_seq);
    }

    let mut people = members::changed_after(&mut *snapshot, chat, from_seq, MEMBERS + 1).await?;
    if people.len() > usize::try_from(MEMBERS).unwrap_or(usize::MAX) {
        // The last event may be cut: leave it to the next page.
        to_seq = to_seq.min(people.last().map_or(to_seq, |row| row.changed_seq - 1));
        found.retain(|(changed_seq, _)| *changed_seq <= to_seq);
    }
    people.retain(|row| row.changed_seq <= to_seq);
    let (gone, present): (Vec<_>, Vec<_>) =
        people.into_iter().partition(|row| row.left_seq.is_some());

    let mut messages: Vec<Message> = found.into_iter().map(|(_, message)| message).collect();
    visibility::screen(&mut *snapshot, caller, &mut messages).await?;

    let chat_changed = row.changed_seq > from_seq && row.changed_seq <= to_seq;
    let members = views::members(snapshot, present).await?;
    if chat_changed {
        chats.receipts.show_in(caller, std::slice::from_mut(&mut row)).await;
    }
    let chat_view =
        if chat_changed { Some(views::one(snapshot, caller, row).await?) } else { None };
    Ok(Changes {
        chat_id: chat,
        from_seq,
        to_seq,
        complete: to_seq >= last_seq,
        messages,
        members,
        left: gone.into_iter().map(|row| row.user_id).collect(),
        chat: chat_view,
    })
}
