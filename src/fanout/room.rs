//! A chat on this node: up to where it is delivered, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::outbox::Pushed;
use crate::log::entry::Published;
use crate::model::event::{EventKind, Leaving};
use crate::model::id::{ChatId, UserId};

/// Events that may wait for a gap to be filled; further ones are dropped, and filled in turn.
const WAITING: usize = 4_096;

pub(super) struct Room {
    pub(super) partition: u16,
    position: Position,
    connections: Vec<Arc<Connection>>,
    /// Joinings whose event was delivered here. The hub lets those connections in: it alone knows
    /// them.
    arrivals: Vec<Published>,
}

enum Position {
    /// Delivered up to this seq, without a gap.
    At(i64),
    /// Something is missing behind `from` and is being read from Postgres; what comes meanwhile
    /// waits. `from` is unknown while the room is new.
    Filling { from: Option<i64>, waiting: BTreeMap<i64, Published> },
}

/// What is to be read from Postgres for a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    /// Where it stands in the log.
    Place,
    /// The events behind this seq.
    Behind(i64),
}

/// What the caller has to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// Have the gap filled.
    Fill,
}

impl Room {
    /// A room whose place in the log is still to be found out.
    pub(super) fn unplaced(partition: u16) -> Self {
        let position = Position::Filling { from: None, waiting: BTreeMap::new() };
        Self { partition, position, connections: Vec::new(), arrivals: Vec::new() }
    }

