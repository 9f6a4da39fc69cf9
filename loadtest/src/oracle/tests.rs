//! Each violation is planted into a healthy room and must be seen, and nothing else with it.

use super::*;
use crate::wire::{Ack, ReplyTo, Text};

const SETUP: u64 = 1;
const MESSAGES: u32 = 6;
const ROOM: u32 = 3;

/// Two members who send in turn; input 4 answers input 1.
struct Fixture {
    tag: RunTag,
    history: Vec<Stored>,
    book: Vec<Entry>,
    journals: Vec<Journal>,
    last_seq: u64,
}

fn user(seat: u32) -> Uuid {
    Uuid::from_u128(0xaa00 + u128::from(seat))
}

fn message_id(index: u32) -> Uuid {
    Uuid::from_u128(0xbb00 + u128::from(index))
}

fn stored(tag: RunTag, index: u32, seq: u64) -> Stored {
    let key = SendKey { room: ROOM, index };
    let texts = Texts::Made { bytes: 30 };
    let message = Message {
        id: message_id(index),
        seq,
        sender_id: user(index % 2),
        client_id: Some(tag.client_id(key)),
        body: Some(Text(texts.get(key))),
        reply_to: (index == 4).then(|| ReplyTo { message_id: message_id(1) }),
    };
    Stored::new(&message, tag, ROOM, &texts, MESSAGES as usize)
}

fn healthy() -> Fixture {
    let tag = RunTag(0x1234_5678_9abc_def0);
    let seq = |index: u32| SETUP + 1 + u64::from(index);
    let history: Vec<Stored> = (0..MESSAGES).map(|i| stored(tag, i, seq(i))).collect();
    let book = (0..MESSAGES)
        .map(|index| Entry {
            sender: index % 2,
            reply_to: (index == 4).then_some(1),
            attempts: 1,
            sent_us: 1,
            ack: Some(Ack { message_id: message_id(index), seq: seq(index) }),
            ..Entry::default()
        })
        .collect();
    let mut journal = Journal::starting_at(1);
    journal.see(1, 77);
    for message in &history {
        journal.see(message.seq, message.print);
    }
    let last_seq = seq(MESSAGES - 1);
    Fixture { tag, history, book, journals: vec![journal.clone(), journal], last_seq }
}

impl Fixture {
    fn judge(&self) -> (Tally, Counts) {
        let members = (0..).zip(&self.journals).map(|(seat, journal)| Member {
            name: if seat == 0 { "ada" } else { "bob" },
            user: user(seat),
            journal,
        });
        let case = Case {
            tag: self.tag,
            room: ROOM,
            name: "room",
            setup_seq: SETUP,
            last_seq: self.last_seq,
            history: &self.history,
            book: &self.book,
            members: members.collect(),
            users: &user,
        };
        let mut tally = Tally::default();
        let counts = judge(&case, &mut tally);
        (tally, counts)
    }

    /// Exactly these counts, and an example for each kind.
    #[track_caller]
    fn expect(&self, expected: &[(Kind, u64)]) {
        let (tally, _) = self.judge();
        let found: Vec<String> = tally.examples().collect();
        for &(kind, count) in expected {
            assert_eq!(tally.count(kind), count, "{kind:?} in {found:?}");
            assert!(found.iter().any(|text| text.starts_with(kind.name())), "{found:?}");
        }
        let all: Vec<Kind> = expected.iter().map(|(kind, _)| *kind).collect();
        let others = [Kind::Lost, Kind::Duplicated, Kind::Reordered, Kind::Gap];
        for kind in others.into_iter().chain(Kind::OTHERS).filter(|kind| !all.contains(kind)) {
            assert_eq!(tally.count(kind), 0, "{kind:?} in {found:?}");
        }
        assert!(!tally.is_clean());
    }

    /// A member who received all but `missing`, and `instead` where it is given.
    fn rebuild(&mut self, member: usize, marks: impl Fn(&Stored) -> Option<Print>) {
        let mut journal = Journal::starting_at(1);
        journal.see(1, 77);
        for message in &self.history {
            if let Some(print) = marks(message) {
                journal.see(message.seq, print);
            }
        }
        self.journals[member] = journal;
    }
}

#[test]
fn a_healthy_room_is_clean() {
    let (tally, counts) = healthy().judge();
    assert!(tally.is_clean(), "{:?}", tally.examples().collect::<Vec<_>>());
    assert_eq!(counts, Counts { delivered: u64::from(MESSAGES), stored: u64::from(MESSAGES) });
}

#[test]
fn acked_but_not_in_history_is_lost() {
    let mut room = healthy();
    // The last one, so that the hole at the end shows as `lastSeq` only.
    room.history.pop();
    for journal in 0..2 {
        room.rebuild(journal, |message| Some(message.print));
    }
    room.expect(&[(Kind::Lost, 1), (Kind::Gap, 1)]);
    room.last_seq -= 1;
    room.expect(&[(Kind::Lost, 1)]);
}

#[test]
fn seen_by_a_member_but_gone_from_history_is_lost() {
    let mut room = healthy();
    room.history.pop();
    room.book.pop();
    room.last_seq -= 1;
    room.expect(&[(Kind::Lost, 2)]);
}

#[test]
fn in_history_but_not_with_a_member_is_lost() {
    let mut room = healthy();
    room.rebuild(1, |message| (message.seq != 4).then_some(message.print));
    room.expect(&[(Kind::Lost, 1)]);
    assert_eq!(room.judge().1.delivered, u64::from(MESSAGES) - 1);
}

