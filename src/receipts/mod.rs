//! Up to where everybody has read: marks, who is told of them, and their way to Postgres.
//!
//! ```text
//!  markRead ─> marker ──> Postgres: who, how far, what number ──> Redis: forward only ──┐ pub/sub
//!              (a moment's marks together)                          │                   v
//!                                       owner of the partition <────┘        listen ─> tell ─> outbox
//!                                          └─(each second)─> Postgres
//! ```
//!
//! A mark is not a change of a chat: it has no `seq`, and nobody waits in the log for it. It lives in
//! its partition's hash in Redis until the partition's owner has stored it, and for a while after
//! ([`marks`]). Whoever reads a mark takes the further one of Redis and Postgres ([`Receipts::show_in`],
//! [`Receipts::of`]), Postgres first: so a mark is seen on every node from its answer on.
//!
//! A script moves marks, as with limits, rather than a function of a library that nodes would load. A
//! script is its own version: nodes of two versions work side by side, and one that Redis lost with
//! its data or a failover is sent again with the next call.
//!
//! # Invariants
//! - A mark goes forward only: in Redis by the script, in Postgres by the statement. It is told in the
//!   step that moves it, so nobody is told of an older one behind a newer one.
//! - A mark that Redis has and Postgres has not is in the partition's set of moved ones.
//! - `unreadCount` is a subtraction: a mark carries the number of the last message at or below it.
//!
//! # Failure
//! While Redis is away marks go straight to Postgres, and nobody else is told. Those that Redis still
//! held come back with it, and lose nothing where it kept its data; where it did not, the marks of the
//! last second or so are gone, and clients mark again what they show. While Postgres is away nothing
//! can be marked, and what Redis holds waits there. An owner that dies leaves its marks to the next
//! one; one that comes back from the dead stores what is already stored, which does nothing.

mod flush;
mod listen;
mod marker;
mod marks;
mod tell;

pub use flush::Flush;
pub use marker::Markers;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::fanout::hub::Hub;
use crate::log::partition::Partitioner;
use crate::log::shard::Shards;
use crate::metrics::Metrics;
use crate::model::id::{ChatId, ConnectionId, UserId};
use crate::protocol::changes::Marked;
use crate::store::Pool;
use crate::store::chats::ChatRow;
use marker::Waiting;
use marks::{Marks, Moved, News};
use tell::Tell;

/// Members of a chat whose marks are shown live, and with `joinChat`. In larger ones each message
/// would bring a push from everybody to everybody; there who has read is asked for.
pub const LIVE_MEMBERS: i32 = 200;

/// Told once what became of a mark.
pub type Done = Box<dyn FnOnce(Result<Marked>) + Send>;

/// Somebody's wish to mark a chat as read.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub chat: ChatId,
    pub user: UserId,
    /// Up to here; to the newest where it is not given.
    pub seq: Option<i64>,
    /// Not told of what it did itself.
    pub from: Option<ConnectionId>,
}

/// A handle; clones are cheap and mean the same.
#[derive(Clone)]
pub struct Receipts {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    marks: Marks,
    metrics: Arc<Metrics>,
    queue: mpsc::Sender<Waiting>,
    tell: Tell,
}

impl Receipts {
    pub fn new(
        pool: Pool,
        shards: Shards,
        partitioner: Partitioner,
        hub: Hub,
        metrics: Arc<Metrics>,
    ) -> (Self, Markers) {
        let (queue, markers) = marker::queue();
        let tell = Tell::new(hub, Arc::clone(&metrics));
        let marks = Marks::new(shards, partitioner);
        (Self { inner: Arc::new(Inner { pool, marks, metrics, queue, tell }) }, markers)
    }

    /// Sets marks until `stop`; what waits by then is still set.
    pub async fn run(self, markers: Markers, stop: CancellationToken) {
        marker::run(&self.inner, markers, stop).await;
    }

    /// Hears of marks everywhere, and tells those who have the chat open, until `stop`.
    pub async fn follow_all(self, stop: CancellationToken) {
        tokio::select! {
            () = listen::listen_all(&self.inner) => {}
            () = tell::run(&self) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Marks a chat as read. `done` is told what became of it; a lower mark than there is changes
    /// nothing.
    ///
    /// It is told `Invalid` for a seq below 0, `NotFound` where the user is not in the chat, and
    /// `Unavailable` where it could not be set.
    pub fn submit(&self, mark: Mark, done: Done) {
        if mark.seq.is_some_and(|seq| seq < 0) {
            return done(Err(Error::invalid("seq", "not below 0")));
        }
        if let Err(refused) = self.inner.queue.try_send(Waiting { mark, done }) {
            let waiting = match refused {
                mpsc::error::TrySendError::Full(waiting)
                | mpsc::error::TrySendError::Closed(waiting) => waiting,
            };
            (waiting.done)(Err(Error::unavailable("marking")));
        }
    }

    /// The same, waiting for it.
    ///
    /// # Errors
    /// As [`Self::submit`] says.
    pub async fn mark(&self, mark: Mark) -> Result<Marked> {
        let (tell, told) = oneshot::channel();
        self.submit(mark, Box::new(move |outcome| drop(tell.send(outcome))));
        told.await.unwrap_or_else(|_| Err(Error::unavailable("marking")))
    }

    /// Shows in a user's chats the marks that Postgres does not have yet. To be called behind the
    /// reading of the rows: a mark is kept in Redis until long after it is in Postgres.
    pub async fn show_in(&self, user: UserId, rows: &mut [ChatRow]) {
        let asked: Vec<_> = rows.iter().map(|row| (row.id, user)).collect();
        let found = self.of(&asked).await;
        for row in rows {
            if let Some(mark) = found.get(&(row.id, user)) {
                let (last_seq, message_count) = (row.last_seq, row.message_count);
                advance((&mut row.read_seq, &mut row.read_count), *mark, (last_seq, message_count));
            }
        }
    }

    /// The marks of these members that Redis has; none of those that it cannot say.
    pub async fn of(&self, members: &[(ChatId, UserId)]) -> HashMap<(ChatId, UserId), Moved> {
        self.inner.marks.of(members).await
    }

    /// A member has pinned or muted a chat: their sockets on all nodes are told.
    pub async fn state_changed(&self, chat: ChatId, user: UserId) {
        let news = News { chat, user, seq: 0, is_told: false, from: None };
        if !self.inner.marks.publish(&news).await {
            self.inner.tell.note(&news);
        }
    }
}

/// Moves a reading to a mark. The row may have been read before the newest messages were stored;
/// then it ends where the row does.
fn advance(
    (read_seq, read_count): (&mut i64, &mut i64),
    mark: Moved,
    (last_seq, message_count): (i64, i64),
) {
    if mark.seq > *read_seq {
        *read_seq = mark.seq.min(last_seq);
        *read_count = mark.count.min(message_count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_never_takes_a_reading_back_nor_beyond_what_was_read_of_the_chat() {
        let advanced = |from: (i64, i64), to: (i64, i64)| {
            let (mut seq, mut count) = from;
            let mark = Moved { seq: to.0, count: to.1, at: 0 };
            advance((&mut seq, &mut count), mark, (9, 7));
            (seq, count)
        };
        assert_eq!(advanced((3, 2), (5, 4)), (5, 4));
        assert_eq!(advanced((5, 4), (3, 2)), (5, 4));
        assert_eq!(advanced((3, 2), (12, 10)), (9, 7), "unread is not below 0");
    }
}
