//! Who is in a group, in which role, and what the group is called: commands for its writer, which
//! decides whether they may.

use futures_util::future::join_all;

use crate::chats::{Chats, check_description, check_title};
use crate::error::{Error, Result};
use crate::log::append::Request;
use crate::log::command::Action;
use crate::log::entry::Answer;
use crate::model::chat::{Chat, Member, Role};
use crate::model::id::{ChatId, CommandId, UserId};
use crate::store::{members, users};

use super::views;

/// Groups that are left at the same time.
const LEFT_AT_ONCE: usize = 50;

/// What of a group is to change; the rest stays.
pub struct GroupPatch {
    pub title: Option<String>,
    /// An empty one takes it away.
    pub description: Option<String>,
}

impl Chats {
    async fn command(&self, actor: UserId, chat: ChatId, action: Action) -> Result<Answer> {
        self.log.call(Request { id: CommandId::new(), chat, actor, action }).await
    }

    /// Changes title and description.
    ///
    /// # Errors
    /// `NotFound` where the caller is not in it; `Forbidden` where their role does not do.
    pub async fn update(&self, caller: UserId, chat: ChatId, patch: GroupPatch) -> Result<Chat> {
        let GroupPatch { title, description } = patch;
        let mut problems = Vec::new();
        problems.extend(title.as_deref().and_then(check_title));
        problems.extend(description.as_deref().and_then(check_description));
        Error::of_fields(problems)?;
        if title.is_some() || description.is_some() {
            self.command(caller, chat, Action::UpdateChat { title, description }).await?;
        }
        self.find(caller, chat).await
    }

    /// Ends a group for all.
    pub async fn delete(&self, caller: UserId, chat: ChatId) -> Result<()> {
        self.command(caller, chat, Action::DeleteChat).await.map(drop)
    }

    /// Takes the caller out of a group.
    pub async fn leave(&self, caller: UserId, chat: ChatId) -> Result<()> {
        self.command(caller, chat, Action::Leave).await.map(drop)
    }

    /// Takes somebody out of all their groups, as far as their writers can be reached.
    ///
    /// # Errors
    /// What kept the first of those that could not be left.
    pub async fn leave_all(&self, user: UserId) -> Result<()> {
        let groups = members::groups_of(&self.pool, user).await?;
        let mut outcome = Ok(());
        for some in groups.chunks(LEFT_AT_ONCE) {
            let left = join_all(some.iter().map(|group| self.leave(user, *group))).await;
            outcome = left.into_iter().fold(outcome, Result::and);
        }
        outcome
    }

    /// Adds people to a group, all of them or none; gives back those who were named.
    ///
    /// # Errors
    /// `NotFound` where the caller is not in it or somebody does not exist; `Forbidden` where the
    /// caller's role does not do; `Blocked` where one of them is in a block with the caller, or does
    /// not want to be added by them.
    pub async fn add_members(
        &self,
        caller: UserId,
        chat: ChatId,
        mut named: Vec<UserId>,
    ) -> Result<Vec<Member>> {
        named.sort_unstable();
        named.dedup();
        if named.is_empty() || named.len() > self.members_per_call {
            let rule = format!("from 1 to {}", self.members_per_call);
            return Err(Error::invalid("userIds", rule));
        }
        // A stranger learns here neither who exists nor that the chat does.
        self.check_member(caller, chat).await?;
        if users::by_ids(&self.pool, &named).await?.len() != named.len() {
            return Err(Error::NotFound("user"));
        }
        self.command(caller, chat, Action::AddMembers { users: named.clone() }).await?;
        self.members_of(chat, &named).await
    }

    /// Takes somebody out of a group; with `ban` they stay out until an admin adds them.
    pub async fn remove_member(
        &self,
        caller: UserId,
        chat: ChatId,
        user: UserId,
        ban: bool,
    ) -> Result<()> {
        self.command(caller, chat, Action::RemoveMember { user, ban }).await.map(drop)
    }

    /// Gives a member another role. To make somebody the owner is to hand over.
    pub async fn change_role(
        &self,
        caller: UserId,
        chat: ChatId,
        user: UserId,
        role: Role,
    ) -> Result<Member> {
        self.command(caller, chat, Action::ChangeRole { user, role }).await?;
        let member = self.members_of(chat, &[user]).await?;
        // Gone again meanwhile.
        member.into_iter().next().ok_or(Error::NotFound("member"))
    }

    async fn members_of(&self, chat: ChatId, users: &[UserId]) -> Result<Vec<Member>> {
        let mut connection = self.pool.acquire().await?;
        let rows = members::some(&mut *connection, chat, users).await?;
        views::members(&mut connection, rows).await
    }
}