#[test]
fn the_end_missing_with_a_member_is_lost() {
    let mut room = healthy();
    room.rebuild(0, |message| (message.seq < 6).then_some(message.print));
    room.expect(&[(Kind::Lost, 2)]);
}

#[test]
fn a_sync_that_leaves_a_message_out_is_lost() {
    let mut room = healthy();
    room.rebuild(1, |message| (message.seq != 4).then_some(message.print));
    room.journals[1].cover(2, 5);
    room.expect(&[(Kind::Lost, 1)]);
}

#[test]
fn one_input_stored_twice_is_duplicated() {
    let mut room = healthy();
    let mut again = stored(room.tag, 5, room.last_seq + 1);
    again.id = Uuid::from_u128(0xcc);
    room.history.push(again);
    room.last_seq += 1;
    for journal in 0..2 {
        room.rebuild(journal, |message| Some(message.print));
    }
    // The ack names the first of the two.
    room.expect(&[(Kind::Duplicated, 1), (Kind::AckChanged, 1)]);
}

#[test]
fn one_seq_twice_in_history_is_duplicated() {
    let mut room = healthy();
    room.history.insert(2, room.history[1].clone());
    let (tally, _) = room.judge();
    assert_eq!(tally.count(Kind::Duplicated), 2, "same seq, and same message");
}

#[test]
fn readers_who_disagree_are_reordered() {
    let mut room = healthy();
    let (a, b) = (room.history[2].print, room.history[3].print);
    room.rebuild(1, |message| match message.print {
        print if print == a => Some(b),
        print if print == b => Some(a),
        print => Some(print),
    });
    room.expect(&[(Kind::Reordered, 2)]);
}

#[test]
fn history_that_goes_back_is_reordered() {
    let mut room = healthy();
    room.history.swap(2, 3);
    let (tally, _) = room.judge();
    assert_eq!(tally.count(Kind::Reordered), 1);
}

#[test]
fn a_sender_overtaken_by_their_own_later_message_is_reordered() {
    let mut room = healthy();
    // Inputs 0 and 2 are of one sender; their messages change places in everybody's eyes.
    let (first, second) = (room.book[0].ack, room.book[2].ack);
    room.book[0].ack = second.map(|ack| Ack { message_id: message_id(0), ..ack });
    room.book[2].ack = first.map(|ack| Ack { message_id: message_id(2), ..ack });
    room.history[0] = stored(room.tag, 2, 2);
    room.history[2] = stored(room.tag, 0, 4);
    for journal in 0..2 {
        room.rebuild(journal, |message| Some(message.print));
    }
    room.expect(&[(Kind::Reordered, 1)]);
    // Once retried, no order was promised.
    room.book[0].attempts = 2;
    assert!(room.judge().0.is_clean());
}

#[test]
fn a_hole_in_seq_is_a_gap() {
    let mut room = healthy();
    for index in 3..MESSAGES {
        let seq = room.history[index as usize].seq + 1;
        room.history[index as usize] = stored(room.tag, index, seq);
        room.book[index as usize].ack = Some(Ack { message_id: message_id(index), seq });
    }
    room.last_seq += 1;
    for journal in 0..2 {
        room.rebuild(journal, |message| Some(message.print));
    }
    room.expect(&[(Kind::Gap, 1)]);
}

#[test]
fn a_member_without_the_creation_has_a_gap() {
    let mut room = healthy();
    let mut journal = Journal::starting_at(1);
    for message in &room.history {
        journal.see(message.seq, message.print);
    }
    room.journals[0] = journal;
    room.expect(&[(Kind::Gap, 1)]);
}

#[test]
fn members_who_saw_different_creations_are_reordered() {
    let mut room = healthy();
    let mut journal = Journal::starting_at(1);
    journal.see(1, 78);
    for message in &room.history {
        journal.see(message.seq, message.print);
    }
    room.journals[1] = journal;
    room.expect(&[(Kind::Reordered, 1)]);
}

#[test]
fn a_changed_text_a_wrong_reply_and_a_stranger_are_told() {
    let mut room = healthy();
    room.history[0].text_is_right = false;
    room.history[4].reply_to = None;
    room.expect(&[(Kind::Corrupt, 1), (Kind::WrongReply, 1)]);
    let mut room = healthy();
    room.book[5] = Entry { attempts: 0, ..Entry::default() };
    room.expect(&[(Kind::Phantom, 1), (Kind::Unanswered, 1)]);
}

#[test]
fn an_unanswered_and_a_wrongly_refused_input_are_told() {
    let mut room = healthy();
    room.book[5].ack = None;
    room.expect(&[(Kind::Unanswered, 1)]);
    room.book[5].refused = Some("forbidden".to_owned());
    room.expect(&[(Kind::Phantom, 1)]);
}

#[test]
fn texts_are_compared_byte_for_byte() {
    let tag = RunTag(9);
    let texts = Texts::Lines(vec!["kept as it is ".to_owned()]);
    let key = SendKey { room: 0, index: 0 };
    let mut message = Message {
        id: message_id(0),
        seq: 2,
        sender_id: user(0),
        client_id: Some(tag.client_id(key)),
        body: Some(Text("kept as it is ".into())),
        reply_to: None,
    };
    assert!(Stored::new(&message, tag, 0, &texts, 1).text_is_right);
    message.body = Some(Text("kept as it is".into()));
    assert!(!Stored::new(&message, tag, 0, &texts, 1).text_is_right);
    message.body = None;
    assert!(!Stored::new(&message, tag, 0, &texts, 1).text_is_right);
}
