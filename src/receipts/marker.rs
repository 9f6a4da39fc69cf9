//! Setting marks: those of a moment share a statement and, by partition, a call of Redis.
//!
//! Of several marks of one member within a moment only the furthest is set; all are answered with it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::marks::{Moved, Moving, News};
use super::{Done, Inner, LIVE_MEMBERS, Mark};
use crate::error::Error;
use crate::model::id::{ChatId, ConnectionId, UserId};
use crate::model::time::Timestamp;
use crate::protocol::changes::Marked;
use crate::store::receipts::{self, Standing, Wanted};

/// Marks that wait; one more is answered `unavailable`.
const QUEUE: usize = 8_192;
/// Marks of a batch, and batches at once.
const BATCH: usize = 256;
const AT_ONCE: usize = 4;
/// How long a batch gathers: the readers of one message mark it within a moment.
const LINGER: Duration = Duration::from_millis(10);
/// How old what was read of Postgres may be when it is taken to Redis: far less than marks are kept
/// there once they are stored.
const FRESH: Duration = Duration::from_secs(10);

/// Without Redis: how often a mark is tried whose row another holds, and how long between.
const TRIES: u32 = 5;
const RETRY: Duration = Duration::from_millis(20);

pub(super) struct Waiting {
    pub(super) mark: Mark,
    pub(super) done: Done,
}

/// The queue's other end, to be run by [`super::Receipts::run`].
pub struct Markers(mpsc::Receiver<Waiting>);

pub(super) fn queue() -> (mpsc::Sender<Waiting>, Markers) {
    let (queue, waiting) = mpsc::channel(QUEUE);
    (queue, Markers(waiting))
}

pub(super) async fn run(inner: &Inner, Markers(queue): Markers, stop: CancellationToken) {
    let queue = Mutex::new(queue);
    let working = (0..AT_ONCE).map(async |_| {
        while let Some(batch) = gather(&queue, &stop).await {
            set(inner, batch).await;
        }
    });
    join_all(working).await;
}

/// The marks of a moment; none when there will be no more.
async fn gather(
    queue: &Mutex<mpsc::Receiver<Waiting>>,
    stop: &CancellationToken,
) -> Option<Vec<Waiting>> {
    let mut queue = queue.lock().await;
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 { return None } else { break },
            // Closing lets the queue run dry; then `recv_many` takes nothing.
            () = stop.cancelled(), if !queue.is_closed() => queue.close(),
        }
    }
    if batch.len() < BATCH {
        tokio::time::sleep(LINGER).await;
        while batch.len() < BATCH
            && let Ok(waiting) = queue.try_recv()
        {
            batch.push(waiting);
        }
    }
    Some(batch)
}

/// One member's marks of a batch.
struct Member {
    chat: ChatId,
    user: UserId,
    seq: i64,
    /// Whose socket asked, where that is one.
    from: Option<ConnectionId>,
}

/// The members, and beside each who waits for its mark.
fn by_member(batch: Vec<Waiting>) -> (Vec<Member>, Vec<Vec<Done>>) {
    let mut places: HashMap<(ChatId, UserId), usize> = HashMap::with_capacity(batch.len());
    let mut members: Vec<Member> = Vec::with_capacity(batch.len());
    let mut waiting: Vec<Vec<Done>> = Vec::with_capacity(batch.len());
    for Waiting { mark: Mark { chat, user, seq, from }, done } in batch {
        // The newest is the end, as is all beyond it.
        let seq = seq.unwrap_or(i64::MAX);
        let place = *places.entry((chat, user)).or_insert(members.len());
        if let Some(member) = members.get_mut(place) {
            member.seq = member.seq.max(seq);
            member.from = member.from.filter(|first| Some(*first) == from);
            waiting[place].push(done);
        } else {
            members.push(Member { chat, user, seq, from });
            waiting.push(vec![done]);
        }
    }
    (members, waiting)
}

async fn set(inner: &Inner, batch: Vec<Waiting>) {
    inner.metrics.receipts_marked.increment(batch.len() as u64);
    let (members, mut waiting) = by_member(batch);
    let began = Instant::now();
    let wanted: Vec<Wanted> = members
        .iter()
        .map(|Member { chat, user, seq, .. }| Wanted { chat: *chat, user: *user, seq: *seq })
        .collect();
    let found = match receipts::standings(&inner.pool, &wanted, LIVE_MEMBERS).await {
        Ok(found) if began.elapsed() <= FRESH => found,
        Ok(_) => return answer_all(waiting, || Error::unavailable("the database")),
        Err(error) => {
            tracing::warn!(%error, "marks could not be looked up");
            return answer_all(waiting, || Error::unavailable("the database"));
        }
    };
    let mut by_partition: BTreeMap<u16, Vec<(usize, Standing)>> = BTreeMap::new();
    for standing in found {
        let place = usize::try_from(standing.ord - 1).expect("places count from 1");
        let partition = inner.marks.partition_of(members[place].chat);
        by_partition.entry(partition).or_default().push((place, standing));
    }
    let setting = by_partition
        .iter()
        .map(|(partition, standings)| set_in(inner, *partition, &members, standings));
    let set = join_all(setting).await;
    let standings = by_partition.values().flatten();
    for ((place, standing), mark) in standings.zip(set.into_iter().flatten()) {
        for done in std::mem::take(&mut waiting[*place]) {
            done(mark.ok_or_else(|| Error::unavailable("marking")).map(|mark| Marked {
                chat_id: members[*place].chat,
                read_seq: mark.seq,
                unread_count: (standing.message_count - mark.count).max(0),
            }));
        }
    }
    // Those who are left have no place there.
    answer_all(waiting, || Error::NotFound("chat"));
}

