//! Who follows whose presence on this node, what is known of those, and what each socket was told.
//!
//! A change only marks the user; what is pushed follows from the state when it is. So many changes
//! within a moment are one push, and one that a slow socket had no room for is made up for later
//! with what holds by then. A socket's first answer and its pushes are queued under one lock: none
//! overtakes the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::news::Change;
use crate::error::{Error, Result};
use crate::fanout::connection::Connection;
use crate::metrics::Metrics;
use crate::model::id::{ConnectionId, UserId};
use crate::model::presence::UserPresence;
use crate::model::time::Timestamp;
use crate::protocol::push::{self, Notice};

/// Users that one socket may follow; more are `invalid`.
pub const MOST_FOLLOWED: usize = 500;

/// Pairs of a socket and a user on this node, about 100 bytes each; further ones are `unavailable`.
const MOST_SEATS: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Watch {
    targets: HashMap<UserId, Target>,
    /// Whom a socket follows.
    watchers: HashMap<ConnectionId, HashSet<UserId>>,
    /// The sockets of a viewer.
    viewers: HashMap<UserId, Vec<ConnectionId>>,
    /// Users whose sockets may have to be told something.
    changed: VecDeque<UserId>,
    /// Users of whom somebody could not be told yet.
    behind: HashSet<UserId>,
    seats: usize,
}

/// A user whom somebody follows.
#[derive(Default)]
struct Target {
    standing: Standing,
    /// Whether it was read since it is followed; from then on the news keep it up.
    is_known: bool,
    /// Counts the news: what was read before the last of them is not believed.
    version: u64,
    is_queued: bool,
    /// In the order of the connections' ids, which is about the one that they come in.
    seats: Vec<Seat>,
}

/// Where a user is online, and when they last came or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The living processes, `<node>/<boot>`, that have sockets of theirs; with since when.
    pub(super) processes: Vec<(Arc<str>, i64)>,
    pub(super) last_seen: Option<i64>,
}

/// A socket that follows a user.
struct Seat {
    connection: Arc<Connection>,
    is_visible: bool,
    /// Set where [`Watch::set_visible`] has spoken since the request began.
    is_rechecked: bool,
    told: Option<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    online: bool,
    last_seen: Option<i64>,
}

impl Told {
    const NOTHING: Self = Self { online: false, last_seen: None };

    /// Whether a socket that was told `before` has to be told this. While somebody is online, it
    /// does not matter that they came with one more device.
    fn is_news_after(self, before: Self) -> bool {
        self.online != before.online || (!self.online && self.last_seen != before.last_seen)
    }

    fn of(self, user_id: UserId) -> UserPresence {
        let last_seen_at = self.last_seen.map(Timestamp::from_unix_millis);
        UserPresence { user_id, online: self.online, last_seen_at }
    }
}

impl Standing {
    pub(super) fn is_online(&self) -> bool {
        !self.processes.is_empty()
    }

    pub(super) fn seen_at(&mut self, at: i64) {
        self.last_seen = self.last_seen.max(Some(at));
    }

    pub(super) fn presence_of(&self, user: UserId) -> UserPresence {
        self.told().of(user)
    }

    fn told(&self) -> Told {
        Told { online: self.is_online(), last_seen: self.last_seen }
    }
}

impl Target {
    fn seat(&mut self, connection: ConnectionId) -> Option<&mut Seat> {
        let index = self.seats.binary_search_by_key(&connection, |seat| seat.connection.id).ok()?;
        Some(&mut self.seats[index])
    }
}

