//! Members who come, go, and change their roles.

use sqlx::PgConnection;

use super::Decision;
use crate::log::command::Command;
use crate::log::entry::{Answer, Refusal};
use crate::model::chat::{ChatAction, ChatKind, Role};
use crate::model::event::{Change, Event, EventKind, Joining};
use crate::model::id::{CommandId, UserId};
use crate::store::events::{self, EventData};
use crate::store::memberships::{self, Seat};
use crate::store::{changes, invites, members, visibility};

/// Members of a group, at the most: beyond it nobody joins or is added.
const MOST: i32 = 100_000;

/// The actor's seat in a group where they may do this, or why not.
pub(super) async fn seat_for(
    db: &mut PgConnection,
    command: &Command,
    action: ChatAction,
) -> Result<Result<Seat, Refusal>, sqlx::Error> {
    let seat = memberships::seat(&mut *db, command.chat, command.actor).await?;
    Ok(match seat {
        None => Err(Refusal::NoChat),
        Some(seat) if seat.kind == ChatKind::Direct => Err(Refusal::NotAGroup),
        Some(seat) if !seat.role.may(action) => Err(Refusal::NotAllowed),
        Some(seat) => Ok(seat),
    })
}

macro_rules! seat_for {
    ($db:expr, $command:expr, $action:expr) => {
        match seat_for($db, $command, $action).await? {
            Ok(seat) => seat,
            Err(refusal) => return Ok(Decision::Refused(refusal)),
        }
    };
}

/// All of them or none: whoever is in already stays as they are.
pub(in crate::writer) async fn add(
    db: &mut PgConnection,
    command: &Command,
    users: &[UserId],
) -> Result<Decision, sqlx::Error> {
    let seat = seat_for!(db, command, ChatAction::AddMembers);
    let mut wanted = users.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let coming = memberships::absent(&mut *db, command.chat, &wanted).await?;
    if coming.is_empty() {
        return Ok(Decision::Nothing(Answer::Done { seq: seat.last_seq, again: true }));
    }
    if is_full(&seat, coming.len()) {
        return Ok(Decision::Refused(Refusal::Full));
    }
    if !visibility::may_add(&mut *db, command.actor, &coming).await? {
        return Ok(Decision::Refused(Refusal::Blocked));
    }
    memberships::lift_bans(&mut *db, command.chat, &coming).await?;
    joined(db, command, &coming).await
}

fn is_full(seat: &Seat, coming: usize) -> bool {
    let coming = i32::try_from(coming).unwrap_or(i32::MAX);
    seat.member_count.saturating_add(coming) > MOST
}

/// By an invite link. The use is counted here, one command after the other, so that the last use of
/// a link is taken once.
pub(in crate::writer) async fn join(
    db: &mut PgConnection,
    command: &Command,
    code: &str,
) -> Result<Decision, sqlx::Error> {
    let (chat, user) = (command.chat, command.actor);
    if let Some(seat) = memberships::seat(&mut *db, chat, user).await? {
        return Ok(Decision::Nothing(Answer::Done { seq: seat.last_seq, again: true }));
    }
    if memberships::is_banned(&mut *db, chat, user).await? {
        return Ok(Decision::Refused(Refusal::Banned));
    }
    let count = memberships::open_group(&mut *db, chat).await?;
    let Some(count) = count else { return Ok(Decision::Refused(Refusal::NoInvite)) };
    if count >= MOST {
        return Ok(Decision::Refused(Refusal::Full));
    }
    if !invites::take_use(&mut *db, chat, code).await? {
        return Ok(Decision::Refused(Refusal::NoInvite));
    }
    joined(db, command, &[user]).await
}

async fn joined(
    db: &mut PgConnection,
    command: &Command,
    coming: &[UserId],
) -> Result<Decision, sqlx::Error> {
    // The first event bears the command's id, by which a repetition finds it and what came with it.
    let mut ids = vec![command.id];
    ids.resize_with(coming.len(), CommandId::new);
    let mut seqs = memberships::join(&mut *db, command.chat, command.actor, coming, &ids).await?;
    seqs.sort_unstable();
    let chat = shared(db, command).await?;
    let events = coming.iter().zip(seqs).map(|(user, seq)| {
        let joining = Joining { user: *user, role: Role::Member, chat: chat.clone() };
        event(command, seq, Change::MemberJoined(Box::new(joining)))
    });
    Ok(Decision::done(events.collect()))
}

