//! Who may see and reach whom: the one place where blocks and privacy settings are turned into
//! answers. `docs/BLOCKING.md` has the whole table.
//!
//! A user's name, bio and badge are open to everybody who is signed in ([`super::users::by_ids`]);
//! `online` and `lastSeenAt` are shown to those that [`presence_visible`] names. Each function
//! decides in one statement, so its answer was so at one moment; the writer asks in the transaction
//! of what it decides on.
//!
//! A contact is somebody with whom one shares a direct chat. What counts is the chat, not the claim
//! in `direct_chats`: a pair that was refused its chat leaves a claim behind.

use std::collections::HashSet;

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::error::Result;
use crate::model::id::{ChatId, UserId};
use crate::model::message::Message;

/// Users whose change a node hears of at once, at the most; the newest ones.
pub const CHANGES: i64 = 10_000;

/// Whether two users share a direct chat; `$1` is the one where only the other is named.
macro_rules! is_contact {
    ($other:literal) => {
        is_contact!("$1", $other)
    };
    ($one:literal, $other:literal) => {
        concat!(
            "exists (
                 select from direct_chats d
                 join chats c on c.id = d.chat_id and c.deleted_at is null
                 where d.low = least(",
            $one,
            ", ",
            $other,
            ") and d.high = greatest(",
            $one,
            ", ",
            $other,
            ")
             )"
        )
    };
}

/// Whether two users block one another, either way; `$1` is the one where only the other is named.
macro_rules! is_blocked {
    ($other:literal) => {
        is_blocked!("$1", $other)
    };
    ($one:literal, $other:literal) => {
        concat!(
            "exists (
                 select from user_blocks b
                 where (b.blocker_id = ",
            $one,
            " and b.blocked_id = ",
            $other,
            ") or (b.blocker_id = ",
            $other,
            " and b.blocked_id = ",
            $one,
            ")
             )"
        )
    };
}

/// Whether chat `c` is a direct one that is closed to a user of the two: by a block, either way, or
/// because the other one takes no direct messages.
macro_rules! closed_direct {
    ($user:literal) => {
        concat!(
            "(c.kind = 'direct' and (",
            is_blocked!("c.direct_low", "c.direct_high"),
            " or exists (
                 select from users u
                 where u.id = case when c.direct_low = ",
            $user,
            " then c.direct_high else c.direct_low end
                   and u.privacy_direct_messages = 'nobody'
             )))"
        )
    };
}

pub(super) use {closed_direct, is_blocked};