impl Watch {
    /// Gives a connection seats at these users, who are told apart; nothing where one would be too
    /// many. Returns those who are new to it.
    ///
    /// # Errors
    /// `Invalid` beyond the connection's bound, `Unavailable` beyond the node's.
    pub(super) fn follow(
        &mut self,
        connection: &Arc<Connection>,
        users: &[UserId],
    ) -> Result<Vec<UserId>> {
        let followed = self.watchers.get(&connection.id);
        let is_new = |user: &UserId| !followed.is_some_and(|followed| followed.contains(user));
        let new: Vec<UserId> = users.iter().copied().filter(is_new).collect();
        if followed.map_or(0, HashSet::len) + new.len() > MOST_FOLLOWED {
            let rule = format!("a socket follows at most {MOST_FOLLOWED}");
            return Err(Error::invalid("data.userIds", rule));
        }
        if self.seats + new.len() > MOST_SEATS {
            return Err(Error::unavailable("presence"));
        }
        for user in users {
            let target = self.targets.entry(*user).or_default();
            if let Some(seat) = target.seat(connection.id) {
                seat.is_rechecked = false;
            }
        }
        if new.is_empty() {
            return Ok(new);
        }
        let follows = self.watchers.entry(connection.id).or_insert_with(|| {
            self.viewers.entry(connection.user).or_default().push(connection.id);
            HashSet::new()
        });
        for user in &new {
            follows.insert(*user);
            let seats = &mut self.targets.entry(*user).or_default().seats;
            let place = seats.partition_point(|seat| seat.connection.id < connection.id);
            let connection = Arc::clone(connection);
            let seat = Seat { connection, is_visible: false, is_rechecked: false, told: None };
            seats.insert(place, seat);
        }
        self.seats += new.len();
        Ok(new)
    }

    /// Ends seats; returns how many there were.
    pub(super) fn unfollow(&mut self, connection: &Connection, users: &[UserId]) -> usize {
        let Some(follows) = self.watchers.get_mut(&connection.id) else { return 0 };
        let ended: Vec<UserId> =
            users.iter().copied().filter(|user| follows.remove(user)).collect();
        if follows.is_empty() {
            self.watchers.remove(&connection.id);
            if let Some(connections) = self.viewers.get_mut(&connection.user) {
                connections.retain(|id| *id != connection.id);
                if connections.is_empty() {
                    self.viewers.remove(&connection.user);
                }
            }
        }
        for user in &ended {
            if let Some(target) = self.targets.get_mut(user) {
                target.seats.retain(|seat| seat.connection.id != connection.id);
                if target.seats.is_empty() {
                    self.targets.remove(user);
                }
            }
        }
        self.seats -= ended.len();
        ended.len()
    }

    /// Ends all seats of a connection.
    pub(super) fn leave(&mut self, connection: &Connection) -> usize {
        let followed = self.watchers.get(&connection.id);
        let users: Vec<UserId> = followed.into_iter().flatten().copied().collect();
        self.unfollow(connection, &users)
    }

    /// Those of `users` that are followed and have to be read, each with the version to give back
    /// to [`Self::know`].
    pub(super) fn unknown(&self, users: &[UserId]) -> Vec<(UserId, u64)> {
        let unknown = users.iter().filter_map(|user| {
            let target = self.targets.get(user).filter(|target| !target.is_known)?;
            Some((*user, target.version))
        });
        unknown.collect()
    }

    /// Takes over what was read of a user; `false` where there was news meanwhile, and it has to be
    /// read again.
    pub(super) fn know(&mut self, user: UserId, version: u64, standing: Standing) -> bool {
        let Some(target) = self.targets.get_mut(&user) else { return true };
        if target.version != version {
            return target.is_known;
        }
        let last_seen = target.standing.last_seen.max(standing.last_seen);
        target.standing = Standing { last_seen, ..standing };
        target.is_known = true;
        self.mark(user);
        true
    }

    /// What is known of these users may be old: they are read again. What is known stays until
    /// then.
    pub(super) fn doubt(&mut self, is_doubted: impl Fn(UserId) -> bool) -> Vec<UserId> {
        let mut doubted = Vec::new();
        for (user, target) in &mut self.targets {
            if is_doubted(*user) {
                target.is_known = false;
                doubted.push(*user);
            }
        }
        doubted
    }

    /// Queues the answer of a request to follow `users`, as the viewer may see them: `visible` is
    /// what was found at its beginning, which a recheck since then outdoes.
    pub(super) fn answer(
        &mut self,
        connection: &Connection,
        users: &[UserId],
        visible: &HashSet<UserId>,
        tell: impl FnOnce(Vec<UserPresence>),
    ) {
        let mut items = Vec::with_capacity(users.len());
        for user in users {
            let Some(target) = self.targets.get_mut(user) else { continue };
            let told = target.standing.told();
            let Some(seat) = target.seat(connection.id) else { continue };
            if !seat.is_rechecked {
                seat.is_visible = visible.contains(user);
            }
            let told = if seat.is_visible { told } else { Told::NOTHING };
            seat.told = Some(told);
            items.push(told.of(*user));
        }
        tell(items);
    }

