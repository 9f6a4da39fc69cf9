//! Where the messages are that a query asks for.

use sqlx::types::time::OffsetDateTime;
use sqlx::{FromRow, PgConnection, PgExecutor};

use super::lexemes::{Lookup, lookup};
use crate::error::{Error, Result};
use crate::model::id::{ChatId, UserId};
use crate::search::Query;

/// What a statement of a search may take, in ms, as Postgres wants it; then it is `unavailable`.
const TIME: &str = "1000";

/// Chats of a reader that are searched, at the most: the liveliest ones.
pub const CHATS: i64 = 10_000;

/// Messages that one round of the walk looks at, about, and all rounds together.
const ROUND: usize = 4_000;
const WALK: usize = 16_000;
/// How many of them a chat is read at once, at the least; with each round four times as many.
const DEPTH: usize = 4;
const DEEPER: usize = 4;
/// Found in the first round, at the least, for a second: what is rarer is better looked up.
const WORTH_WALKING: usize = 8;
/// Chats that one look into the index asks for.
const AT_ONCE: usize = 32;

/// Which messages of the reader's.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    pub viewer: UserId,
    pub query: &'a Query,
    pub chat: Option<ChatId>,
    pub from: Option<UserId>,
    /// Both exclusive.
    pub after: Option<OffsetDateTime>,
    pub before: Option<OffsetDateTime>,
    pub has_file: bool,
}

/// Where a message stands among all of a reader's: by time, then by chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub struct Place {
    pub created_at: OffsetDateTime,
    pub chat_id: ChatId,
    pub seq: i64,
}

/// Up to `limit` places of messages that seem to be what is asked for, the newest first, behind
/// `after`. Wants a snapshot of its own, which it gives its limits.
///
/// # Errors
/// `NotFound` where the reader is not in the chat that is named; `Unavailable`, also where it takes
/// too long.
pub async fn find(
    db: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<Place>> {
    let hides = begin(&mut *db, filter.viewer).await?;
    let chats = chats(&mut *db, filter).await?;
    if chats.is_empty() && filter.chat.is_some() {
        return Err(Error::NotFound("chat"));
    }
    let newest = Place {
        created_at: filter.before.unwrap_or(FAR),
        // Before the first place of that moment.
        chat_id: ChatId(uuid::Uuid::nil()),
        seq: 0,
    };
    let from = after.map_or(newest, |after| after.min(newest));
    let mut search = Search { filter, hides, from, chats: Vec::new(), found: Vec::new(), read: 0 };
    search.chats = chats.into_iter().map(|chat| search.at_start(chat)).collect();
    search.run(db, limit).await
}

/// Later than any message, and within what Postgres can hold.
const FAR: OffsetDateTime =
    sqlx::types::time::OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::days(365 * 5_000));

/// Sets the transaction's limits; tells whether the viewer blocks anybody.
async fn begin(db: impl PgExecutor<'_>, viewer: UserId) -> Result<bool> {
    let (hides, ..): (bool, String, String, String) = sqlx::query_as(
        "select exists (select from user_blocks where blocker_id = $1),
                set_config('statement_timeout', $2, true),
                set_config('enable_seqscan', 'off', true),
                set_config('jit', 'off', true)",
    )
    .bind(viewer)
    .bind(TIME)
    .fetch_one(db)
    .await?;
    Ok(hides)
}

/// Makes the planner walk along the key, whose order is that of time, or go by the index of words; it
/// cannot know how much a chat, or a word, has.
async fn prepare(db: impl PgExecutor<'_>, is_walk: bool) -> Result<()> {
    let switch = if is_walk { "off" } else { "on" };
    sqlx::query(
        "select set_config('enable_bitmapscan', $1, true), set_config('enable_sort', $1, true)",
    )
    .bind(switch)
    .execute(db)
    .await?;
    Ok(())
}

async fn chats(db: impl PgExecutor<'_>, filter: Filter<'_>) -> Result<Vec<ChatId>> {
    let chats = sqlx::query_scalar(
        "select c.id
         from chat_members m
         join chats c on c.id = m.chat_id
         where m.user_id = $1
           and m.left_seq is null
           and c.deleted_at is null
           and ($2::uuid is null or m.chat_id = $2)
         order by c.last_activity_at desc
         limit $3",
    )
    .bind(filter.viewer)
    .bind(filter.chat)
    .bind(CHATS)
    .fetch_all(db)
    .await?;
    Ok(chats)
}

/// A chat on the walk: all above this place was looked at.
struct Walked {
    lookup: Lookup,
    at: Place,
    is_at_end: bool,
}

struct Search<'a> {
    filter: Filter<'a>,
    /// Whether there is anybody whose messages must not be found.
    hides: bool,
    /// What is found lies behind this.
    from: Place,
    chats: Vec<Walked>,
    found: Vec<Place>,
    /// Messages looked at.
    read: usize,
}

/// What a round of the walk saw of one chat.
#[derive(FromRow)]
struct Stretch {
    /// The place of the chat among those asked for, from 1.
    ord: i64,
    read: i64,
    last_at: Option<OffsetDateTime>,
    last_seq: Option<i64>,
    found_at: Option<Vec<OffsetDateTime>>,
    found_seqs: Option<Vec<i64>>,
}

