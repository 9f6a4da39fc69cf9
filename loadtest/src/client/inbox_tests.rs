//! A connection's frames, healthy and planted ones, through the inbox into ledger and tally.

use serde_json::{Value, json};

use super::*;
use crate::stage::tests::world_of_two;
use crate::wire::SyncFrom;

const CHAT: &str = "01890000-0000-7000-8000-0000000000aa";

struct Wire<'w> {
    inbox: Inbox<'w>,
    outbox: Outbox,
    world: &'w World,
}

impl<'w> Wire<'w> {
    fn new(world: &'w World, is_first: bool) -> Self {
        Self { inbox: Inbox::new(world, 1, is_first), outbox: Outbox::default(), world }
    }

    fn get(&mut self, frame: &Value) {
        self.inbox.frame(&frame.to_string(), &mut self.outbox, Instant::now());
    }

    fn created(&mut self) {
        let chat = json!({"id": CHAT, "lastSeq": 1});
        self.get(
            &json!({"event": "chatCreated", "data": {"chatId": CHAT, "seq": 1, "chat": chat}}),
        );
    }

    fn push(&mut self, seq: u64) {
        let message = message(self.world, seq);
        let data = json!({"chatId": CHAT, "seq": seq, "message": message});
        self.get(&json!({"event": "messageCreated", "data": data}));
    }

    /// Sends the sync that is due and answers it.
    fn sync(&mut self, to: u64, complete: bool, seqs: &[u64]) -> Vec<SyncFrom> {
        let (id, chats) = self.inbox.take_sync(Instant::now()).expect("a sync is due");
        let messages: Vec<Value> = seqs.iter().map(|&seq| message(self.world, seq)).collect();
        let changes = json!({
            "chatId": CHAT, "fromSeq": 0, "toSeq": to, "complete": complete,
            "messages": messages, "members": [], "left": [],
        });
        let data = json!({"chats": [changes], "removed": [], "added": []});
        self.get(&json!({"id": id, "ok": true, "data": data}));
        chats
    }

    fn count(&self, kind: Kind) -> u64 {
        self.world.tally().count(kind)
    }

    fn contiguous(&self) -> u64 {
        let chat = CHAT.parse::<Uuid>().expect("is an id");
        self.world.seat(1).ledger().get(&chat).map_or(0, Journal::contiguous)
    }
}

/// Input `seq`, sent by the other member.
fn message(world: &World, seq: u64) -> Value {
    let key = SendKey { room: 0, index: u32::try_from(seq).expect("small") };
    json!({
        "id": Uuid::from_u128(u128::from(seq)), "chatId": CHAT, "seq": seq,
        "senderId": world.seat(0).user_id, "clientId": world.tag.client_id(key),
        "body": format!("text {seq}"), "replyTo": null, "reactions": [],
    })
}

#[test]
fn a_healthy_stream_is_clean_and_delivered() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    assert!(wire.inbox.take_sync(Instant::now()).is_none());
    wire.created();
    (2..10).for_each(|seq| wire.push(seq));
    assert!(world.tally().is_clean());
    assert_eq!(wire.contiguous(), 9);
    assert_eq!(world.live.delivered.load(std::sync::atomic::Ordering::Relaxed), 8);
}

#[test]
fn a_repeat_is_counted_once() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    wire.created();
    wire.push(2);
    wire.push(2);
    assert_eq!(wire.count(Kind::Duplicated), 1);
    assert_eq!(world.live.delivered.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_silent_jump_is_told_and_healed_by_a_sync() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    wire.created();
    wire.push(2);
    wire.push(5);
    assert_eq!(wire.count(Kind::SilentJump), 1);
    assert_eq!(wire.contiguous(), 2);
    let asked = wire.sync(5, true, &[3, 4, 5]);
    assert_eq!(asked[0].after_seq, 2);
    assert_eq!(wire.contiguous(), 5);
    wire.push(6);
    assert_eq!(wire.count(Kind::SilentJump), 1);
}