    /// Somebody came to a living process, or went from it.
    pub(super) fn change(&mut self, process: &Arc<str>, change: Change) {
        let Change(user, is_there, at) = change;
        let Some(target) = self.targets.get_mut(&user) else { return };
        target.version += 1;
        let standing = &mut target.standing;
        standing.processes.retain(|(other, _)| other != process);
        if is_there {
            standing.processes.push((Arc::clone(process), at));
        }
        standing.seen_at(at);
        self.mark(user);
    }

    /// A process died, for the users of one shard; its last beat there was at `at`.
    pub(super) fn process_died(
        &mut self,
        process: &str,
        at: i64,
        is_there: impl Fn(UserId) -> bool,
    ) {
        let mut changed = Vec::new();
        for (user, target) in self.targets.iter_mut().filter(|(user, _)| is_there(**user)) {
            if !target.is_known {
                // What is being read of them may count the dead one in.
                target.version += 1;
            }
            let processes = &mut target.standing.processes;
            let Some(index) = processes.iter().position(|(other, _)| **other == *process) else {
                continue;
            };
            let (_, since) = processes.swap_remove(index);
            target.version += 1;
            target.standing.seen_at(since.max(at));
            changed.push(*user);
        }
        for user in changed {
            self.mark(user);
        }
    }

    fn mark(&mut self, user: UserId) {
        if let Some(target) = self.targets.get_mut(&user)
            && !std::mem::replace(&mut target.is_queued, true)
        {
            self.changed.push_back(user);
        }
    }

    /// Pushes what has changed of at most `most` users. `true` where more is left.
    pub(super) fn deliver(&mut self, most: usize, metrics: &Metrics) -> bool {
        for _ in 0..most {
            let Some(user) = self.changed.pop_front() else { break };
            let Some(target) = self.targets.get_mut(&user) else { continue };
            target.is_queued = false;
            if !tell_all(user, target, metrics) {
                self.behind.insert(user);
            }
        }
        !self.changed.is_empty()
    }

