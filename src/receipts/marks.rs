//! Marks in Redis: three keys a partition, moved and settled by scripts.
//!
//! | key | what |
//! |---|---|
//! | `read` | hash: `<chat>/<user>` → `<seq> <count> <at>` |
//! | `read:moved` | sorted set of fields that Postgres does not have, by when they moved |
//! | `read:stored` | sorted set of those that it has, by when that was; forgotten after [`KEPT`] |

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use fred::error::Error;
use fred::interfaces::{ClientLike, HashesInterface, PubsubInterface};
use fred::types::scripts::Script;
use futures_util::future::join_all;

use crate::log::partition::Partitioner;
use crate::log::shard::{Shard, Shards};
use crate::model::id::{ChatId, ConnectionId, UserId};

/// How long a mark stays in Redis once it is stored. Whoever has looked at Postgres before that, and
/// moves a mark now, must still find it: far longer than that can take.
const KEPT: Duration = Duration::from_mins(1);

/// How long Redis may take to move marks, and to show them.
const MOVING: Duration = Duration::from_secs(1);
const SHOWING: Duration = Duration::from_millis(300);

/// How long a shard that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(1);

static MARK: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("mark.lua")));
static DUE: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("due.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("settle.lua")));

/// A mark as Redis has it: `<seq> <count> <at>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub seq: i64,
    /// How many messages there are up to there.
    pub count: i64,
    /// When it moved, in ms.
    pub at: i64,
}

impl FromStr for Moved {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(' ').map(|part| part.parse().map_err(|_| ()));
        let mut part = || parts.next().ok_or(())?;
        Ok(Self { seq: part()?, count: part()?, at: part()? })
    }
}

/// What nodes tell each other of a mark: a line of what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) chat: ChatId,
    pub(super) user: UserId,
    /// 0 where it is not about reading.
    pub(super) seq: i64,
    /// Whether others may hear of it; the user's own sockets do.
    pub(super) is_told: bool,
    pub(super) from: Option<ConnectionId>,
}

impl News {
    fn line(&self) -> String {
        let Self { chat, user, seq, is_told, from } = self;
        let from = from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        format!("{chat} {user} {seq} {} {from}", u8::from(*is_told))
    }
}

impl FromStr for News {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut parts = line.split(' ');
        let mut part = || parts.next().ok_or(());
        let chat = part()?.parse().map_err(|_| ())?;
        let user = part()?.parse().map_err(|_| ())?;
        let seq = part()?.parse().map_err(|_| ())?;
        let is_told = part()? == "1";
        // A connection that cannot be read is only told what it knows.
        let from = part()?.parse().ok();
        Ok(Self { chat, user, seq, is_told, from })
    }
}

/// A mark on its way into Redis.
pub(super) struct Moving {
    /// Its seq is 0 where it only asks: what Postgres has is further.
    pub(super) news: News,
    pub(super) count: i64,
}

/// What is to be stored of a partition.
#[derive(Default)]
pub(super) struct Due {
    /// For how long the first has waited.
    pub(super) lag: Duration,
    pub(super) marks: Vec<((ChatId, UserId), Moved)>,
}

/// All partitions' marks.
pub(super) struct Marks {
    pub(super) shards: Shards,
    partitioner: Partitioner,
    away: Mutex<HashMap<usize, Instant>>,
}

fn field(chat: ChatId, user: UserId) -> String {
    format!("{chat}/{user}")
}

fn parse_field(field: &str) -> Option<(ChatId, UserId)> {
    let (chat, user) = field.split_once('/')?;
    Some((chat.parse().ok()?, user.parse().ok()?))
}

impl Marks {
    pub(super) fn new(shards: Shards, partitioner: Partitioner) -> Self {
        Self { shards, partitioner, away: Mutex::default() }
    }

    pub(super) fn partition_of(&self, chat: ChatId) -> u16 {
        self.partitioner.of(chat)
    }

    fn keys_of(&self, partition: u16) -> Vec<String> {
        let keys = &self.shards.keys;
        vec![keys.read(partition), keys.read_moved(partition), keys.read_stored(partition)]
    }

    /// Moves marks of one partition, and tells of those that moved. Gives back in their order
    /// whether each did, and how it stands.
    pub(super) async fn advance(
        &self,
        partition: u16,
        marks: &[Moving],
    ) -> Result<Vec<(bool, Option<Moved>)>, Error> {
        let shard = self.shards.of(partition);
        let mut args = vec![self.shards.keys.receipts_channel()];
        for Moving { news, count } in marks {
            args.push(field(news.chat, news.user));
            args.extend([news.seq.to_string(), count.to_string(), news.line()]);
        }
        let keys = self.keys_of(partition);
        let moving = MARK.evalsha_with_reload::<Vec<String>, _, _>(&shard.client, keys, args);
        let reply = self.within(shard, MOVING, moving).await?;
        let pairs = reply.chunks_exact(2).map(|pair| (pair[0] == "1", pair[1].parse().ok()));
        Ok(pairs.collect())
    }