fn answer_all(waiting: Vec<Vec<Done>>, error: impl Fn() -> Error) {
    for done in waiting.into_iter().flatten() {
        done(Err(error()));
    }
}

/// Sets the marks of one partition: where each stands then, none of those that could not be set.
async fn set_in(
    inner: &Inner,
    partition: u16,
    members: &[Member],
    standings: &[(usize, Standing)],
) -> Vec<Option<Moved>> {
    let known =
        |standing: &Standing| Moved { seq: standing.read_seq, count: standing.read_count, at: 0 };
    let moving: Vec<Moving> = standings
        .iter()
        .map(|(place, standing)| {
            let Member { chat, user, from, .. } = members[*place];
            // What Postgres has is not moved back; Redis may know of more.
            let seq = if standing.seq > standing.read_seq { standing.seq } else { 0 };
            let news = News { chat, user, seq, is_told: standing.is_told, from };
            Moving { news, count: standing.count }
        })
        .collect();
    inner.metrics.receipts_calls.increment(1);
    match inner.marks.advance(partition, &moving).await {
        Ok(replies) => {
            let moved = replies.iter().filter(|(moved, _)| *moved).count();
            inner.metrics.receipts_moved.increment(moved as u64);
            let marks = standings.iter().zip(replies).map(|((_, standing), (_, mark))| {
                let known = known(standing);
                Some(mark.filter(|mark| mark.seq > known.seq).unwrap_or(known))
            });
            marks.collect()
        }
        Err(error) => {
            tracing::debug!(%error, partition, "marks go straight to Postgres");
            let stored = store(inner, &moving).await;
            let marks =
                standings.iter().zip(&moving).zip(stored).map(|((place, moving), is_set)| {
                    let (_, standing) = place;
                    match moving.news.seq {
                        0 => Some(known(standing)),
                        seq => is_set.then_some(Moved { seq, count: moving.count, at: 0 }),
                    }
                });
            marks.collect()
        }
    }
}

/// Stores marks that Redis does not take; tells of each whether it is stored. A row that another
/// holds is tried again a few times.
async fn store(inner: &Inner, moving: &[Moving]) -> Vec<bool> {
    let at = Timestamp::now().to_datetime();
    let mut is_set = vec![false; moving.len()];
    for tried in 0..TRIES {
        let left = |(place, moving): &(usize, &Moving)| moving.news.seq > 0 && !is_set[*place];
        let left: Vec<(usize, &Moving)> = moving.iter().enumerate().filter(left).collect();
        if left.is_empty() {
            break;
        }
        if tried > 0 {
            tokio::time::sleep(RETRY).await;
        }
        let marks: Vec<receipts::Mark> = left
            .iter()
            .map(|(_, Moving { news, count })| receipts::Mark {
                chat: news.chat,
                user: news.user,
                seq: news.seq,
                count: *count,
                at,
            })
            .collect();
        match receipts::advance(&inner.pool, &marks).await {
            Ok(done) => {
                inner.metrics.receipts_direct.increment(done.len() as u64);
                for place in done {
                    is_set[left[place].0] = true;
                    // Nobody else hears of it while Redis is away, but who is here can.
                    inner.tell.note(&left[place].1.news);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "marks could not be stored");
                break;
            }
        }
    }
    is_set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_members_marks_within_a_moment_the_furthest_is_set_and_all_are_answered() {
        let (chat, user) = (ChatId::new(), UserId::new());
        let here = Some(ConnectionId::new());
        let waiting = |user, seq, from| Waiting {
            mark: Mark { chat, user, seq, from },
            done: Box::new(|_| {}) as Done,
        };
        let other = UserId::new();
        let batch = vec![
            waiting(user, Some(3), here),
            waiting(other, None, None),
            waiting(user, Some(9), here),
            waiting(user, Some(5), here),
        ];
        let (members, waiting_for) = by_member(batch);
        assert_eq!(members.len(), 2);
        assert_eq!((members[0].seq, waiting_for[0].len()), (9, 3));
        assert_eq!(members[0].from, here, "one socket asked, which knows");
        assert_eq!(members[1].seq, i64::MAX);
        let batch = vec![waiting(user, Some(3), here), waiting(user, Some(4), None)];
        assert_eq!(by_member(batch).0[0].from, None, "two asked, and each hears of the other");
    }
}
