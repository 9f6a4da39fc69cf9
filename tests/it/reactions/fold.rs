//! I15: whatever people do at once on three nodes, what everybody ends up with is what was answered,
//! one after the other in the order of `seq`; and so it is for whoever was away for a part of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chat_service::model::emoji;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::check_rows;
use crate::harness::{Http, Person, Socket, TestApp, message};

const STEPS: usize = 120;

const EMOJI: [&str; 12] = [
    "like",
    "love",
    "laugh",
    "wow",
    "sad",
    "angry",
    "dislike",
    "\u{1F680}",
    "\u{2764}",
    "\u{1F44D}\u{1F3FD}",
    "\u{1F1FA}\u{1F1FF}",
    "7\u{20E3}",
];

/// Messages that the actors know of, and who wrote each.
type Known = Arc<Mutex<Vec<(String, usize)>>>;

/// What somebody did and was told `ok` for.
#[derive(Clone, Debug)]
enum Done {
    Said { body: String },
    Edited { message: String, body: String },
    Deleted { message: String },
    Reacted { message: String, emoji: &'static str },
    TookBack { message: String, emoji: &'static str },
}

struct Actor {
    index: usize,
    socket: Socket,
    chat: String,
    random: StdRng,
    known: Known,
    /// With the seq that answered each.
    done: Vec<(i64, Done)>,
}

impl Actor {
    async fn run(mut self) -> Vec<(i64, Done)> {
        for step in 0..STEPS {
            self.step(step).await;
        }
        self.done
    }

    async fn step(&mut self, step: usize) {
        let text = format!("{step} of {} {}", self.index, "\u{1F642}".repeat(step % 200));
        let (me, chat) = (self.index, self.chat.clone());
        let (any, own) = (self.pick(|_| true), self.pick(|author| author == me));
        let dice = self.random.random_range(0..100);
        let emoji = EMOJI[self.random.random_range(0..EMOJI.len())];
        let named = |id: &String| json!({ "chatId": chat, "messageId": id });
        match (dice, any, own) {
            (0..20, Some(parent), _) => self.say(text, Some(parent)).await,
            (20..35, _, Some(id)) => {
                let mut data = named(&id);
                data["body"] = json!(text);
                self.ask("editMessage", data, Done::Edited { message: id, body: text }).await;
            }
            (35..40, _, Some(id)) => {
                self.ask("deleteMessage", named(&id), Done::Deleted { message: id }).await;
            }
            (40..65, Some(id), _) => {
                let mut data = named(&id);
                data["emoji"] = json!(emoji);
                self.ask("addReaction", data, Done::Reacted { message: id, emoji }).await;
            }
            (65..80, Some(id), _) => {
                let mut data = named(&id);
                data["emoji"] = json!(emoji);
                self.ask("removeReaction", data, Done::TookBack { message: id, emoji }).await;
            }
            _ => self.say(text, None).await,
        }
    }

    /// One of the newest, so that people meet at the same ones.
    fn pick(&mut self, by: impl Fn(usize) -> bool) -> Option<String> {
        let known = self.known.lock().expect("nobody panics with it");
        let fitting: Vec<&String> = known
            .iter()
            .rev()
            .filter(|(_, author)| by(*author))
            .take(8)
            .map(|(id, _)| id)
            .collect();
        let index = self.random.random_range(0..fitting.len().max(1));
        fitting.get(index).map(ToString::to_string)
    }

    async fn say(&mut self, body: String, parent: Option<String>) {
        let mut data = message(&self.chat, &body);
        if let Some(parent) = parent {
            data["replyTo"] = json!(parent);
        }
        let sent = self.socket.request("sendMessage", data).await;
        let id = text(&sent["messageId"]).to_owned();
        self.known.lock().expect("nobody panics with it").push((id, self.index));
        self.done.push((number(&sent["seq"]), Done::Said { body }));
    }

    /// What is deleted, or full, is refused as such and as nothing else.
    async fn ask(&mut self, event: &str, data: Value, done: Done) {
        let id = self.socket.ask(event, data).await;
        let answer = self.socket.answer(&id).await;
        if answer["ok"] == true {
            self.done.push((number(&answer["data"]["seq"]), done));
        } else {
            assert_eq!(answer["error"]["code"], "conflict", "{event}: {answer:#}");
        }
    }
}

/// A message as the events so far have made it.
#[derive(Clone)]
struct Folded {
    id: String,
    seq: i64,
    sender: String,
    body: Option<String>,
    parent: Option<i64>,
    is_edited: bool,
    reply_count: i64,
    /// In the order in which they came.
    reactions: Vec<(String, BTreeSet<String>)>,
}

/// A chat as the events so far have made it: what a client does that keeps to docs/PROTOCOL.md.
#[derive(Clone, Default)]
struct Fold {
    messages: BTreeMap<i64, Folded>,
    places: HashMap<String, i64>,
}

impl Fold {
    fn apply(&mut self, event: &Value) {
        let data = &event["data"];
        match text(&event["event"]) {
            "messageCreated" => self.create(&data["message"]),
            "messageEdited" => {
                let pushed = &data["message"];
                let message = self.at(number(&pushed["seq"]));
                message.body = Some(text(&pushed["body"]).to_owned());
                message.is_edited = true;
                assert_eq!(pushed["reactions"], message.reactions_for("nobody"), "{event:#}");
            }
            "messageDeleted" => {
                let message = self.at(number(&data["messageSeq"]));
                message.body = None;
                message.reactions.clear();
            }
            kind @ ("reactionAdded" | "reactionRemoved") => {
                let message = self.at(number(&data["messageSeq"]));
                assert_eq!(data["messageId"], message.id.as_str());
                let (emoji, user) = (text(&data["emoji"]), text(&data["userId"]));
                let count = message.react(emoji, user, kind == "reactionAdded");
                assert_eq!(data["count"], count, "{event:#}");
            }
            other => panic!("{other}: {event:#}"),
        }
    }

    fn create(&mut self, pushed: &Value) {
        let seq = number(&pushed["seq"]);
        let id = text(&pushed["id"]).to_owned();
        assert_eq!(pushed["reactions"], json!([]));
        let message = Folded {
            id: id.clone(),
            seq,
            sender: text(&pushed["senderId"]).to_owned(),
            body: pushed["body"].as_str().map(str::to_owned),
            parent: pushed["replyTo"]["seq"].as_i64(),
            is_edited: false,
            reply_count: 0,
            reactions: Vec::new(),
        };
        let mut above = message.parent;
        while let Some(seq) = above {
            let answered = self.at(seq);
            answered.reply_count += 1;
            above = answered.parent;
        }
        self.places.insert(id, seq);
        self.messages.insert(seq, message);
    }

    fn at(&mut self, seq: i64) -> &mut Folded {
        self.messages.get_mut(&seq).unwrap_or_else(|| panic!("there is no message {seq}"))
    }

    fn by_id(&self, id: &str) -> &Folded {
        &self.messages[&self.places[id]]
    }

    fn root_of(&self, seq: i64) -> &Folded {
        let mut message = &self.messages[&seq];
        while let Some(parent) = message.parent {
            message = &self.messages[&parent];
        }
        message
    }

    /// What stands between the first of a thread and what was answered there behind `after`, but was
    /// answered itself by nothing new: of it, catching up tells no new count (docs/PROTOCOL.md).
    fn untold_counts(&self, after: i64) -> BTreeSet<i64> {
        let (mut direct, mut above) = (BTreeSet::new(), BTreeSet::new());
        for (_, answer) in self.messages.range(after + 1..) {
            let Some(parent) = answer.parent else { continue };
            direct.insert(parent);
            let mut next = self.messages[&parent].parent;
            while let Some(seq) = next {
                next = self.messages[&seq].parent;
                above.extend(next.map(|_| seq));
            }
        }
        &above - &direct
    }

    /// Whether what was answered with the seq of the newest event is so now.
    fn check(&self, done: &Done, user: &str, seq: i64) {
        let has = |message: &str, word: &str| {
            let emoji = emoji::read(word).expect("it is among those above");
            let mut reactions = self.by_id(message).reactions.iter();
            reactions.any(|(one, users)| one == emoji && users.contains(user))
        };
        let holds = match done {
            Done::Said { body } => self.messages[&seq].body.as_ref() == Some(body),
            Done::Edited { message, body } => self.by_id(message).body.as_ref() == Some(body),
            Done::Deleted { message } => self.by_id(message).body.is_none(),
            Done::Reacted { message, emoji } => has(message, emoji),
            Done::TookBack { message, emoji } => !has(message, emoji),
        };
        assert!(holds, "after {seq}: {done:?} by {user}");
    }

    /// Every message as a reader has it.
    fn seen_by(&self, reader: &str) -> BTreeMap<i64, Value> {
        let shown = self.messages.values().map(|message| {
            let quote = message.parent.map(|parent| {
                let parent = &self.messages[&parent];
                let sender = &parent.sender;
                json!({ "messageId": parent.id, "seq": parent.seq, "senderId": sender })
            });
            let root = message.parent.map(|_| self.root_of(message.seq).id.clone());
            let shown = json!({
                "id": message.id, "seq": message.seq, "senderId": message.sender,
                "body": message.body, "replyTo": quote, "threadRootId": root,
                "replyCount": message.reply_count, "reactions": message.reactions_for(reader),
                "isEdited": message.is_edited, "isDeleted": message.body.is_none(),
            });
            (message.seq, shown)
        });
        with_excerpts(shown.collect())
    }
}

impl Folded {
    fn react(&mut self, emoji: &str, user: &str, adds: bool) -> usize {
        if adds && self.reactions.iter().all(|(one, _)| one != emoji) {
            self.reactions.push((emoji.to_owned(), BTreeSet::new()));
        }
        let (_, users) =
            self.reactions.iter_mut().find(|(one, _)| one == emoji).expect("it is there to change");
        let changed = if adds { users.insert(user.to_owned()) } else { users.remove(user) };
        assert!(changed, "{emoji} of {user} changes nothing");
        let count = users.len();
        self.reactions.retain(|(_, users)| !users.is_empty());
        count
    }

    fn reactions_for(&self, reader: &str) -> Value {
        let shown = self.reactions.iter().map(|(emoji, users)| {
            json!({ "emoji": emoji, "count": users.len(), "me": users.contains(reader) })
        });
        shown.collect()
    }
}

/// A message as the server shows it, as far as it is compared; its excerpt apart.
fn shown(message: &Value) -> Value {
    let mut quote = message["replyTo"].clone();
    if let Some(quote) = quote.as_object_mut() {
        quote.remove("excerpt");
    }
    json!({
        "id": message["id"], "seq": message["seq"], "senderId": message["senderId"],
        "body": message["body"], "replyTo": quote, "threadRootId": message["threadRootId"],
        "replyCount": message["replyCount"], "reactions": message["reactions"],
        "isEdited": message["editedAt"].is_string(), "isDeleted": message["deletedAt"].is_string(),
    })
}

/// A quote follows what it quotes.
fn with_excerpts(mut messages: BTreeMap<i64, Value>) -> BTreeMap<i64, Value> {
    let bodies: HashMap<i64, Value> =
        messages.iter().map(|(seq, message)| (*seq, message["body"].clone())).collect();
    for message in messages.values_mut().filter(|message| message["replyTo"].is_object()) {
        let quoted = &bodies[&number(&message["replyTo"]["seq"])];
        let excerpt = quoted.as_str().map(|body| body.chars().take(140).collect::<String>());
        message["replyTo"]["excerpt"] = json!(excerpt);
    }
    messages
}

async fn history(reader: &Http, chat: &str) -> BTreeMap<i64, Value> {
    let (mut found, mut after) = (BTreeMap::new(), 0);
    loop {
        let path = format!("/chats/{chat}/messages?after={after}&limit=100");
        let page = reader.get(&path).await.expect(200);
        for message in page.items() {
            after = number(&message["seq"]);
            let mut seen = shown(message);
            if message["replyTo"].is_object() {
                seen["replyTo"]["excerpt"] = message["replyTo"]["excerpt"].clone();
            }
            found.insert(after, seen);
        }
        if page.body["hasAfter"] == false {
            return found;
        }
    }
}

/// What a reader has who had `state` at `after`, and caught up.
async fn caught_up(
    reader: &Http,
    chat: &str,
    mut state: BTreeMap<i64, Value>,
    mut after: i64,
) -> BTreeMap<i64, Value> {
    loop {
        let path = format!("/chats/{chat}/changes?afterSeq={after}&limit=7");
        let changes = reader.get(&path).await.expect(200).body;
        for message in changes["messages"].as_array().expect("a list") {
            state.insert(number(&message["seq"]), shown(message));
        }
        after = number(&changes["toSeq"]);
        if changes["complete"] == true {
            return with_excerpts(state);
        }
    }
}

#[track_caller]
fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number, as the contract says")
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().expect("a text, as the contract says")
}

fn forget_counts(messages: &mut BTreeMap<i64, Value>, of: &BTreeSet<i64>) {
    for seq in of {
        messages.get_mut(seq).expect("both have it")["replyCount"].take();
    }
}

async fn one_chat(nodes: &[TestApp], people: &[Person; 3], seed: u64) {
    let [ann, bob, cid] = people;
    let chat = ann.group(&[bob, cid]).await;
    let follower = nodes[2].connect(bob).await.follow(&chat);
    let known = Known::default();
    let mut actors = Vec::new();
    for (index, person) in people.iter().enumerate() {
        let actor = Actor {
            index,
            socket: nodes[index % nodes.len()].connect(person).await,
            chat: chat.clone(),
            random: StdRng::seed_from_u64(seed * 10 + index as u64),
            known: Arc::clone(&known),
            done: Vec::new(),
        };
        actors.push(tokio::spawn(actor.run()));
    }
    let mut done: BTreeMap<i64, Vec<(String, Done)>> = BTreeMap::new();
    for (actor, person) in actors.into_iter().zip(people) {
        for (seq, what) in actor.await.expect("nobody panics") {
            done.entry(seq).or_default().push((person.id.clone(), what));
        }
    }
    let last = *done.keys().max().expect("something was done");
    let events = follower.up_to(last).await;
    let (mut fold, mut before) = (Fold::default(), BTreeMap::new());
    for event in &events {
        let seq = number(&event["data"]["seq"]);
        fold.apply(event);
        let asked = done.get(&seq).unwrap_or_else(|| panic!("nobody asked for {event:#}"));
        for (user, what) in asked {
            fold.check(what, user, seq);
        }
        if seq % 40 == 0 {
            before.insert(seq, fold.clone());
        }
    }
    assert_eq!(events.len(), usize::try_from(last - 1).expect("a count"));
    for (node, person) in nodes.iter().zip(people) {
        let reader = person.at(node);
        assert_eq!(history(&reader, &chat).await, fold.seen_by(&person.id), "seed {seed}");
        for (seq, then) in &before {
            let mut found = caught_up(&reader, &chat, then.seen_by(&person.id), *seq).await;
            let mut expected = fold.seen_by(&person.id);
            let untold = fold.untold_counts(*seq);
            forget_counts(&mut found, &untold);
            forget_counts(&mut expected, &untold);
            assert_eq!(found, expected, "seed {seed}, after {seq}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_final_state_is_the_fold_of_what_was_answered() {
    let nodes = TestApp::cluster(3).await;
    let people = nodes[0].people(["ann", "bob", "cid"]).await;
    for seed in 1..=3 {
        Box::pin(one_chat(&nodes, &people, seed)).await;
    }
    check_rows(&nodes[0]).await;
}