    /// The marks of these members, as far as Redis has them and can say so in a moment.
    pub(super) async fn of(
        &self,
        members: &[(ChatId, UserId)],
    ) -> HashMap<(ChatId, UserId), Moved> {
        let mut by_partition: BTreeMap<u16, Vec<(ChatId, UserId)>> = BTreeMap::new();
        for member in members {
            by_partition.entry(self.partition_of(member.0)).or_default().push(*member);
        }
        let asking = by_partition.into_iter().map(async |(partition, members)| {
            let fields: Vec<String> =
                members.iter().map(|(chat, user)| field(*chat, *user)).collect();
            let shard = self.shards.of(partition);
            let key = self.shards.keys.read(partition);
            let asking = shard.client.hmget::<Vec<Option<String>>, _, _>(key, fields);
            let found = self.within(shard, SHOWING, asking).await.unwrap_or_default();
            let found = found.into_iter().map(|mark| mark.and_then(|mark| mark.parse().ok()));
            members.into_iter().zip(found).collect::<Vec<(_, Option<Moved>)>>()
        });
        let found = join_all(asking).await.into_iter().flatten();
        found.filter_map(|(member, mark)| Some((member, mark?))).collect()
    }

    /// Up to `most` marks of a partition that are to be stored.
    pub(super) async fn due(&self, partition: u16, most: usize) -> Result<Due, Error> {
        let shard = self.shards.of(partition);
        let args = vec![most.to_string(), KEPT.as_millis().to_string()];
        let keys = self.keys_of(partition);
        let asking = DUE.evalsha_with_reload::<Vec<String>, _, _>(&shard.client, keys, args);
        let reply = self.within(shard, MOVING, asking).await?;
        let mut reply = reply.into_iter();
        let lag = reply.next().and_then(|lag| lag.parse().ok()).unwrap_or(0);
        let rest: Vec<String> = reply.collect();
        let marks = rest.chunks_exact(2).filter_map(|pair| {
            let mark = pair[1].parse().ok()?;
            Some((parse_field(&pair[0])?, mark))
        });
        Ok(Due { lag: Duration::from_millis(lag), marks: marks.collect() })
    }

    /// Notes that these marks are stored.
    pub(super) async fn settle(
        &self,
        partition: u16,
        stored: &[((ChatId, UserId), i64)],
    ) -> Result<(), Error> {
        if stored.is_empty() {
            return Ok(());
        }
        let shard = self.shards.of(partition);
        let args: Vec<String> = stored
            .iter()
            .flat_map(|((chat, user), seq)| [field(*chat, *user), seq.to_string()])
            .collect();
        let keys = self.keys_of(partition);
        let settling = SETTLE.evalsha_with_reload::<i64, _, _>(&shard.client, keys, args);
        self.within(shard, MOVING, settling).await.map(drop)
    }

    /// Tells all nodes; `false` where it could not be said.
    pub(super) async fn publish(&self, news: &News) -> bool {
        let shard = self.shards.of(self.partition_of(news.chat));
        let channel = self.shards.keys.receipts_channel();
        let publishing = shard.client.publish::<i64, _, _>(channel, news.line());
        self.within(shard, SHOWING, publishing).await.is_ok()
    }

    /// Nothing is sent to a shard that is away: fred would keep it, and run it when nobody waits for
    /// it any more.
    async fn within<T>(
        &self,
        shard: &Shard,
        limit: Duration,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let is_left_alone = |until: &Instant| *until > Instant::now();
        if !shard.client.is_connected() || self.away().get(&shard.index).is_some_and(is_left_alone)
        {
            return Err(Error::new(fred::error::ErrorKind::IO, "the shard is away"));
        }
        let outcome = tokio::time::timeout(limit, asking).await;
        outcome.unwrap_or_else(|_| {
            self.away().insert(shard.index, Instant::now() + AWAY);
            Err(Error::new(fred::error::ErrorKind::Timeout, "no answer in time"))
        })
    }

    fn away(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Instant>> {
        self.away.lock().expect("nothing panics while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_back() {
        let told = News {
            chat: ChatId::new(),
            user: UserId::new(),
            seq: 7,
            is_told: true,
            from: Some(ConnectionId::new()),
        };
        assert_eq!(told.line().parse(), Ok(told));
        let kept = News { is_told: false, from: None, ..told };
        assert_eq!(kept.line().parse(), Ok(kept));
        assert!("x y".parse::<News>().is_err());
    }

    #[test]
    fn a_mark_is_read_as_the_script_writes_it() {
        assert_eq!(
            "12 9 1700000000000".parse(),
            Ok(Moved { seq: 12, count: 9, at: 1_700_000_000_000 })
        );
        assert!("12 9".parse::<Moved>().is_err());
        let member = (ChatId::new(), UserId::new());
        assert_eq!(parse_field(&field(member.0, member.1)), Some(member));
    }
}
