//! Chats: making them, showing them, and what a reader of them has missed.

mod changes;
mod invites;
mod membership;
mod pins;
mod search;
mod views;

pub use crate::store::chats::ListPosition;
pub use changes::SYNC_CHATS;
pub use invites::{Invite, InvitePreview};
pub use membership::GroupPatch;
pub use search::{By, Found};

use std::sync::Arc;

use sqlx::types::time::OffsetDateTime;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::log::append::{ChatLog, Request};
use crate::log::command::Action;
use crate::log::entry::Answer;
use crate::model::chat::{Chat, Member, Pair, SharedChat};
use crate::model::id::{ChatId, CommandId, UserId};
use crate::model::time::Timestamp;
use crate::protocol::changes::Receipt;
use crate::receipts::{LIVE_MEMBERS, Receipts};
use crate::store::chats::ChatRow;
use crate::store::{Pool, chats, members, receipts, users};

/// Characters of a group's title and description.
const TITLE_CHARS: usize = 128;
const DESCRIPTION_CHARS: usize = 2_000;

/// Use cases around chats. Cheap to clone.
#[derive(Clone)]
pub struct Chats {
    pool: Pool,
    log: ChatLog,
    receipts: Receipts,
    members_per_call: usize,
    /// Put before the paths of links.
    public_url: Arc<str>,
}

/// A group to be.
pub struct NewGroup {
    pub title: String,
    pub description: Option<String>,
    pub members: Vec<UserId>,
}

impl Chats {
    pub fn new(pool: Pool, log: ChatLog, receipts: Receipts, config: &Config) -> Self {
        let public_url = config.mail.as_ref().map_or("", |mail| &mail.public_url);
        let members_per_call = config.limits.members_per_call;
        Self { pool, log, receipts, members_per_call, public_url: public_url.into() }
    }

    /// Makes a group; the caller owns it.
    ///
    /// # Errors
    /// `Invalid` with all that is wrong; `NotFound` where a member does not exist; `Blocked` where
    /// one of them is in a block with the caller, or does not want to be added by them.
    pub async fn create_group(&self, owner: UserId, group: NewGroup) -> Result<Chat> {
        self.check_group(&group)?;
        let mut members = group.members;
        members.sort_unstable();
        members.dedup();
        if users::by_ids(&self.pool, &members).await?.len() != members.len() {
            return Err(Error::NotFound("user"));
        }
        let chat = ChatId::new();
        let action =
            Action::CreateGroup { title: group.title, description: group.description, members };
        self.log.call(Request { id: CommandId::new(), chat, actor: owner, action }).await?;
        self.find(owner, chat).await
    }

    fn check_group(&self, group: &NewGroup) -> Result<()> {
        let mut problems = Vec::new();
        problems.extend(check_title(&group.title));
        problems.extend(group.description.as_deref().and_then(check_description));
        if group.members.len() > self.members_per_call {
            problems.push(("memberIds", format!("at most {} in one call", self.members_per_call)));
        }
        Error::of_fields(problems)
    }

    /// The chat of the caller with somebody, made where there is none; the flag tells whether it
    /// was made now.
    ///
    /// # Errors
    /// `NotFound` where there is no such person; `Blocked` where one has blocked the other, or the
    /// peer's privacy does not let the caller.
    pub async fn open_direct(&self, caller: UserId, peer: UserId) -> Result<(Chat, bool)> {
        let pair = Pair::of(caller, peer)
            .ok_or_else(|| Error::invalid("userId", "somebody other than yourself"))?;
        if users::by_ids(&self.pool, &[peer]).await?.is_empty() {
            return Err(Error::NotFound("user"));
        }
        // Claimed before it is made: both may open it at once, on two nodes. A claim whose chat was
        // never made, since a node died between, is carried out by whoever comes next.
        let chat = chats::claim_direct(&self.pool, pair, ChatId::new()).await?;
        if let Some(row) = chats::find(&self.pool, caller, chat).await? {
            return Ok((self.view(caller, row).await?, false));
        }
        let action = Action::CreateDirect { peer };
        let request = Request { id: CommandId::new(), chat, actor: caller, action };
        let answer = self.log.call(request).await?;
        // Not whose claim it was: the other one may have carried it out.
        let made = matches!(answer, Answer::Done { again: false, .. });
        Ok((self.find(caller, chat).await?, made))
    }

    /// # Errors
    /// `NotFound`, also where the caller is not in it.
    pub async fn find(&self, caller: UserId, chat: ChatId) -> Result<Chat> {
        let row = chats::find(&self.pool, caller, chat).await?.ok_or(Error::NotFound("chat"))?;
        self.view(caller, row).await
    }