    /// Has those tried again whom somebody could not be told of.
    pub(super) fn retry(&mut self) {
        for user in std::mem::take(&mut self.behind) {
            self.mark(user);
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Every pair of a viewer and a user whom they follow in which one of `users` is.
    pub(super) fn pairs_of(&self, users: &HashSet<UserId>) -> HashSet<(UserId, UserId)> {
        let mut pairs = HashSet::new();
        for user in users {
            let seats = self.targets.get(user).map(|target| &target.seats);
            pairs.extend(seats.into_iter().flatten().map(|seat| (seat.connection.user, *user)));
            pairs.extend(self.followed_by(*user).map(|target| (*user, target)));
        }
        pairs
    }

    fn followed_by(&self, viewer: UserId) -> impl Iterator<Item = UserId> {
        let connections = self.viewers.get(&viewer).into_iter().flatten();
        let watchers = connections.filter_map(|id| self.watchers.get(id));
        watchers.flatten().copied()
    }

    pub(super) fn viewers(&self) -> Vec<UserId> {
        self.viewers.keys().copied().collect()
    }

    /// From now on the viewer may see the user, or not.
    pub(super) fn set_visible(&mut self, viewer: UserId, user: UserId, is_visible: bool) {
        let Some(target) = self.targets.get_mut(&user) else { return };
        for connection in self.viewers.get(&viewer).into_iter().flatten() {
            if let Some(seat) = target.seat(*connection) {
                (seat.is_visible, seat.is_rechecked) = (is_visible, true);
            }
        }
        self.mark(user);
    }
}

/// `false` where a socket had no room.
fn tell_all(user: UserId, target: &mut Target, metrics: &Metrics) -> bool {
    const NAME: &str = Notice::PresenceChanged.name();
    let told = target.standing.told();
    let frame = |told: Told| push::frame(Notice::PresenceChanged, told.of(user));
    // Encoded once, whoever gets it.
    let (mut seen, mut hidden) = (None::<Bytes>, None::<Bytes>);
    let mut all_told = true;
    for seat in &mut target.seats {
        // One that was told nothing yet is about to get its answer.
        let Some(before) = seat.told else { continue };
        let (now, bytes) =
            if seat.is_visible { (told, &mut seen) } else { (Told::NOTHING, &mut hidden) };
        if !now.is_news_after(before) {
            continue;
        }
        let bytes = bytes.get_or_insert_with(|| frame(now)).clone();
        if seat.connection.outbox.push_ephemeral(NAME, bytes) {
            seat.told = Some(now);
            metrics.presence_delivered.increment(1);
        } else {
            all_told = false;
            metrics.presence_shed.increment(1);
        }
    }
    all_told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::SessionId;

    struct Scene {
        watch: Watch,
        metrics: Arc<Metrics>,
        process: Arc<str>,
        user: UserId,
    }

    impl Scene {
        fn new() -> Self {
            let (metrics, _) = Metrics::new("n1");
            Self { watch: Watch::default(), metrics, process: "n2/b".into(), user: UserId::new() }
        }

        /// A socket that follows the user, who may be seen, and has its answer.
        fn follower(&mut self, outbox_bytes: usize) -> Arc<Connection> {
            let connection =
                Arc::new(Connection::new(UserId::new(), SessionId::new(), outbox_bytes));
            self.watch.follow(&connection, &[self.user]).unwrap();
            for (user, version) in self.watch.unknown(&[self.user]) {
                self.watch.know(user, version, Standing::default());
            }
            self.watch.answer(&connection, &[self.user], &HashSet::from([self.user]), |_| {});
            self.deliver();
            connection
        }

        fn change(&mut self, is_there: bool, at: i64) {
            self.watch.change(&self.process, Change(self.user, is_there, at));
        }

        fn deliver(&mut self) {
            while self.watch.deliver(1, &self.metrics) {}
        }
    }

    fn read(connection: &Connection) -> Vec<String> {
        let mut frames = Vec::new();
        connection.outbox.take(usize::MAX, &mut frames);
        frames.iter().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
    }

    #[test]
    fn many_changes_are_one_push_and_none_where_nothing_changed() {
        let mut scene = Scene::new();
        let follower = scene.follower(10_000);
        for at in 1..10 {
            scene.change(at % 2 == 1, at);
        }
        scene.deliver();
        let pushes = read(&follower);
        assert_eq!(pushes.len(), 1);
        assert!(pushes[0].contains(r#""online":true"#), "{pushes:?}");
        scene.change(false, 10);
        scene.change(true, 11);
        scene.deliver();
        assert_eq!(read(&follower), Vec::<String>::new());
    }

    /// What a slow socket had no room for was lost, and it went on showing what was not so.
    #[test]
    fn a_socket_without_room_is_told_later_what_holds_then() {
        let mut scene = Scene::new();
        let (slow, quick) = (scene.follower(300), scene.follower(10_000));
        assert!(slow.outbox.push_ephemeral("typing", Bytes::from(vec![b'x'; 120])));
        scene.change(true, 1);
        scene.deliver();
        assert_eq!(read(&quick).len(), 1);
        assert!(scene.watch.is_behind());
        scene.change(false, 2);
        scene.deliver();
        assert_eq!(read(&slow).len(), 1, "the typing alone");
        scene.change(true, 3);
        scene.watch.retry();
        scene.deliver();
        let told = read(&slow);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains(r#""online":true"#), "{told:?}");
        assert!(!scene.watch.is_behind());
    }

    #[test]
    fn what_was_read_before_news_came_is_not_believed() {
        let mut scene = Scene::new();
        let connection = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
        scene.watch.follow(&connection, &[scene.user]).unwrap();
        let (_, version) = scene.watch.unknown(&[scene.user])[0];
        scene.change(true, 1);
        assert!(!scene.watch.know(scene.user, version, Standing::default()));
        let (_, version) = scene.watch.unknown(&[scene.user])[0];
        // The process that the reading counted in died meanwhile.
        scene.watch.process_died("n3/b", 1, |_| true);
        assert!(!scene.watch.know(scene.user, version, Standing::default()));
        let (_, version) = scene.watch.unknown(&[scene.user])[0];
        assert!(scene.watch.know(scene.user, version, Standing::default()));
        assert!(scene.watch.unknown(&[scene.user]).is_empty());
    }

    #[test]
    fn one_process_of_two_leaves_them_online() {
        let mut scene = Scene::new();
        let follower = scene.follower(10_000);
        scene.change(true, 1);
        scene.watch.change(&"n3/b".into(), Change(scene.user, true, 2));
        scene.deliver();
        read(&follower);
        scene.watch.process_died("n3/b", 5, |_| true);
        scene.deliver();
        assert_eq!(read(&follower), Vec::<String>::new());
        // Another shard's heartbeat of it says nothing of this user.
        scene.watch.process_died("n2/b", 4, |_| false);
        scene.deliver();
        assert_eq!(read(&follower), Vec::<String>::new());
        scene.watch.process_died("n2/b", 4, |_| true);
        scene.deliver();
        let told = read(&follower);
        let last_seen = r#""online":false,"lastSeenAt":"1970-01-01T00:00:00.005Z""#;
        assert!(told[0].contains(last_seen), "{told:?}");
    }

    /// R-AZ-5, R-PR-2.
    #[test]
    fn who_may_not_see_any_more_is_told_nothing_but_that() {
        let mut scene = Scene::new();
        let follower = scene.follower(10_000);
        scene.change(true, 1);
        scene.deliver();
        read(&follower);
        let pairs = scene.watch.pairs_of(&HashSet::from([scene.user]));
        assert_eq!(pairs, HashSet::from([(follower.user, scene.user)]));
        assert_eq!(scene.watch.pairs_of(&HashSet::from([follower.user])), pairs);
        scene.watch.set_visible(follower.user, scene.user, false);
        scene.deliver();
        let told = read(&follower);
        assert!(told[0].contains(r#""online":false,"lastSeenAt":null"#), "{told:?}");
        scene.change(false, 2);
        scene.change(true, 3);
        scene.change(false, 4);
        scene.deliver();
        assert_eq!(read(&follower), Vec::<String>::new());
        scene.watch.set_visible(follower.user, scene.user, true);
        scene.deliver();
        assert!(read(&follower)[0].contains(r#""online":false,"lastSeenAt":"1970"#));
    }

    /// A block that came while a subscription was being answered went unheeded.
    #[test]
    fn a_recheck_outdoes_what_was_found_before_it() {
        let mut scene = Scene::new();
        let connection = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
        scene.watch.follow(&connection, &[scene.user]).unwrap();
        scene.change(true, 1);
        let visible = HashSet::from([scene.user]);
        scene.watch.set_visible(connection.user, scene.user, false);
        let mut answered = Vec::new();
        scene.watch.answer(&connection, &[scene.user], &visible, |items| answered = items);
        assert_eq!(answered, [UserPresence::hidden(scene.user)]);
    }

    #[test]
    fn seats_are_bounded_and_given_back() {
        let mut scene = Scene::new();
        let connection = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
        let users: Vec<UserId> = (0..=MOST_FOLLOWED).map(|_| UserId::new()).collect();
        assert!(scene.watch.follow(&connection, &users).is_err());
        assert_eq!(scene.watch.seats, 0, "nothing is half done");
        assert_eq!(scene.watch.follow(&connection, &users[1..]).unwrap().len(), MOST_FOLLOWED);
        assert!(scene.watch.follow(&connection, &users[..1]).is_err());
        assert!(scene.watch.follow(&connection, &users[1..3]).unwrap().is_empty());
        assert_eq!(scene.watch.unfollow(&connection, &users[..2]), 1);
        assert_eq!(scene.watch.follow(&connection, &users[..1]).unwrap().len(), 1);
        assert_eq!(scene.watch.leave(&connection), MOST_FOLLOWED);
        assert!(scene.watch.targets.is_empty() && scene.watch.viewers.is_empty());
        assert_eq!(scene.watch.seats, 0);
    }
}