    /// A room that stands behind `seq`.
    pub(super) fn at(partition: u16, seq: i64) -> Self {
        let position = Position::At(seq);
        Self { partition, position, connections: Vec::new(), arrivals: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(super) fn connections(&self) -> &[Arc<Connection>] {
        &self.connections
    }

    pub(super) fn enter(&mut self, chat: ChatId, connection: &Arc<Connection>) -> bool {
        let entered = connection.enter(chat);
        if entered {
            self.connections.push(Arc::clone(connection));
        }
        entered
    }

    pub(super) fn leave(&mut self, connection: &Connection) {
        if let Some(index) = self.connections.iter().position(|known| known.id == connection.id) {
            self.connections.swap_remove(index);
        }
    }

    /// Lets go whoever is not to stay.
    pub(super) fn keep(&mut self, chat: ChatId, stays: impl Fn(UserId) -> bool) {
        self.connections.retain(|connection| {
            let stays = stays(connection.user);
            if !stays {
                connection.leave(chat);
            }
            stays
        });
    }

    /// Whether events before `seq` are still to be delivered.
    pub(super) fn is_behind(&self, seq: i64) -> bool {
        match &self.position {
            Position::At(at) => *at < seq,
            Position::Filling { from, .. } => from.is_none_or(|from| from < seq),
        }
    }

    pub(super) fn take_arrivals(&mut self) -> Vec<Published> {
        std::mem::take(&mut self.arrivals)
    }

    pub(super) fn missing(&self) -> Missing {
        match &self.position {
            Position::At(_) => Missing::Nothing,
            Position::Filling { from: None, .. } => Missing::Place,
            Position::Filling { from: Some(from), .. } => Missing::Behind(*from),
        }
    }

    /// Takes an event: delivers it, drops it, or keeps it until a gap is filled.
    pub(super) fn accept(&mut self, event: Published) -> Next {
        match &mut self.position {
            Position::At(last) if event.seq <= *last => Next::Nothing,
            Position::At(last) if event.seq == *last + 1 => {
                *last = event.seq;
                self.deliver(&event);
                Next::Nothing
            }
            Position::At(last) => {
                let from = Some(*last);
                let waiting = BTreeMap::from([(event.seq, event)]);
                self.position = Position::Filling { from, waiting };
                Next::Fill
            }
            Position::Filling { waiting, .. } => {
                if waiting.len() < WAITING {
                    waiting.insert(event.seq, event);
                }
                Next::Nothing
            }
        }
    }

    /// Notes that there are events up to `newest`.
    pub(super) fn expect(&mut self, newest: i64) -> Next {
        match self.position {
            Position::At(last) if last < newest => {
                let waiting = BTreeMap::new();
                self.position = Position::Filling { from: Some(last), waiting };
                Next::Fill
            }
            _ => Next::Nothing,
        }
    }

    /// Delivers events that were read from Postgres, in order.
    pub(super) fn fill(&mut self, events: &[Published]) {
        for event in events {
            let Position::Filling { from, .. } = &mut self.position else { return };
            if from.is_some_and(|from| event.seq == from + 1) {
                *from = Some(event.seq);
                self.deliver(event);
            }
        }
    }

    /// Ends filling: all up to `seq` is delivered, or known to the connections in another way. Goes
    /// on with what waited.
    pub(super) fn settle(&mut self, seq: i64) -> Next {
        let Position::Filling { from, waiting } = &mut self.position else { return Next::Nothing };
        let at = from.map_or(seq, |from| from.max(seq));
        let waiting = std::mem::take(waiting);
        self.position = Position::At(at);
        let mut next = Next::Nothing;
        for event in waiting.into_values() {
            if self.accept(event) == Next::Fill {
                next = Next::Fill;
            }
        }
        next
    }

    /// Goes back to `seq` for a connection that enters there: the others do not get again what they
    /// have.
    pub(super) fn rewind(&mut self, chat: ChatId, seq: i64) -> Next {
        let had = match &mut self.position {
            Position::At(last) => last,
            Position::Filling { from: Some(from), .. } => from,
            Position::Filling { from, .. } => {
                *from = Some(seq);
                return Next::Fill;
            }
        };
        if *had <= seq {
            return Next::Nothing;
        }
        let newest = std::mem::replace(had, seq);
        for connection in &self.connections {
            connection.outbox.skip_to(chat, newest);
        }
        self.expect(newest)
    }

    /// Whoever leaves gets this as the last event; whoever joins gets it from the hub, with the
    /// chat beside it, and is not here yet.
    fn deliver(&mut self, event: &Published) {
        if !event.push.is_empty() {
            self.push(event.kind.name(), event.chat, event.seq, &event.push);
        }
        match event.kind {
            EventKind::MemberJoined => self.arrivals.push(event.clone()),
            EventKind::ChatDeleted => self.keep(event.chat, |_| false),
            EventKind::MemberLeft => match serde_json::from_slice::<Leaving>(&event.detail) {
                Ok(gone) => self.keep(event.chat, |user| user != gone.user),
                Err(error) => {
                    // Better nobody than somebody who may not.
                    tracing::error!(%error, chat = %event.chat, "a leaving cannot be read");
                    self.keep(event.chat, |_| false);
                }
            },
            _ => {}
        }
    }

    fn push(&self, name: &str, chat: ChatId, seq: i64, bytes: &Bytes) {
        for connection in &self.connections {
            if connection.outbox.push(name, chat, seq, bytes) == Pushed::TooSlow {
                tracing::debug!(connection = %connection.id, "too slow a reader");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::SessionId;

    struct Scene {
        chat: ChatId,
        room: Room,
        reader: Arc<Connection>,
    }

    impl Scene {
        fn new(mut room: Room) -> Self {
            let chat = ChatId::new();
            let reader = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
            assert!(room.enter(chat, &reader));
            Self { chat, room, reader }
        }

        fn event(&self, seq: i64) -> Published {
            Published {
                chat: self.chat,
                seq,
                kind: EventKind::MessageCreated,
                actor: UserId::new(),
                push: Bytes::from(seq.to_string()),
                detail: Bytes::new(),
            }
        }

        fn accept(&mut self, seq: i64) -> Next {
            let event = self.event(seq);
            self.room.accept(event)
        }

        fn read(&self) -> Vec<i64> {
            read(&self.reader)
        }
    }

    fn read(connection: &Connection) -> Vec<i64> {
        let mut frames = Vec::new();
        connection.outbox.take(usize::MAX, &mut frames);
        frames.iter().map(|frame| std::str::from_utf8(frame).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn events_come_once_and_in_order() {
        let mut scene = Scene::new(Room::at(0, 4));
        for seq in [4, 5, 5, 3, 6] {
            assert_eq!(scene.accept(seq), Next::Nothing);
        }
        assert_eq!(scene.read(), [5, 6]);
    }

    #[test]
    fn a_gap_is_filled_before_what_is_behind_it() {
        let mut scene = Scene::new(Room::at(0, 1));
        assert_eq!(scene.accept(4), Next::Fill);
        assert_eq!(scene.accept(6), Next::Nothing);
        assert_eq!(scene.room.missing(), Missing::Behind(1));
        assert_eq!(scene.read(), Vec::<i64>::new());
        let missed = [scene.event(2), scene.event(3), scene.event(4)];
        scene.room.fill(&missed);
        assert_eq!(scene.room.settle(4), Next::Fill, "5 is missing still");
        scene.room.fill(&[scene.event(5)]);
        assert_eq!(scene.room.settle(5), Next::Nothing);
        assert_eq!(scene.read(), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_new_room_goes_on_from_where_postgres_is() {
        let mut scene = Scene::new(Room::unplaced(0));
        scene.accept(8);
        scene.accept(9);
        assert_eq!(scene.room.missing(), Missing::Place);
        assert_eq!(scene.room.settle(8), Next::Nothing);
        assert_eq!(scene.read(), [9]);
    }

    #[test]
    fn who_enters_a_room_without_a_place_misses_nothing() {
        let mut scene = Scene::new(Room::unplaced(0));
        assert_eq!(scene.room.rewind(scene.chat, 1), Next::Fill);
        assert_eq!(scene.room.missing(), Missing::Behind(1), "not where Postgres is by now");
    }

    #[test]
    fn who_leaves_gets_nothing_behind_their_leaving() {
        let mut scene = Scene::new(Room::at(0, 1));
        let other = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
        scene.room.enter(scene.chat, &other);
        let user = scene.reader.user;
        let detail = serde_json::to_vec(&Leaving { user }).unwrap().into();
        let left = Published { kind: EventKind::MemberLeft, detail, ..scene.event(2) };
        // Out of order: what lies behind it waits for it.
        scene.accept(3);
        scene.room.fill(&[left]);
        scene.room.settle(2);
        assert_eq!(scene.read(), [2]);
        assert_eq!(read(&other), [2, 3]);
        assert!(!scene.reader.is_in(scene.chat));
    }

    #[test]
    fn a_chat_that_ends_lets_everybody_go() {
        let mut scene = Scene::new(Room::at(0, 1));
        let ended = Published { kind: EventKind::ChatDeleted, ..scene.event(2) };
        scene.room.accept(ended);
        scene.accept(3);
        assert_eq!(scene.read(), [2]);
        assert!(scene.room.is_empty());
    }

    #[test]
    fn who_enters_further_back_gets_all_and_the_others_nothing_twice() {
        let mut scene = Scene::new(Room::at(0, 5));
        let late = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
        assert_eq!(scene.room.rewind(scene.chat, 3), Next::Fill);
        scene.room.enter(scene.chat, &late);
        scene.accept(6);
        let missed = [scene.event(4), scene.event(5)];
        scene.room.fill(&missed);
        scene.room.settle(5);
        assert_eq!(read(&late), [4, 5, 6]);
        assert_eq!(scene.read(), [6]);
    }
}
