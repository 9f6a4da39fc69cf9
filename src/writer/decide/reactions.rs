//! Reactions that come and go.

use sqlx::PgConnection;

use super::Decision;
use crate::log::command::Command;
use crate::log::entry::{Answer, Refusal};
use crate::model::chat::ChatAction;
use crate::model::event::{Change, Event, EventKind, Reacting};
use crate::model::id::MessageId;
use crate::model::message::{OWN_REACTIONS, REACTIONS};
use crate::store::changes;
use crate::store::events::EventData;
use crate::store::reactions::{self, Effect, Standing, Tally};

pub(in crate::writer) async fn add(
    db: &mut PgConnection,
    command: &Command,
    message: MessageId,
    emoji: &str,
) -> Result<Decision, sqlx::Error> {
    let standing =
        reactions::standing(&mut *db, command.chat, command.actor, message, emoji).await?;
    let subject = match subject(standing) {
        Ok(subject) => subject,
        Err(refusal) => return Ok(Decision::Refused(refusal)),
    };
    if let Some(seq) = subject.added_seq {
        return Ok(Decision::Nothing(Answer::Done { seq, again: true }));
    }
    if let Some(refusal) = why_not(&subject, emoji) {
        return Ok(Decision::Refused(refusal));
    }
    let (tallies, count) = with(subject.tallies, emoji);
    let reacting = reacting(message, subject.message_seq, emoji, count);
    let seq = add_event(db, command, EventKind::ReactionAdded, &reacting).await?;
    reactions::add(&mut *db, effect(command, &reacting, &tallies, seq)).await?;
    Ok(decided(command, seq, Change::ReactionAdded(reacting)))
}

/// One's own reaction can be taken back at any time, as one's own words can: also over a block. What
/// is not there need not be removed, as at a deleted message.
pub(in crate::writer) async fn remove(
    db: &mut PgConnection,
    command: &Command,
    message: MessageId,
    emoji: &str,
) -> Result<Decision, sqlx::Error> {
    let standing =
        reactions::standing(&mut *db, command.chat, command.actor, message, emoji).await?;
    let subject = match subject(standing) {
        Ok(subject) => subject,
        Err(refusal) => return Ok(Decision::Refused(refusal)),
    };
    if subject.added_seq.is_none() {
        return Ok(Decision::Nothing(Answer::Done { seq: subject.changed_seq, again: true }));
    }
    let (tallies, count) = without(subject.tallies, emoji);
    let reacting = reacting(message, subject.message_seq, emoji, count);
    let seq = add_event(db, command, EventKind::ReactionRemoved, &reacting).await?;
    reactions::remove(&mut *db, effect(command, &reacting, &tallies, seq)).await?;
    Ok(decided(command, seq, Change::ReactionRemoved(reacting)))
}

/// A message that the actor can see, and what of it matters here.
struct Subject {
    message_seq: i64,
    changed_seq: i64,
    is_deleted: bool,
    closed: bool,
    tallies: Vec<Tally>,
    added_seq: Option<i64>,
    others: i64,
}

fn subject(standing: Option<Standing>) -> Result<Subject, Refusal> {
    let standing = standing.ok_or(Refusal::NoChat)?;
    if !standing.role.may(ChatAction::React) {
        return Err(Refusal::NotAllowed);
    }
    let seqs = standing.message_seq.zip(standing.changed_seq);
    let (message_seq, changed_seq) = seqs.ok_or(Refusal::NoMessage)?;
    Ok(Subject {
        message_seq,
        changed_seq,
        is_deleted: standing.is_deleted.unwrap_or(false),
        closed: standing.closed,
        tallies: standing.reactions.map(|reactions| reactions.0).unwrap_or_default(),
        added_seq: standing.added_seq,
        others: standing.others,
    })
}

fn why_not(subject: &Subject, emoji: &str) -> Option<Refusal> {
    let is_new = subject.tallies.iter().all(|tally| tally.emoji != emoji);
    if subject.closed {
        Some(Refusal::Blocked)
    } else if subject.is_deleted {
        Some(Refusal::Deleted)
    } else if is_new && subject.tallies.len() >= REACTIONS {
        Some(Refusal::TooManyReactions)
    } else if subject.others >= OWN_REACTIONS {
        Some(Refusal::TooManyOwnReactions)
    } else {
        None
    }
}

/// The counts with one more, and how many have this emoji then.
fn with(mut tallies: Vec<Tally>, emoji: &str) -> (Vec<Tally>, i64) {
    if let Some(tally) = tallies.iter_mut().find(|tally| tally.emoji == emoji) {
        tally.count += 1;
        let count = tally.count;
        return (tallies, count);
    }
    tallies.push(Tally { emoji: emoji.to_owned(), count: 1 });
    (tallies, 1)
}

/// The counts with one less: an emoji that nobody has any more is gone.
fn without(mut tallies: Vec<Tally>, emoji: &str) -> (Vec<Tally>, i64) {
    let mut count = 0;
    if let Some(tally) = tallies.iter_mut().find(|tally| tally.emoji == emoji) {
        tally.count -= 1;
        count = tally.count;
    }
    tallies.retain(|tally| tally.count > 0);
    (tallies, count)
}

fn reacting(message_id: MessageId, message_seq: i64, emoji: &str, count: i64) -> Reacting {
    Reacting { message_id, message_seq, emoji: emoji.to_owned(), count }
}

async fn add_event(
    db: &mut PgConnection,
    command: &Command,
    kind: EventKind,
    reacting: &Reacting,
) -> Result<i64, sqlx::Error> {
    let data = EventData {
        message_seq: Some(reacting.message_seq),
        message_id: Some(reacting.message_id),
        emoji: Some(reacting.emoji.clone()),
        count: Some(reacting.count),
        ..EventData::default()
    };
    changes::add_event(db, command.chat, command.id, command.actor, kind, data).await
}

fn effect<'a>(
    command: &Command,
    reacting: &'a Reacting,
    tallies: &'a [Tally],
    seq: i64,
) -> Effect<'a> {
    Effect {
        chat: command.chat,
        message_seq: reacting.message_seq,
        user: command.actor,
        emoji: &reacting.emoji,
        tallies,
        seq,
    }
}

fn decided(command: &Command, seq: i64, change: Change) -> Decision {
    Decision::done(vec![Event { chat: command.chat, seq, actor: command.actor, change }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tallies: &[Tally]) -> Vec<(&str, i64)> {
        tallies.iter().map(|tally| (tally.emoji.as_str(), tally.count)).collect()
    }

    #[test]
    fn counts_keep_the_order_in_which_emoji_came() {
        let (tallies, count) = with(Vec::new(), "a");
        assert_eq!(count, 1);
        let (tallies, _) = with(tallies, "b");
        let (tallies, count) = with(tallies, "a");
        assert_eq!((shown(&tallies), count), (vec![("a", 2), ("b", 1)], 2));
        let (tallies, count) = without(tallies, "a");
        assert_eq!(count, 1);
        let (tallies, count) = without(tallies, "a");
        assert_eq!((shown(&tallies), count), (vec![("b", 1)], 0));
        let (tallies, _) = with(tallies, "a");
        assert_eq!(shown(&tallies), [("b", 1), ("a", 1)], "it comes back behind the others");
        assert_eq!(without(tallies, "c").1, 0);
    }
}
