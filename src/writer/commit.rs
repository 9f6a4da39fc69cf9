//! One transaction: a batch's commands decided, numbered and stored, or nothing of it.
//!
//! Sends are stored in bulk, all else one at a time. Per chat the commands keep their order: a
//! chat's sends behind an edit of that chat come in a later *layer* than those before it. Between
//! chats no order is promised, so most batches are one layer.

use std::collections::HashMap;

use sqlx::{Acquire, PgConnection};

use super::decide::{self, Decision, messages::Send};
use crate::log::command::{Action, Command};
use crate::model::id::ChatId;
use crate::store::{Pool, partitions, sends};

/// A command of a batch, with its partition.
pub(super) struct Incoming {
    pub(super) partition: u16,
    pub(super) command: Command,
}

/// Commits a batch under these (partition, fence); the decisions are in the batch's order.
///
/// # Errors
/// The outcome is that nothing was committed, or unknown where the connection broke.
pub(super) async fn commit(
    pool: &Pool,
    terms: &[(i16, i64)],
    batch: &[Incoming],
) -> Result<Vec<Decision>, sqlx::Error> {
    let mut decisions: Vec<Option<Decision>> = batch.iter().map(|_| None).collect();
    let mut connection = pool.acquire().await?;
    let decided = if one_statement_does(batch) {
        let all: Vec<Send<'_>> = sends_of(batch, 0..batch.len());
        decide::messages::send_all(&mut connection, terms, &all).await?
    } else {
        let mut transaction = connection.begin().await?;
        let decided = decide_in_layers(&mut transaction, terms, batch).await?;
        transaction.commit().await?;
        decided
    };
    for (index, decision) in decided {
        decisions[index] = Some(decision);
    }
    Ok(decisions.into_iter().map(|decision| decision.unwrap_or(Decision::FenceLost)).collect())
}

/// Sends that answer nothing need one statement, which is a transaction by itself.
fn one_statement_does(batch: &[Incoming]) -> bool {
    batch.iter().all(|incoming| match &incoming.command.action {
        Action::Send(draft) => draft.reply_to.is_none(),
        _ => false,
    })
}

fn sends_of(batch: &[Incoming], places: impl IntoIterator<Item = usize>) -> Vec<Send<'_>> {
    let sends = places.into_iter().filter_map(|index| {
        let Incoming { partition, command } = &batch[index];
        match &command.action {
            Action::Send(draft) => Some(Send { index, partition: *partition, command, draft }),
            _ => None,
        }
    });
    sends.collect()
}

async fn decide_in_layers(
    db: &mut PgConnection,
    terms: &[(i16, i64)],
    batch: &[Incoming],
) -> Result<Vec<(usize, Decision)>, sqlx::Error> {
    let held = partitions::hold(&mut *db, terms)
        .await
        .map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
    let mut decisions = Vec::with_capacity(batch.len());
    for layer in layers(batch) {
        let sends = sends_of(batch, layer.sends);
        if !sends.is_empty() {
            let decided = decide::messages::send_all(&mut *db, terms, &sends).await?;
            let answers = decide::messages::answers(&decided);
            if !answers.is_empty() {
                sends::count_answers(&mut *db, &answers).await?;
            }
            decisions.extend(decided);
        }
        for index in layer.others {
            let Incoming { partition, command } = &batch[index];
            if held.contains(&partition.cast_signed()) {
                decisions.push((index, decide::one(&mut *db, *partition, command).await?));
            }
        }
    }
    Ok(decisions)
}

/// Commands that can be done together, by their places in the batch: first the sends, then the
/// others, of each chat at most one.
#[derive(Debug, Default, PartialEq)]
struct Layer {
    sends: Vec<usize>,
    others: Vec<usize>,
}

fn layers(batch: &[Incoming]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut reached: HashMap<ChatId, usize> = HashMap::new();
    for (index, incoming) in batch.iter().enumerate() {
        let layer = reached.entry(incoming.command.chat).or_default();
        if layers.len() <= *layer {
            layers.resize_with(*layer + 1, Layer::default);
        }
        if matches!(incoming.command.action, Action::Send(_)) {
            layers[*layer].sends.push(index);
        } else {
            layers[*layer].others.push(index);
            *layer += 1;
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::log::command::{AnswerTo, Draft};
    use crate::model::id::{CommandId, MessageId, UserId};

    fn incoming(chat: u128, edit: bool) -> Incoming {
        let message_id = MessageId::new();
        let body = String::from("x");
        let action = if edit {
            Action::Edit { message_id, body }
        } else {
            Action::Send(Draft { message_id, body, reply_to: None, mentions: vec![] })
        };
        let command = Command {
            id: CommandId::new(),
            chat: ChatId(Uuid::from_u128(chat)),
            actor: UserId::new(),
            answer_to: AnswerTo { node: 0, request: 0 },
            action,
        };
        Incoming { partition: 0, command }
    }

    #[test]
    fn a_chats_commands_keep_their_order_and_other_chats_do_not_wait() {
        let (a, b) = (1, 2);
        let batch = [
            incoming(a, false),
            incoming(b, false),
            incoming(a, true),
            incoming(b, false),
            incoming(a, true),
            incoming(a, false),
        ];
        let expected = [
            Layer { sends: vec![0, 1, 3], others: vec![2] },
            Layer { sends: vec![], others: vec![4] },
            Layer { sends: vec![5], others: vec![] },
        ];
        assert_eq!(layers(&batch), expected);
        assert!(!one_statement_does(&batch));
        assert!(one_statement_does(&batch[..2]));
    }
}
