//! Publishing what is committed: one `out` entry a partition and batch.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bytes::BytesMut;
use fred::error::Error;
use fred::interfaces::StreamsInterface;
use futures_util::future::{join, join_all};

use super::decide::Decision;
use crate::error::Result;
use crate::log::command::{AnswerTo, Command};
use crate::log::entry::{ANSWERS, Answer, COVERS, EVENTS, Published, encode_answer};
use crate::log::shard::Shards;
use crate::log::stream::StreamId;
use crate::model::event::{Event, EventKind};
use crate::model::id::ChatId;
use crate::store::{Pool, events};

/// An entry to be published.
pub(super) struct Entry {
    pub(super) partition: u16,
    /// `<fence>-<n>`.
    pub(super) id: StreamId,
    /// The last `in` id that it covers.
    pub(super) covers: StreamId,
    pub(super) events: BytesMut,
    pub(super) answers: BytesMut,
    /// Where messages were made, changed or deleted.
    pub(super) changed: Vec<(ChatId, i64)>,
    /// Up to where `in` may be trimmed: what an entry before this one covers, since this one may
    /// fail, and what it covers is then read again.
    pub(super) trim_to: Option<StreamId>,
}

impl Entry {
    /// Adds what a command came to. Returns what must be read from Postgres to be published again.
    pub(super) fn add(
        &mut self,
        command: &Command,
        decision: Decision,
    ) -> Option<(ChatId, RangeInclusive<i64>)> {
        let again = match &decision {
            Decision::Again(seqs, _) => Some((command.chat, seqs.clone())),
            _ => None,
        };
        match decision {
            Decision::New(events, answer) => {
                for event in &events {
                    if is_about_a_message(event) {
                        self.changed.push((event.chat, event.seq));
                    }
                    Published::of(event).encode(&mut self.events);
                }
                self.answer(command.answer_to, &answer);
            }
            Decision::Again(_, answer) | Decision::Nothing(answer) => {
                self.answer(command.answer_to, &answer);
            }
            Decision::Refused(refusal) => self.answer(command.answer_to, &Answer::Refused(refusal)),
            Decision::FenceLost => unreachable!("its partition publishes nothing"),
        }
        again
    }

    pub(super) fn answer(&mut self, to: AnswerTo, answer: &Answer) {
        encode_answer(&mut self.answers, to, answer);
    }
}

/// Whether it makes, changes or removes a text.
fn is_about_a_message(event: &Event) -> bool {
    matches!(
        event.change.kind(),
        EventKind::MessageCreated | EventKind::MessageEdited | EventKind::MessageDeleted
    )
}

/// The events that were committed before, perhaps without being published, made again. Readers that
/// have them drop them by their seq.
pub(super) async fn repeated(pool: &Pool, again: &[(ChatId, i64)]) -> Result<Vec<Published>> {
    let mut by_chat: HashMap<ChatId, Vec<i64>> = HashMap::new();
    for (chat, seq) in again {
        by_chat.entry(*chat).or_default().push(*seq);
    }
    let mut published = Vec::with_capacity(again.len());
    let mut connection = pool.acquire().await?;
    for (chat, seqs) in by_chat {
        let events = events::load(&mut connection, chat, &seqs).await?;
        published.extend(events.iter().map(Published::of));
    }
    Ok(published)
}

/// Publishes entries of different partitions; tells of each whether it is out.
pub(super) async fn publish(
    shards: &Shards,
    tail: u64,
    entries: Vec<Entry>,
) -> Vec<(u16, StreamId, Result<(), Error>)> {
    join_all(entries.into_iter().map(|entry| publish_one(shards, tail, entry))).await
}

async fn publish_one(
    shards: &Shards,
    tail: u64,
    entry: Entry,
) -> (u16, StreamId, Result<(), Error>) {
    let client = &shards.of(entry.partition).client;
    let mut fields = Vec::with_capacity(3);
    if !entry.events.is_empty() {
        fields.push((EVENTS, entry.events.freeze()));
    }
    if !entry.answers.is_empty() {
        fields.push((ANSWERS, entry.answers.freeze()));
    }
    fields.push((COVERS, entry.covers.to_string().into()));
    let cap = ("MAXLEN", "~", tail.cast_signed());
    let key = shards.keys.output(entry.partition);
    let add = client.xadd::<(), _, _, _, _>(key, false, cap, entry.id.to_string(), fields);
    let added = match entry.trim_to {
        Some(id) => {
            let input = shards.keys.input(entry.partition);
            let trim = client.xtrim::<u64, _, _>(input, ("MINID", "~", id.to_string()));
            let (added, trimmed) = join(add, trim).await;
            if let Err(error) = trimmed {
                tracing::debug!(%error, partition = entry.partition, "in was not trimmed");
            }
            added
        }
        None => add.await,
    };
    (entry.partition, entry.covers, added)
}
