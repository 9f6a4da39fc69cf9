//! A chat on this node: up to where it is delivered, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::outbox::Pushed;
use super::screen::Screen;
use crate::log::entry::Published;
use crate::model::chat::Pair;
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
    /// Pushes that were laid into outboxes and are not counted yet.
    delivered: u64,
    /// Who talks here, where it is a direct chat.
    pub(super) pair: Option<Pair>,
    /// Whether anybody here blocks anybody: only then does an event have more than one form. Never
    /// in a direct chat, where a block lets nothing new come and hides nothing that came.
    is_screened: bool,
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
        Self {
            partition,
            position,
            connections: Vec::new(),
            arrivals: Vec::new(),
            delivered: 0,
            pair: None,
            is_screened: false,
        }
    }

    /// A room that stands behind `seq`.
    pub(super) fn at(partition: u16, seq: i64) -> Self {
        Self { position: Position::At(seq), ..Self::unplaced(partition) }
    }

    /// The same, of a direct chat where these two talk.
    pub(super) fn between(self, pair: Option<Pair>) -> Self {
        Self { pair, ..self }
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
            // Behind entering: whoever changes the blocks asks for the rooms afterwards.
            self.is_screened |= self.pair.is_none() && connection.blocks().is_some();
        }
        entered
    }

    pub(super) fn leave(&mut self, connection: &Connection) {
        if let Some(index) = self.connections.iter().position(|known| known.id == connection.id) {
            self.connections.swap_remove(index);
            if self.is_screened {
                self.look_for_blocks();
            }
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
        if self.is_screened {
            self.look_for_blocks();
        }
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

    pub(super) fn take_delivered(&mut self) -> u64 {
        std::mem::take(&mut self.delivered)
    }

    /// Sees anew whether anybody here blocks anybody.
    pub(super) fn look_for_blocks(&mut self) {
        let mut readers = self.connections.iter();
        self.is_screened = self.pair.is_none() && readers.any(|one| one.blocks().is_some());
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
            self.push(event);
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

    fn push(&mut self, event: &Published) {
        let mut delivered = 0;
        if self.is_screened {
            let screen = Screen::of(event);
            for connection in &self.connections {
                let seen = match connection.blocks() {
                    Some(blocks) => screen.seen_by(&blocks),
                    None => Some(&event.push),
                };
                if let Some(bytes) = seen {
                    delivered += push(connection, event, bytes);
                }
            }
        } else {
            for connection in &self.connections {
                delivered += push(connection, event, &event.push);
            }
        }
        self.delivered += delivered;
    }
}

/// How many were queued: one or none.
fn push(connection: &Connection, event: &Published, bytes: &Bytes) -> u64 {
    let pushed = connection.outbox.push(event.kind.name(), event.chat, event.seq, bytes);
    if pushed == Pushed::TooSlow {
        tracing::debug!(connection = %connection.id, "too slow a reader");
    }
    u64::from(pushed == Pushed::Queued)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Change, Event};
    use crate::model::id::{CommandId, MessageId, SessionId};
    use crate::model::message::{Message, Quote};
    use crate::model::time::Timestamp;

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

    fn said_by(author: UserId, chat: ChatId, seq: i64, quoted: Option<UserId>) -> Published {
        let quote = quoted.map(|sender_id| Quote {
            message_id: MessageId::new(),
            seq: 1,
            sender_id,
            excerpt: Some("quoted".into()),
        });
        let message = Message {
            id: MessageId::new(),
            chat_id: chat,
            seq,
            sender_id: author,
            client_id: CommandId::new(),
            body: Some("said".into()),
            files: vec![],
            reply_to: quote,
            thread_root_id: None,
            reply_count: 0,
            mentions: vec![],
            reactions: vec![],
            edited_at: None,
            deleted_at: None,
            created_at: Timestamp::from_unix_millis(0),
            hidden: false,
        };
        let change = Change::MessageCreated(Box::new(message));
        Published::of(&Event { chat, seq, actor: author, change })
    }

    fn frames(connection: &Connection) -> Vec<Bytes> {
        let mut frames = Vec::new();
        connection.outbox.take(usize::MAX, &mut frames);
        frames
    }

    /// Each form is made once, and nobody who needs none pays for it.
    #[test]
    fn those_who_block_the_author_or_the_quoted_get_forms_of_their_own() {
        let (bob, eve) = (UserId::new(), UserId::new());
        let mut scene = Scene::new(Room::at(0, 0));
        let mut enter = |blocks: &[UserId]| {
            let reader = Arc::new(Connection::new(UserId::new(), SessionId::new(), 10_000));
            reader.set_blocks(Some(Arc::new(blocks.iter().copied().collect())));
            scene.room.enter(scene.chat, &reader);
            reader
        };
        let (of_bob, of_eve, again) = (enter(&[bob]), enter(&[eve]), enter(&[bob, eve]));
        let event = said_by(bob, scene.chat, 1, Some(eve));
        scene.room.accept(event.clone());
        let forms =
            [&scene.reader, &of_bob, &of_eve, &again].map(|reader| frames(reader).remove(0));
        assert_eq!(forms[0], event.push, "the bytes that came");
        let shown = |form: &Bytes| String::from_utf8(form.to_vec()).unwrap();
        assert!(!shown(&forms[1]).contains("said") && shown(&forms[1]).contains("\"hidden\":true"));
        assert!(shown(&forms[2]).contains("said") && !shown(&forms[2]).contains("quoted"));
        assert_eq!(forms[1], forms[3]);
        assert_eq!(forms[1].as_ptr(), forms[3].as_ptr(), "made once");
        for reader in [&of_bob, &of_eve, &again] {
            scene.room.leave(reader);
        }
        assert!(!scene.room.is_screened, "nobody is left who blocks anybody");
    }

    #[test]
    fn nothing_is_hidden_in_a_direct_chat() {
        let (ann, bob) = (UserId::new(), UserId::new());
        let mut scene = Scene::new(Room::at(0, 0).between(Pair::of(ann, bob)));
        scene.reader.set_blocks(Some(Arc::new([bob].into())));
        scene.room.look_for_blocks();
        let event = said_by(bob, scene.chat, 1, None);
        scene.room.accept(event.clone());
        assert_eq!(frames(&scene.reader), [event.push]);
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