    /// These chats, as far as the caller is in them.
    pub async fn some(&self, caller: UserId, ids: &[ChatId]) -> Result<Vec<Chat>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.pool.acquire().await?;
        let mut rows = chats::some(&mut *connection, caller, ids).await?;
        self.receipts.show_in(caller, &mut rows).await;
        views::all(&mut connection, caller, rows).await
    }

    async fn view(&self, caller: UserId, mut row: ChatRow) -> Result<Chat> {
        self.receipts.show_in(caller, std::slice::from_mut(&mut row)).await;
        let mut connection = self.pool.acquire().await?;
        views::one(&mut connection, caller, row).await
    }

    /// The caller's chats, pinned ones first, then by last activity; and where the next page
    /// begins.
    pub async fn list(
        &self,
        caller: UserId,
        after: Option<ListPosition>,
        pinned_only: bool,
        limit: usize,
    ) -> Result<(Vec<Chat>, Option<ListPosition>)> {
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut connection = self.pool.acquire().await?;
        let mut rows = chats::list(&mut *connection, caller, after, pinned_only, most).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| ListPosition {
            pinned: row.pinned_at.is_some(),
            last_activity_at: row.last_activity_at,
            chat: row.id,
        });
        self.receipts.show_in(caller, &mut rows).await;
        Ok((views::all(&mut connection, caller, rows).await?, next))
    }

    /// A chat's members, the first to join first; and where the next page begins.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn members(
        &self,
        caller: UserId,
        chat: ChatId,
        after: Option<(OffsetDateTime, UserId)>,
        limit: usize,
    ) -> Result<(Vec<Member>, Option<(OffsetDateTime, UserId)>)> {
        self.check_member(caller, chat).await?;
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut connection = self.pool.acquire().await?;
        let mut rows = members::list(&mut *connection, chat, after, most).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| (row.joined_at, row.user_id));
        Ok((views::members(&mut connection, rows).await?, next))
    }

    /// Up to where members have read who let the caller know, in the order of their ids; and where
    /// the next part begins. Who has read nothing takes a place, but is left out.
    ///
    /// # Errors
    /// `NotFound`, also where the caller is not in the chat.
    pub async fn receipts(
        &self,
        caller: UserId,
        chat: ChatId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<Receipt>, Option<UserId>)> {
        self.check_member(caller, chat).await?;
        let most = i64::try_from(limit).unwrap_or(100) + 1;
        let mut rows = receipts::list(&self.pool, caller, chat, after, most).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.user_id);
        let members: Vec<_> = rows.iter().map(|row| (chat, row.user_id)).collect();
        let marks = self.receipts.of(&members).await;
        let receipts = rows.into_iter().filter_map(|row| {
            let (user_id, mut read_seq) = (row.user_id, row.read_seq);
            let mut at = row.read_at.map(Timestamp::from);
            if let Some(mark) = marks.get(&(chat, user_id)).filter(|mark| mark.seq > read_seq) {
                (read_seq, at) = (mark.seq, Some(Timestamp::from_unix_millis(mark.at)));
            }
            Some(Receipt { user_id, read_seq, at: at? })
        });
        Ok((receipts.collect(), next))
    }

    /// The receipts that opening a chat brings: all of them, or none where they are not live.
    pub async fn live_receipts(&self, caller: UserId, chat: &Chat) -> Result<Vec<Receipt>> {
        let SharedChat { id, member_count, .. } = chat.shared;
        if member_count > LIVE_MEMBERS {
            return Ok(Vec::new());
        }
        let limit = usize::try_from(LIVE_MEMBERS).unwrap_or(usize::MAX);
        let (receipts, _) = self.receipts(caller, id, None, limit).await?;
        Ok(receipts)
    }

    /// # Errors
    /// `NotFound` where the caller is not in the chat.
    pub async fn check_member(&self, caller: UserId, chat: ChatId) -> Result<()> {
        let role = members::role(&self.pool, chat, caller).await?;
        role.map(drop).ok_or(Error::NotFound("chat"))
    }
}

type Problem = (&'static str, String);

fn check_title(title: &str) -> Option<Problem> {
    let chars = title.chars().count();
    let is_bad = chars == 0 || chars > TITLE_CHARS || title.contains('\0');
    is_bad.then(|| ("title", format!("from 1 to {TITLE_CHARS} characters, without NUL")))
}

fn check_description(description: &str) -> Option<Problem> {
    let is_bad = description.chars().count() > DESCRIPTION_CHARS || description.contains('\0');
    is_bad.then(|| ("description", format!("at most {DESCRIPTION_CHARS} characters, without NUL")))
}