/// Whoever owns the chat hands it over first, so that it has an owner at any time; the last one out
/// ends it.
pub(in crate::writer) async fn leave(
    db: &mut PgConnection,
    command: &Command,
) -> Result<Decision, sqlx::Error> {
    let seat = seat_for!(db, command, ChatAction::Leave);
    let (chat, user) = (command.chat, command.actor);
    let mut events = Vec::with_capacity(2);
    let mut id = command.id;
    let heir = match seat.role {
        Role::Owner => memberships::heir(&mut *db, chat, user).await?,
        _ => None,
    };
    if let Some(heir) = heir {
        let data = EventData { last_seq: Some(seat.last_seq + 2), ..EventData::default() };
        events.push(give_role(db, (command, id), heir, Role::Owner, data).await?);
        id = CommandId::new();
    }
    events.push(let_go(db, (command, id), user).await?);
    if seat.member_count == 1 {
        changes::end_chat(&mut *db, chat).await?;
    }
    Ok(Decision::done(events))
}

pub(in crate::writer) async fn remove(
    db: &mut PgConnection,
    command: &Command,
    user: UserId,
    ban: bool,
) -> Result<Decision, sqlx::Error> {
    let seat = seat_for!(db, command, ChatAction::Remove);
    let chat = command.chat;
    let role = members::role(&mut *db, chat, user).await?;
    if role.is_some_and(|role| role >= seat.role) {
        return Ok(Decision::Refused(Refusal::NotAllowed));
    }
    let bannable = role.is_some() || memberships::was_member(&mut *db, chat, user).await?;
    if ban && bannable {
        memberships::ban(&mut *db, chat, user, command.actor).await?;
    }
    if role.is_some() {
        let left = let_go(db, (command, command.id), user).await?;
        Ok(Decision::done(vec![left]))
    } else if ban && bannable {
        Ok(Decision::Nothing(Answer::Done { seq: seat.last_seq, again: false }))
    } else {
        Ok(Decision::Refused(Refusal::NoMember))
    }
}

/// Nobody acts on an equal or higher role, nor gives one that is not below their own; but for the
/// owner, who may hand over and becomes an admin by that.
pub(in crate::writer) async fn change_role(
    db: &mut PgConnection,
    command: &Command,
    user: UserId,
    role: Role,
) -> Result<Decision, sqlx::Error> {
    let action = if role == Role::Owner { ChatAction::HandOver } else { ChatAction::GiveRoles };
    let seat = seat_for!(db, command, action);
    let Some(former) = members::role(&mut *db, command.chat, user).await? else {
        return Ok(Decision::Refused(Refusal::NoMember));
    };
    if former >= seat.role || (role >= seat.role && role != Role::Owner) {
        return Ok(Decision::Refused(Refusal::NotAllowed));
    }
    if former == role {
        return Ok(Decision::Nothing(Answer::Done { seq: seat.last_seq, again: true }));
    }
    if role != Role::Owner {
        let given = give_role(db, (command, command.id), user, role, EventData::default()).await?;
        return Ok(Decision::done(vec![given]));
    }
    let data = EventData { last_seq: Some(seat.last_seq + 2), ..EventData::default() };
    let given = give_role(db, (command, command.id), user, role, data).await?;
    let by = (command, CommandId::new());
    let kept = give_role(db, by, command.actor, Role::Admin, EventData::default()).await?;
    Ok(Decision::done(vec![given, kept]))
}

async fn give_role(
    db: &mut PgConnection,
    (command, id): (&Command, CommandId),
    user: UserId,
    role: Role,
    data: EventData,
) -> Result<Event, sqlx::Error> {
    let data = EventData { user_id: Some(user), role: Some(role), ..data };
    let (chat, kind) = (command.chat, EventKind::MemberRoleChanged);
    let seq = changes::add_event(&mut *db, chat, id, command.actor, kind, data).await?;
    memberships::set_role(&mut *db, chat, user, role, seq).await?;
    Ok(event(command, seq, Change::MemberRoleChanged { user, role }))
}

async fn let_go(
    db: &mut PgConnection,
    (command, id): (&Command, CommandId),
    user: UserId,
) -> Result<Event, sqlx::Error> {
    let data = EventData { user_id: Some(user), ..EventData::default() };
    let (chat, kind) = (command.chat, EventKind::MemberLeft);
    let seq = changes::add_event(&mut *db, chat, id, command.actor, kind, data).await?;
    memberships::leave(&mut *db, chat, user, seq).await?;
    Ok(event(command, seq, Change::MemberLeft { user }))
}

fn event(command: &Command, seq: i64, change: Change) -> Event {
    Event { chat: command.chat, seq, actor: command.actor, change }
}

pub(super) async fn shared(
    db: &mut PgConnection,
    command: &Command,
) -> Result<crate::model::chat::SharedChat, sqlx::Error> {
    let chat = events::shared(db, command.chat).await;
    chat.map_err(|error| sqlx::Error::Decode(error.into()))
}