#[test]
fn an_announced_jump_is_no_fault() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    wire.created();
    wire.get(&json!({"event": "resyncRequired", "data": {"chatIds": [CHAT]}}));
    wire.push(5);
    wire.sync(5, true, &[2, 3, 4, 5]);
    assert!(world.tally().is_clean());
    assert_eq!(wire.contiguous(), 5);
}

#[test]
fn after_a_reconnect_pages_of_sync_and_pushes_meet_without_a_fault() {
    let world = world_of_two(20);
    let mut first = Wire::new(&world, true);
    first.created();
    first.push(2);
    drop(first);
    let mut wire = Wire::new(&world, false);
    // Before the answer, in its range: no duplicate.
    wire.push(8);
    assert_eq!(wire.sync(5, false, &[3, 4, 5])[0].after_seq, 2);
    wire.push(9);
    assert_eq!(wire.sync(9, true, &[6, 7, 8, 9])[0].after_seq, 5);
    wire.push(10);
    assert!(world.tally().is_clean(), "{:?}", world.tally().examples().collect::<Vec<_>>());
    assert_eq!(wire.contiguous(), 10);
    // After it, in its range: a duplicate.
    wire.push(9);
    assert_eq!(wire.count(Kind::Duplicated), 1);
}

#[test]
fn a_chat_made_while_away_is_learned_from_added() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, false);
    let (id, chats) = wire.inbox.take_sync(Instant::now()).expect("due even without a chat");
    assert!(chats.is_empty());
    let data = json!({"chats": [], "removed": [], "added": [{"id": CHAT, "lastSeq": 3}]});
    wire.get(&json!({"id": id, "ok": true, "data": data}));
    assert_eq!(wire.sync(3, true, &[2, 3])[0].after_seq, 0);
    assert_eq!(wire.contiguous(), 3);
    assert!(world.tally().is_clean());
}

#[test]
fn another_message_at_a_known_seq_is_reordered() {
    let world = world_of_two(20);
    let mut first = Wire::new(&world, true);
    first.created();
    first.push(2);
    let mut wire = Wire::new(&world, false);
    let mut other = message(&world, 3);
    other["seq"] = json!(2);
    wire.get(&json!({"event": "messageCreated",
        "data": {"chatId": CHAT, "seq": 2, "message": other}}));
    assert_eq!(wire.count(Kind::Reordered), 1);
}

#[test]
fn acks_are_kept_and_a_changed_one_is_told() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    let ack = |seq: u64| json!({"messageId": Uuid::from_u128(7), "seq": seq, "createdAt": "x"});
    wire.get(&json!({"id": "0:3", "ok": true, "data": ack(9)}));
    wire.get(&json!({"id": "0:3", "ok": true, "data": ack(9)}));
    assert!(world.tally().is_clean());
    wire.get(&json!({"id": "0:3", "ok": true, "data": ack(10)}));
    assert_eq!(wire.count(Kind::AckChanged), 1);
    assert_eq!(world.live.acked.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn passing_refusals_are_retried_and_others_are_final() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    let now = Instant::now();
    let key = |index| SendKey { room: 0, index };
    wire.outbox.push(key(3));
    wire.outbox.push(key(4));
    wire.outbox.take_due(now);
    let error = |code: &str| json!({"code": code, "message": "", "retryAfterMs": 100});
    wire.get(&json!({"id": "0:3", "ok": false, "error": error("unavailable")}));
    assert!(world.tally().is_clean());
    wire.get(&json!({"id": "0:4", "ok": false, "error": error("forbidden")}));
    assert_eq!(wire.count(Kind::Refused), 1);
    assert_eq!(world.rooms[0].book()[4].refused.as_deref(), Some("forbidden"));
    assert!(wire.outbox.take_due(now).is_empty());
    assert_eq!(wire.outbox.take_due(now + Duration::from_secs(1)), [key(3)]);
}

#[test]
fn a_frame_that_breaks_the_contract_is_told() {
    let world = world_of_two(20);
    let mut wire = Wire::new(&world, true);
    wire.get(&json!({"event": "messageCreated", "data": {"chatId": CHAT}}));
    wire.get(&json!({"ok": true}));
    wire.inbox.frame("{", &mut Outbox::default(), Instant::now());
    assert_eq!(wire.count(Kind::Malformed), 3);
}
