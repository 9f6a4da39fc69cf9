//! What a writer stores when members come, go and change their roles, inside its batch's
//! transaction. Reading is in [`super::members`].

use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::model::chat::{ChatKind, Role};
use crate::model::id::{ChatId, CommandId, UserId};

/// A chat, and how the actor of a command stands in it.
#[derive(FromRow)]
pub struct Seat {
    #[sqlx(try_from = "String")]
    pub role: Role,
    #[sqlx(try_from = "String")]
    pub kind: ChatKind,
    pub member_count: i32,
    pub last_seq: i64,
}

/// The seat of a present member.
pub async fn seat(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
) -> Result<Option<Seat>, sqlx::Error> {
    sqlx::query_as(
        "select m.role, c.kind, c.member_count, c.last_seq
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.chat_id = $1 and m.user_id = $2 and m.left_seq is null and c.deleted_at is null",
    )
    .bind(chat)
    .bind(user)
    .fetch_optional(db)
    .await
}

/// How many members a group has; `None` where there is no such group.
pub async fn open_group(db: impl PgExecutor<'_>, chat: ChatId) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar(
        "select member_count
         from chats
         where id = $1 and kind = 'group' and deleted_at is null",
    )
    .bind(chat)
    .fetch_optional(db)
    .await
}

/// Those of `users` who exist and are not in the chat, in the order given.
pub async fn absent(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    users: &[UserId],
) -> Result<Vec<UserId>, sqlx::Error> {
    sqlx::query_scalar(
        "select u.id
         from unnest($2::uuid[]) with ordinality i (user_id, ord)
         join users u on u.id = i.user_id and u.deleted_at is null
         where not exists (
             select from chat_members m
             where m.chat_id = $1 and m.user_id = i.user_id and m.left_seq is null
         )
         order by i.ord",
    )
    .bind(chat)
    .bind(users)
    .fetch_all(db)
    .await
}

/// Lets people in who are not, each by an event of its own, in the order given; `commands` are the
/// ids of these events' commands. What was said before counts as read. Returns their seqs.
pub async fn join(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    actor: UserId,
    users: &[UserId],
    commands: &[CommandId],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "with chat as (
             update chats
             set last_seq = last_seq + cardinality($3::uuid[]),
                 member_count = member_count + cardinality($3::uuid[])
             where id = $1
             returning last_seq, last_seq - cardinality($3::uuid[]) as former_seq, message_count,
                       date_trunc('milliseconds', now()) as at
         ),
         coming as (
             select i.user_id, i.command_id, chat.former_seq + i.nth as seq, chat.last_seq,
                    chat.message_count, chat.at
             from unnest($3::uuid[], $4::uuid[]) with ordinality i (user_id, command_id, nth)
             cross join chat
         ),
         joined as (
             insert into chat_members (chat_id, user_id, role, joined_at, joined_seq, changed_seq,
                                       read_seq, read_count)
             select $1, user_id, 'member', at, seq, seq, seq, message_count
             from coming
             on conflict (chat_id, user_id) do update
             set role = 'member', joined_at = excluded.joined_at,
                 joined_seq = excluded.joined_seq, changed_seq = excluded.changed_seq,
                 left_seq = null, read_seq = excluded.read_seq, read_count = excluded.read_count,
                 pinned_at = null, muted_until = null
         )
         insert into chat_events (chat_id, seq, command_id, actor_id, kind, data, created_at)
         select $1, seq, command_id, $2, 'memberJoined',
                jsonb_build_object('userId', user_id, 'role', 'member', 'lastSeq', last_seq), at
         from coming
         returning seq",
    )
    .bind(chat)
    .bind(actor)
    .bind(users)
    .bind(commands)
    .fetch_all(db)
    .await
}

/// Takes a member out, by event `seq`.
pub async fn leave(
    db: &mut PgConnection,
    chat: ChatId,
    user: UserId,
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with gone as (
             update chat_members
             set left_seq = $3, changed_seq = $3
             where chat_id = $1 and user_id = $2
         )
         update chats
         set member_count = member_count - 1
         where id = $1",
    )
    .bind(chat)
    .bind(user)
    .bind(seq)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a member another role, by event `seq`.
pub async fn set_role(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
    role: Role,
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update chat_members
         set role = $3, changed_seq = $4
         where chat_id = $1 and user_id = $2",
    )
    .bind(chat)
    .bind(user)
    .bind(role.as_str())
    .bind(seq)
    .execute(db)
    .await?;
    Ok(())
}

/// Who becomes the owner when this one leaves: of the highest role, who has been there longest.
pub async fn heir(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    owner: UserId,
) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar(
        "select user_id
         from chat_members
         where chat_id = $1 and user_id <> $2 and left_seq is null
         order by array_position(array['admin', 'moderator', 'member'], role), joined_at, user_id
         limit 1",
    )
    .bind(chat)
    .bind(owner)
    .fetch_optional(db)
    .await
}

/// Whether somebody was ever a member.
pub async fn was_member(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from chat_members where chat_id = $1 and user_id = $2)",
    )
    .bind(chat)
    .bind(user)
    .fetch_one(db)
    .await
}

pub async fn ban(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
    by: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into chat_bans (chat_id, user_id, banned_by, created_at)
         values ($1, $2, $3, now())
         on conflict (chat_id, user_id) do nothing",
    )
    .bind(chat)
    .bind(user)
    .bind(by)
    .execute(db)
    .await?;
    Ok(())
}

/// Being added by an admin ends a ban.
pub async fn lift_bans(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    users: &[UserId],
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from chat_bans where chat_id = $1 and user_id = any($2)")
        .bind(chat)
        .bind(users)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn is_banned(
    db: impl PgExecutor<'_>,
    chat: ChatId,
    user: UserId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from chat_bans where chat_id = $1 and user_id = $2)")
        .bind(chat)
        .bind(user)
        .fetch_one(db)
        .await
}
