//! Messages: checking what is to be sent, and reading history.
//!
//! What changes a message is a command: this side only checks the form and hands it to the log.
//! Whether it may be done is decided by the chat's writer, in one step with doing it.

mod reactions;
mod search;
mod threads;

use std::time::Instant;

pub use self::search::{Found, Hit, Wanted};
use crate::config::Limits;
use crate::error::{Error, Result};
use crate::log::append::{ChatLog, Request};
use crate::log::command::{Action, Draft};
use crate::log::entry::Answer;
use crate::log::pending::Done;
use crate::metrics::PostgresCall;
use crate::model::id::{ChatId, CommandId, MessageId, UserId};
use crate::model::message::Message;
use crate::protocol::changes::{MessagePage, fitting};
use crate::protocol::request::NewMessage;
use crate::store::messages::Edit;
pub use crate::store::search::Place;
use crate::store::{Pool, members, messages, visibility};

/// Files and mentions of one message.
const FILES: usize = 10;
const MENTIONS: usize = 50;

/// Messages of a page.
const PAGE: i64 = 50;
const PAGE_MOST: i64 = 100;

/// About how many bytes of text a page has, at the most; it is cut short behind.
const TEXT_BYTES: usize = 256 * 1024;

/// Use cases around messages. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    pool: Pool,
    log: ChatLog,
    body_chars: usize,
}

/// Where a page of history lies. `before` and `after` are exclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub before: Option<i64>,
    pub after: Option<i64>,
    pub around: Option<i64>,
    pub limit: Option<i64>,
}

impl Messages {
    pub fn new(pool: Pool, log: ChatLog, limits: &Limits) -> Self {
        Self { pool, log, body_chars: limits.body_chars }
    }

    /// The command that sends a message.
    ///
    /// # Errors
    /// `Invalid` with all that is wrong with its form.
    pub fn send(&self, sender: UserId, chat: ChatId, new: NewMessage) -> Result<Request> {
        let mut problems = Vec::new();
        if new.body.is_empty() && new.file_ids.is_empty() {
            problems.push(("body", "a text or a file is required".to_owned()));
        }
        problems.extend(self.body_problem(&new.body).map(|problem| ("body", problem)));
        if new.file_ids.len() > FILES {
            problems.push(("fileIds", format!("at most {FILES}")));
        }
        if new.mentions.len() > MENTIONS {
            problems.push(("mentions", format!("at most {MENTIONS}")));
        }
        if new.client_id.0.is_nil() {
            problems.push(("clientId", "a UUID that the client made".to_owned()));
        }
        Error::of_fields(problems)?;
        if !new.file_ids.is_empty() {
            return Err(Error::NotFound("file"));
        }
        let mut mentions = new.mentions;
        mentions.sort_unstable();
        mentions.dedup();
        let action = Action::Send(Draft {
            message_id: MessageId::new(),
            body: new.body,
            reply_to: new.reply_to,
            mentions,
        });
        Ok(Request { id: new.client_id, chat, actor: sender, action })
    }

    /// The command that gives a message another text.
    pub fn edit(
        &self,
        editor: UserId,
        chat: ChatId,
        message_id: MessageId,
        body: String,
    ) -> Result<Request> {
        if body.is_empty() {
            return Err(Error::invalid("body", "a text is required"));
        }
        if let Some(problem) = self.body_problem(&body) {
            return Err(Error::invalid("body", problem));
        }
        let action = Action::Edit { message_id, body };
        Ok(Request { id: CommandId::new(), chat, actor: editor, action })
    }

    /// The command that deletes a message.
    pub fn delete(&self, actor: UserId, chat: ChatId, message_id: MessageId) -> Request {
        let action = Action::Delete { message_id };
        Request { id: CommandId::new(), chat, actor, action }
    }

    /// Texts are stored exactly as sent; only what Postgres cannot hold is refused.
    fn body_problem(&self, body: &str) -> Option<String> {
        if body.contains('\0') {
            return Some("must not contain NUL".to_owned());
        }
        let too_long = body.len() > self.body_chars && body.chars().count() > self.body_chars;
        too_long.then(|| format!("at most {} characters", self.body_chars))
    }

    /// Has a command done; `done` is told once what it came to. Calls in order are done in order.
    pub fn submit(&self, request: Request, done: Done) {
        self.log.submit(request, done);
    }

    /// Does a command and waits for it.
    pub async fn call(&self, request: Request) -> Result<Answer> {
        self.log.call(request).await
    }

    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn find(&self, caller: UserId, chat: ChatId, id: MessageId) -> Result<Message> {
        self.check_member(caller, chat).await?;
        let found = messages::find(&self.pool, chat, id).await?;
        let mut found = [found.ok_or(Error::NotFound("message"))?];
        visibility::screen(&self.pool, caller, &mut found).await?;
        let [message] = found;
        Ok(message)
    }

