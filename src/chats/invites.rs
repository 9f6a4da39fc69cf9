//! Links by which people come into a group.
//!
//! Making, listing and revoking are records in Postgres. Joining is a command: the chat's writer
//! counts the uses, one after the other.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sqlx::PgTransaction;
use sqlx::types::time::OffsetDateTime;

use super::Chats;
use crate::error::{Error, Result};
use crate::log::append::Request;
use crate::log::command::Action;
use crate::model::chat::{Chat, ChatAction, ChatKind};
use crate::model::id::{ChatId, CommandId, UserId};
use crate::model::time::Timestamp;
use crate::store::invites::{self, InviteRow, NewInvite};
use crate::store::members;

/// Usable invites of one chat; one more is refused.
const MOST: i64 = 100;
const MOST_USES: i32 = 1_000_000;
/// 128 random bits.
const CODE_BYTES: usize = 16;
/// Longer ones were never made.
const CODE_CHARS: usize = 22;

/// An invite, for those who may make them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    pub code: String,
    pub url: String,
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<i32>,
    pub uses: i32,
    pub created_at: Timestamp,
}

/// What an invite tells whoever has it, before they join.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitePreview {
    pub chat_id: ChatId,
    pub title: Option<String>,
    pub description: Option<String>,
    pub member_count: i32,
    pub expires_at: Option<Timestamp>,
}

impl Chats {
    /// Makes a link; without an end it is good until it is revoked.
    ///
    /// # Errors
    /// `NotFound` where the caller is not in the group, `Forbidden` where their role does not do,
    /// `Conflict` where there are too many.
    pub async fn create_invite(
        &self,
        caller: UserId,
        chat: ChatId,
        expires_at: Option<Timestamp>,
        max_uses: Option<i32>,
    ) -> Result<Invite> {
        let mut problems = Vec::new();
        if expires_at.is_some_and(|at| at <= Timestamp::now()) {
            problems.push(("expiresAt", "in the future".to_owned()));
        }
        if max_uses.is_some_and(|uses| !(1..=MOST_USES).contains(&uses)) {
            problems.push(("maxUses", format!("from 1 to {MOST_USES}")));
        }
        Error::of_fields(problems)?;
        let mut db = self.hold_inviter(caller, chat).await?;
        let code = URL_SAFE_NO_PAD.encode(rand::random::<[u8; CODE_BYTES]>());
        let new = NewInvite {
            chat,
            code: &code,
            by: caller,
            expires_at: expires_at.map(Timestamp::to_datetime),
            max_uses,
            most: MOST,
        };
        let row = invites::add(&mut *db, new).await?;
        let row = row.ok_or(Error::Conflict("the chat has as many invites as it can"))?;
        db.commit().await?;
        Ok(self.invite(row))
    }

    /// Usable invites, the newest first; and where the next page begins.
    pub async fn invites(
        &self,
        caller: UserId,
        chat: ChatId,
        before: Option<OffsetDateTime>,
        limit: usize,
    ) -> Result<(Vec<Invite>, Option<OffsetDateTime>)> {
        drop(self.hold_inviter(caller, chat).await?);
        let most = i64::try_from(limit).unwrap_or(MOST) + 1;
        let mut rows = invites::list(&self.pool, chat, before, most).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.created_at);
        Ok((rows.into_iter().map(|row| self.invite(row)).collect(), next))
    }

    /// Ends a link.
    pub async fn revoke_invite(&self, caller: UserId, chat: ChatId, code: &str) -> Result<()> {
        let mut db = self.hold_inviter(caller, chat).await?;
        if !invites::revoke(&mut *db, chat, code).await? {
            return Err(Error::NotFound("invite"));
        }
        Ok(db.commit().await?)
    }

    /// What is behind a link.
    pub async fn preview(&self, code: &str) -> Result<InvitePreview> {
        let found =
            if code.len() == CODE_CHARS { invites::preview(&self.pool, code).await? } else { None };
        let found = found.ok_or(Error::NotFound("invite"))?;
        Ok(InvitePreview {
            chat_id: found.chat_id,
            title: found.title,
            description: found.description,
            member_count: found.member_count,
            expires_at: found.expires_at.map(Into::into),
        })
    }

    /// Joins by a link. Whoever is in already just gets the chat.
    pub async fn join_by_invite(&self, caller: UserId, code: &str) -> Result<Chat> {
        let chat = self.preview(code).await?.chat_id;
        let action = Action::Join { code: code.to_owned() };
        self.log.call(Request { id: CommandId::new(), chat, actor: caller, action }).await?;
        self.find(caller, chat).await
    }

    /// A transaction in which the caller may make and revoke invites, and goes on to until its end.
    async fn hold_inviter(&self, caller: UserId, chat: ChatId) -> Result<PgTransaction<'static>> {
        let mut db = self.pool.begin().await?;
        let held = members::hold_role(&mut *db, chat, caller).await?;
        let (role, kind) = held.ok_or(Error::NotFound("chat"))?;
        if kind == ChatKind::Group && role.may(ChatAction::Invite) {
            Ok(db)
        } else {
            Err(Error::Forbidden("this is not yours to do"))
        }
    }

    fn invite(&self, row: InviteRow) -> Invite {
        Invite {
            url: format!("{}/invites/{}", self.public_url, row.code),
            code: row.code,
            expires_at: row.expires_at.map(Into::into),
            max_uses: row.max_uses,
            uses: row.uses,
            created_at: row.created_at.into(),
        }
    }
}