impl Search<'_> {
    fn at_start(&self, chat: ChatId) -> Walked {
        let Filter { query, from, has_file, .. } = self.filter;
        let Place { created_at, chat_id, seq } = self.from;
        // Of the chats of one moment the lower ids come later.
        let seq = match chat.cmp(&chat_id) {
            std::cmp::Ordering::Less => i64::MAX,
            std::cmp::Ordering::Equal => seq,
            std::cmp::Ordering::Greater => i64::MIN,
        };
        let at = Place { created_at, chat_id: chat, seq };
        Walked { lookup: lookup(query, chat, from, has_file), at, is_at_end: false }
    }

    async fn run(mut self, db: &mut PgConnection, limit: usize) -> Result<Vec<Place>> {
        prepare(&mut *db, true).await?;
        let mut depth = (ROUND / self.chats.len().max(1)).max(DEPTH);
        let mut next: Vec<usize> = (0..self.chats.len()).collect();
        while !next.is_empty() {
            self.walk(&mut *db, &next, depth).await?;
            // All above it has been looked at, in every chat.
            let seen_to = self.open().map(|chat| chat.at).max();
            let is_seen = |place: &Place| seen_to.is_none_or(|to| *place >= to);
            let found = self.found.iter().filter(|place| is_seen(place)).count();
            if found >= limit || seen_to.is_none() {
                self.found.retain(is_seen);
                return Ok(newest(self.found, limit));
            }
            if self.read >= WALK || self.found.len() < WORTH_WALKING {
                break;
            }
            depth *= DEEPER;
            next = self.next_round(depth);
        }
        prepare(&mut *db, false).await?;
        let found = self.look_up(db, limit).await?;
        Ok(newest(found, limit))
    }

    fn open(&self) -> impl Iterator<Item = &Walked> {
        self.chats.iter().filter(|chat| !chat.is_at_end)
    }

    /// The chats whose next messages are likely to be the newest.
    fn next_round(&self, depth: usize) -> Vec<usize> {
        let mut open: Vec<usize> =
            (0..self.chats.len()).filter(|index| !self.chats[*index].is_at_end).collect();
        open.sort_unstable_by_key(|index| std::cmp::Reverse(self.chats[*index].at));
        open.truncate((ROUND / depth).max(1));
        open
    }

    /// Reads these chats further back.
    async fn walk(&mut self, db: impl PgExecutor<'_>, next: &[usize], depth: usize) -> Result<()> {
        let chats: Vec<&Walked> = next.iter().map(|index| &self.chats[*index]).collect();
        let stretches: Vec<Stretch> = sqlx::query_as(include_str!("walk.sql"))
            .bind(self.filter.viewer)
            .bind(chats.iter().map(|chat| chat.at.chat_id).collect::<Vec<_>>())
            .bind(chats.iter().map(|chat| chat.at.created_at).collect::<Vec<_>>())
            .bind(chats.iter().map(|chat| chat.at.seq).collect::<Vec<_>>())
            .bind(chats.iter().map(|chat| chat.lookup.words.as_str()).collect::<Vec<_>>())
            .bind(chats.iter().map(|chat| chat.lookup.phrases.as_deref()).collect::<Vec<_>>())
            .bind(i64::try_from(depth).unwrap_or(i64::MAX))
            .bind(self.filter.after)
            .bind(self.hides)
            .fetch_all(db)
            .await?;
        for stretch in stretches {
            let index = usize::try_from(stretch.ord - 1).unwrap_or(usize::MAX);
            let Some(chat) = next.get(index).and_then(|index| self.chats.get_mut(*index)) else {
                continue;
            };
            let chat_id = chat.at.chat_id;
            let read = usize::try_from(stretch.read).unwrap_or(0);
            self.read += read;
            chat.is_at_end = read < depth;
            if let (Some(created_at), Some(seq)) = (stretch.last_at, stretch.last_seq) {
                chat.at = Place { created_at, chat_id, seq };
            }
            let found_at = stretch.found_at.unwrap_or_default();
            let found_seqs = stretch.found_seqs.unwrap_or_default();
            let places = found_at.into_iter().zip(found_seqs);
            self.found.extend(places.map(|(created_at, seq)| Place { created_at, chat_id, seq }));
        }
        Ok(())
    }

    /// The newest by the index.
    async fn look_up(&self, db: impl PgExecutor<'_>, limit: usize) -> Result<Vec<Place>> {
        let groups = self.chats.chunks(AT_ONCE);
        let mut ids = Vec::with_capacity(groups.len());
        let mut words = Vec::with_capacity(groups.len());
        let mut phrases = Vec::with_capacity(groups.len());
        for group in groups {
            let chats: Vec<String> = group.iter().map(|chat| chat.at.chat_id.to_string()).collect();
            ids.push(format!("{{{}}}", chats.join(",")));
            words.push(any(group.iter().map(|chat| Some(chat.lookup.words.as_str()))));
            phrases.push(any(group.iter().map(|chat| chat.lookup.phrases.as_deref())));
        }
        let found = sqlx::query_as(include_str!("look_up.sql"))
            .bind(self.filter.viewer)
            .bind(ids)
            .bind(words)
            .bind(phrases)
            .bind(self.from.created_at)
            .bind(self.from.chat_id)
            .bind(self.from.seq)
            .bind(self.filter.after)
            .bind(self.hides)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(db)
            .await?;
        Ok(found)
    }
}

/// One query for what any of these asks for; none where they ask for nothing.
fn any<'a>(queries: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let queries: Option<Vec<&str>> = queries.collect();
    queries.map(|queries| queries.join(" | "))
}

fn newest(mut places: Vec<Place>, limit: usize) -> Vec<Place> {
    places.sort_unstable_by(|one, other| other.cmp(one));
    places.truncate(limit);
    places
}