    /// The versions of a message, the present one last; and where the next part begins. Every member
    /// may see them; none of one that is hidden from the caller.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn edits(
        &self,
        caller: UserId,
        (chat, id): (ChatId, MessageId),
        after: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Edit>, Option<i32>)> {
        if self.find(caller, chat, id).await?.hidden {
            return Ok((Vec::new(), None));
        }
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut found = messages::edits(&self.pool, chat, id, after.unwrap_or(0), most).await?;
        let fits = fitting(found.iter().map(|edit| edit.body.len()), limit, TEXT_BYTES);
        let more = found.len() > fits;
        found.truncate(fits);
        let next = found.last().filter(|_| more).map(|edit| edit.version);
        Ok((found, next))
    }

    /// A page of history, ascending.
    ///
    /// # Errors
    /// `Invalid` where more than one place is named; `NotFound` where the caller is not in the
    /// chat.
    pub async fn page(&self, caller: UserId, chat: ChatId, window: Window) -> Result<MessagePage> {
        let limit = window.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MOST).contains(&limit) {
            return Err(Error::invalid("limit", format!("from 1 to {PAGE_MOST}")));
        }
        let began = Instant::now();
        let page = self.read_page(caller, chat, window, limit).await;
        self.log.metrics().postgres.note(PostgresCall::History, began, &page);
        page
    }

    async fn read_page(
        &self,
        caller: UserId,
        chat: ChatId,
        window: Window,
        limit: i64,
    ) -> Result<MessagePage> {
        self.check_member(caller, chat).await?;
        let mut page = match (window.before, window.after, window.around) {
            (before, None, None) => self.before(chat, before.unwrap_or(i64::MAX), limit).await,
            (None, Some(after), None) => self.after(chat, after, limit).await,
            (None, None, Some(around)) => self.around(chat, around, limit).await,
            _ => Err(Error::invalid("before", "only one of before, after and around")),
        }?;
        visibility::screen(&self.pool, caller, &mut page.items).await?;
        Ok(page)
    }

    async fn before(&self, chat: ChatId, seq: i64, limit: i64) -> Result<MessagePage> {
        let (mut items, has_before) =
            cut(messages::before(&self.pool, chat, seq, limit + 1).await?, limit);
        items.reverse();
        let has_after = match items.last() {
            _ if seq == i64::MAX => false,
            Some(last) => self.any_after(chat, last.seq).await?,
            None => self.any_after(chat, seq.saturating_sub(1)).await?,
        };
        Ok(MessagePage { items, has_before, has_after })
    }

    async fn after(&self, chat: ChatId, seq: i64, limit: i64) -> Result<MessagePage> {
        let (items, has_after) =
            cut(messages::after(&self.pool, chat, seq, limit + 1).await?, limit);
        let first = items.first().map_or(seq.saturating_add(1), |message| message.seq);
        let has_before = seq > 0 && !messages::before(&self.pool, chat, first, 1).await?.is_empty();
        Ok(MessagePage { items, has_before, has_after })
    }

    async fn around(&self, chat: ChatId, seq: i64, limit: i64) -> Result<MessagePage> {
        let older = limit / 2;
        let mut page = self.before(chat, seq, older.max(1)).await?;
        if older == 0 {
            page.has_before |= !page.items.is_empty();
            page.items.clear();
        }
        let newer = limit - i64::try_from(page.items.len()).unwrap_or(0);
        let newer = self.after(chat, seq.saturating_sub(1), newer.max(1)).await?;
        page.items.extend(newer.items);
        page.has_after = newer.has_after;
        Ok(page)
    }

    async fn any_after(&self, chat: ChatId, seq: i64) -> Result<bool> {
        Ok(!messages::after(&self.pool, chat, seq, 1).await?.is_empty())
    }

    async fn check_member(&self, caller: UserId, chat: ChatId) -> Result<()> {
        let role = members::role(&self.pool, chat, caller).await?;
        role.map(drop).ok_or(Error::NotFound("chat"))
    }
}

/// The first `limit` messages, or fewer where their texts are long; and whether there are more.
fn cut(mut messages: Vec<Message>, limit: i64) -> (Vec<Message>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let texts = messages.iter().map(Message::text_bytes);
    let fits = fitting(texts, limit, TEXT_BYTES);
    let more = messages.len() > fits;
    messages.truncate(fits);
    (messages, more)
}