/// Whether a viewer may see the presence of user `u`.
macro_rules! shows_presence {
    ($viewer:literal) => {
        concat!(
            "u.deleted_at is null
             and u.suspended_at is null
             and (u.id = ",
            $viewer,
            "     or (not ",
            is_blocked!($viewer, "u.id"),
            "         and (u.privacy_last_seen = 'everyone'
                           or (u.privacy_last_seen = 'contacts' and ",
            is_contact!($viewer, "u.id"),
            "))))"
        )
    };
}

/// Of these, whose presence the viewer may see: themselves; of the others, who is there, is in no
/// block with the viewer either way, and lets the viewer by their `lastSeen`.
pub async fn presence_visible(
    db: impl PgExecutor<'_>,
    viewer: UserId,
    targets: &[UserId],
) -> Result<Vec<UserId>> {
    let visible = sqlx::query_scalar(concat!(
        "select u.id from users u where u.id = any($2) and ",
        shows_presence!("$1")
    ))
    .bind(viewer)
    .bind(targets)
    .fetch_all(db)
    .await?;
    Ok(visible)
}

/// The same for pairs of a viewer and a target: those in which the one may see the other.
pub async fn presence_visible_pairs(
    db: impl PgExecutor<'_>,
    pairs: &[(UserId, UserId)],
) -> Result<Vec<(UserId, UserId)>> {
    let (viewers, targets): (Vec<UserId>, Vec<UserId>) = pairs.iter().copied().unzip();
    let visible = sqlx::query_as(concat!(
        "select pair.viewer, pair.target
         from unnest($1::uuid[], $2::uuid[]) as pair (viewer, target)
         join users u on u.id = pair.target
         where ",
        shows_presence!("pair.viewer")
    ))
    .bind(viewers)
    .bind(targets)
    .fetch_all(db)
    .await?;
    Ok(visible)
}

/// Whether `opener` may begin a direct chat with `peer`, where there is none yet. They are no
/// contacts then, so only a peer who is open to everybody can be reached.
pub async fn may_open_direct(
    db: impl PgExecutor<'_>,
    opener: UserId,
    peer: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(concat!(
        "select exists (
             select from users u
             where u.id = $2
               and u.deleted_at is null
               and u.suspended_at is null
               and u.privacy_direct_messages = 'everyone'
               and not ",
        is_blocked!("u.id"),
        ")"
    ))
    .bind(opener)
    .bind(peer)
    .fetch_one(db)
    .await
}

/// Whether `adder` may put all of these into a group. Who does not exist is not asked about.
pub async fn may_add(
    db: impl PgExecutor<'_>,
    adder: UserId,
    users: &[UserId],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(concat!(
        "select not exists (
             select from users u
             where u.id = any($2)
               and u.id <> $1
               and (",
        is_blocked!("u.id"),
        " or u.privacy_group_invites = 'nobody'
          or (u.privacy_group_invites = 'contacts' and not ",
        is_contact!("u.id"),
        ")))"
    ))
    .bind(adder)
    .bind(users)
    .fetch_one(db)
    .await
}

/// Something of a message that differs between readers.
#[derive(FromRow)]
struct Own {
    chat_id: ChatId,
    /// An author whom the reader blocks.
    author_id: Option<UserId>,
    /// Else the place of a message to which the reader reacted, and with what.
    message_seq: Option<i64>,
    emoji: Option<String>,
}

/// Makes messages what the viewer sees: hidden where those whom they block wrote in groups, and with
/// the viewer's own reactions marked. Every road that shows messages from Postgres ends here; live
/// pushes hide by the same rule, [`Message::screen`]. One statement, however many messages, and none
/// where nobody else wrote and nobody reacted.
pub async fn screen(
    db: impl PgExecutor<'_>,
    viewer: UserId,
    messages: &mut [Message],
) -> Result<()> {
    let authors = messages.iter().flat_map(|message| {
        let quoted = message.reply_to.as_ref().map(|quote| quote.sender_id);
        let both = [Some(message.sender_id), quoted].into_iter().flatten();
        both.map(|author| (message.chat_id, author))
    });
    let authors: HashSet<(ChatId, UserId)> =
        authors.filter(|(_, author)| *author != viewer).collect();
    let reacted = messages.iter().filter(|message| !message.reactions.is_empty());
    let reacted: Vec<(ChatId, i64)> =
        reacted.map(|message| (message.chat_id, message.seq)).collect();
    if authors.is_empty() && reacted.is_empty() {
        return Ok(());
    }
    let found = own(db, viewer, authors, reacted).await?;
    let mut blocked: HashSet<(ChatId, UserId)> = HashSet::new();
    let mut reactions: HashSet<(ChatId, i64, String)> = HashSet::new();
    for Own { chat_id, author_id, message_seq, emoji } in found {
        blocked.extend(author_id.map(|author| (chat_id, author)));
        reactions.extend(message_seq.zip(emoji).map(|(seq, emoji)| (chat_id, seq, emoji)));
    }
    for message in messages {
        let (chat, seq) = (message.chat_id, message.seq);
        message.screen(|author| blocked.contains(&(chat, author)));
        for reaction in &mut message.reactions {
            reaction.me = reactions.contains(&(chat, seq, reaction.emoji.clone()));
        }
    }
    Ok(())
}

async fn own(
    db: impl PgExecutor<'_>,
    viewer: UserId,
    authors: HashSet<(ChatId, UserId)>,
    reacted: Vec<(ChatId, i64)>,
) -> Result<Vec<Own>> {
    let (of_authors, authors): (Vec<ChatId>, Vec<UserId>) = authors.into_iter().unzip();
    let (of_reacted, reacted): (Vec<ChatId>, Vec<i64>) = reacted.into_iter().unzip();
    let found = sqlx::query_as(
        "select i.chat_id, i.author_id, null::int8 as message_seq, null::text as emoji
         from unnest($2::uuid[], $3::uuid[]) i (chat_id, author_id)
         join user_blocks b on b.blocker_id = $1 and b.blocked_id = i.author_id
         join chats c on c.id = i.chat_id and c.kind = 'group'
         union all
         select r.chat_id, null, r.message_seq, r.emoji
         from unnest($4::uuid[], $5::int8[]) place (chat_id, seq)
         join message_reactions r
           on r.chat_id = place.chat_id and r.user_id = $1 and r.message_seq = place.seq",
    )
    .bind(viewer)
    .bind(of_authors)
    .bind(authors)
    .bind(of_reacted)
    .bind(reacted)
    .fetch_all(db)
    .await?;
    Ok(found)
}

/// Of these users, who does not want others to know that they are typing.
pub async fn quiet_typists(db: impl PgExecutor<'_>, users: &[UserId]) -> Result<HashSet<UserId>> {
    let quiet: Vec<UserId> =
        sqlx::query_scalar("select id from users where id = any($1) and not privacy_typing")
            .bind(users)
            .fetch_all(db)
            .await?;
    Ok(quiet.into_iter().collect())
}

/// Notes that the blocks or the privacy of these users changed, in the transaction that changes
/// them.
pub async fn note_change(db: &mut PgConnection, users: &[UserId]) -> Result<()> {
    // In one order, since two who block each other at once would else wait for one another.
    sqlx::query(
        "insert into visibility_changes (user_id, changed_at)
         select id, clock_timestamp()
         from unnest($1::uuid[]) id
         order by id
         on conflict (user_id) do update set changed_at = excluded.changed_at",
    )
    .bind(users)
    .execute(db)
    .await?;
    Ok(())
}

/// Whose blocks or privacy changed within the last `seconds`, and when.
pub async fn changed_within(
    db: impl PgExecutor<'_>,
    seconds: f64,
) -> Result<Vec<(UserId, OffsetDateTime)>> {
    let changed = sqlx::query_as(
        "select user_id, changed_at
         from visibility_changes
         where changed_at > now() - make_interval(secs => $1)
         order by changed_at desc
         limit $2",
    )
    .bind(seconds)
    .bind(CHANGES)
    .fetch_all(db)
    .await?;
    Ok(changed)
}
