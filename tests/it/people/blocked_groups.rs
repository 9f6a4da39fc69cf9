//! R-PR-1, R-AZ-6, F45: a block between two people who share a group, on every road that reads from
//! Postgres. `ann` blocks `bob`; `eve` is there to see what others see.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::patch;
use crate::harness::{Answer, Http, Person, TestApp, message};

/// A group of the three, with what each wrote, and the block made afterwards.
struct Scene {
    app: TestApp,
    ann: Person,
    bob: Person,
    eve: Person,
    chat: String,
    /// Bob's message, which was edited and mentions ann.
    by_bob: String,
    /// Eve's answer to it.
    answer: String,
    /// Bob's answer to a message of ann's.
    by_bob_to_ann: String,
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
        let chat = ann.group(&[&bob, &eve]).await;
        let send = async |by: &Person, body: &str, more: Value| {
            let mut data = json!({ "clientId": Uuid::now_v7(), "body": body });
            for (name, value) in more.as_object().expect("fields") {
                data[name] = value.clone();
            }
            let path = format!("/chats/{chat}/messages");
            by.http.post(&path, data).await.expect(201).text("/id")
        };
        let by_bob = send(&bob, "first words", json!({ "mentions": [ann.id] })).await;
        let path = format!("/chats/{chat}/messages/{by_bob}");
        patch(&bob.http, &path, json!({ "body": "bob's words" })).await.expect(200);
        let answer = send(&eve, "eve's answer", json!({ "replyTo": by_bob })).await;
        let by_ann = send(&ann, "ann's words", json!({})).await;
        let by_bob_to_ann = send(&bob, "bob's answer", json!({ "replyTo": by_ann })).await;
        ann.block(&bob).await;
        Self { app, ann, bob, eve, chat, by_bob, answer, by_bob_to_ann }
    }

    async fn message(&self, by: &Http, id: &str) -> Value {
        by.get(&format!("/chats/{}/messages/{id}", self.chat)).await.expect(200).body
    }

    /// Checks all messages of the chat as the blocker sees them: each is there, and of bob's
    /// nothing but its place.
    fn check(&self, messages: &[Value], road: &str) {
        let of = |id: &str| {
            let found = messages.iter().find(|message| message["id"] == id);
            found.unwrap_or_else(|| panic!("{road}: {id} is missing"))
        };
        for id in [&self.by_bob, &self.by_bob_to_ann] {
            assert_hidden(of(id), road);
            assert_eq!(of(id)["senderId"], self.bob.id, "{road}");
        }
        assert!(of(&self.by_bob_to_ann)["replyTo"]["messageId"].is_string(), "{road}");
        let answer = of(&self.answer);
        assert!(answer.get("hidden").is_none(), "{road}: {answer:#}");
        assert_eq!(answer["body"], "eve's answer", "{road}");
        assert_eq!(answer["replyTo"]["excerpt"], Value::Null, "{road}: quotes nothing of bob's");
        let all = serde_json::to_string(messages).expect("it is JSON");
        for word in ["first words", "bob's words", "bob's answer"] {
            assert!(!all.contains(word), "{road} shows {word}");
        }
    }
}

#[track_caller]
pub(super) fn assert_hidden(message: &Value, road: &str) {
    assert_eq!(message["hidden"], true, "{road}: {message:#}");
    assert_eq!(message["body"], Value::Null, "{road}");
    assert_eq!((&message["files"], &message["mentions"]), (&json!([]), &json!([])), "{road}");
    assert!(message["replyTo"]["excerpt"].is_null(), "{road}");
    assert!(message["seq"].is_i64(), "{road}");
}

/// The group's row of the table, the blocker's side; with it mentions and replies.
#[tokio::test]
async fn what_a_blocked_person_wrote_is_hidden_on_every_road() {
    let scene = Box::pin(Scene::new()).await;
    let (http, chat) = (&scene.ann.http, &scene.chat);
    for query in ["", "?after=0", "?before=100", "?around=4&limit=10"] {
        let page = http.get(&format!("/chats/{chat}/messages{query}")).await.expect(200);
        scene.check(page.items(), query);
    }
    let mut each = Vec::new();
    for id in [&scene.by_bob, &scene.answer, &scene.by_bob_to_ann] {
        each.push(scene.message(http, id).await);
    }
    scene.check(&each, "single messages");
    let edits = http.get(&format!("/chats/{chat}/messages/{}/edits", scene.by_bob)).await;
    assert_eq!(edits.expect(200).items().len(), 0, "former versions are hidden too");

    let changes = http.get(&format!("/chats/{chat}/changes")).await.expect(200).body;
    scene.check(changes["messages"].as_array().unwrap(), "changes");
    assert_hidden(&changes["chat"]["lastMessage"], "a changed chat");
    let mut socket = scene.app.connect(&scene.ann).await;
    let asked = json!({ "chatId": chat });
    let page = socket.request("getMessages", asked.clone()).await;
    scene.check(page["items"].as_array().unwrap(), "getMessages");
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 0 }] });
    let synced = socket.request("sync", known).await;
    scene.check(synced["chats"][0]["messages"].as_array().unwrap(), "sync");
    let added = socket.request("sync", json!({ "chats": [] })).await;
    assert_hidden(&added["added"][0]["lastMessage"], "an added chat");
    let joined = socket.request("joinChat", json!({ "chatId": chat, "afterSeq": 0 })).await;
    scene.check(joined["changes"]["messages"].as_array().unwrap(), "joinChat");
    assert_hidden(&joined["chat"]["lastMessage"], "joinChat's chat");
    assert_hidden(&http.get(&format!("/chats/{chat}")).await.expect(200).body["lastMessage"], "");
    let listed = http.get("/chats").await.expect(200);
    assert_hidden(&listed.items()[0]["lastMessage"], "the list of chats");
    assert_eq!(listed.items()[0]["unreadCount"], 1, "what is hidden counts all the same");

    scene.ann.unblock(&scene.bob).await;
    let shown = scene.message(http, &scene.by_bob).await;
    assert_eq!((&shown["body"], shown.get("hidden")), (&json!("bob's words"), None));
    assert_eq!(shown["mentions"], json!([scene.ann.id]));
}

/// The other side: neither the blocked person nor anybody else can see the block.
#[tokio::test]
async fn a_block_in_a_group_is_seen_by_the_blocker_alone() {
    let scene = Box::pin(Scene::new()).await;
    let path = format!("/chats/{}/messages", scene.chat);
    let seen_by_bob = scene.bob.http.get(&path).await.expect(200).body;
    let seen_by_eve = scene.eve.http.get(&path).await.expect(200).body;
    assert_eq!(seen_by_bob, seen_by_eve);
    let all = seen_by_bob.to_string();
    assert!(all.contains("ann's words") && all.contains("bob's words") && !all.contains("hidden"));
    let edits = format!("{path}/{}/edits", scene.by_bob);
    assert_eq!(scene.eve.http.get(&edits).await.expect(200).items().len(), 2);
    // Both go on writing, mentioning and answering there as before.
    let mut socket = scene.app.connect(&scene.bob).await;
    let mut data = message(&scene.chat, "bob goes on");
    data["mentions"] = json!([scene.ann.id]);
    let sent = socket.request("sendMessage", data).await;
    let mut answer = message(&scene.chat, "ann answers what she cannot read");
    answer["replyTo"] = sent["messageId"].clone();
    let mut socket = scene.app.connect(&scene.ann).await;
    let answered = socket.request("sendMessage", answer).await;
    let id = answered["messageId"].as_str().unwrap();
    assert_eq!(scene.message(&scene.ann.http, id).await["replyTo"]["excerpt"], Value::Null);
    let quoted = scene.message(&scene.bob.http, id).await;
    assert_eq!(quoted["replyTo"]["excerpt"], "bob goes on");
}

/// Numbers are everybody's, so reactions count for all, at what is hidden too.
#[tokio::test]
async fn reactions_in_a_group_go_on_over_a_block_either_way() {
    let scene = Box::pin(Scene::new()).await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let mut by_ann = scene.app.connect(ann).await;
    let by_eve = &scene.answer;
    for (person, id) in [(bob, by_eve), (ann, by_eve), (ann, &scene.by_bob), (bob, &scene.by_bob)] {
        let path = format!("/chats/{}/messages/{id}/reactions/like", scene.chat);
        Answer::of(person.http.request(Method::PUT, &path)).await.expect(204);
    }
    let pushed = by_ann.push("reactionAdded").await;
    assert_eq!((&pushed["userId"], &pushed["count"]), (&json!(bob.id), &json!(1)));
    let both = json!([{ "emoji": "\u{1F44D}", "count": 2, "me": true }]);
    for person in [ann, bob] {
        assert_eq!(scene.message(&person.http, by_eve).await["reactions"], both);
        let list = format!("/chats/{}/messages/{by_eve}/reactions", scene.chat);
        let list = person.http.get(&list).await.expect(200);
        let users: Vec<&Value> = list.items().iter().map(|one| &one["user"]["id"]).collect();
        assert_eq!(users, [&json!(bob.id), &json!(ann.id)]);
    }
    let hidden = scene.message(&ann.http, &scene.by_bob).await;
    assert_hidden(&hidden, "a message with reactions");
    assert_eq!(hidden["reactions"], both);
}

/// A thread is one more road.
#[tokio::test]
async fn what_a_blocked_person_answered_is_hidden_in_threads() {
    let scene = Box::pin(Scene::new()).await;
    let by_ann = scene.message(&scene.ann.http, &scene.by_bob_to_ann).await["replyTo"].take();
    let path = format!("/chats/{}/messages", scene.chat);
    let thread = format!("{path}/{}/thread", by_ann["messageId"].as_str().unwrap());
    let seen = scene.ann.http.get(&thread).await.expect(200);
    assert_eq!(seen.items().len(), 1, "it keeps its place");
    assert_hidden(&seen.items()[0], "a thread");
    let seen = scene.eve.http.get(&thread).await.expect(200);
    assert_eq!(seen.items()[0]["body"], "bob's answer");
    let below = scene.ann.http.get(&format!("{path}/{}/thread", scene.by_bob)).await.expect(200);
    assert_eq!(below.items()[0]["body"], "eve's answer");
    assert_eq!(below.items()[0]["replyTo"]["excerpt"], Value::Null);
}

#[tokio::test]
async fn nobody_is_added_to_a_group_over_a_block_either_way() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    ann.block(&bob).await;
    for (by, whom) in [(&ann, &bob), (&bob, &ann)] {
        let body = json!({ "title": "a group", "memberIds": [eve.id, whom.id] });
        by.http.post("/chats", body).await.expect_problem(403, "blocked");
    }
    assert_eq!(eve.http.get("/chats").await.expect(200).items().len(), 0, "nothing is half done");
    // A third person's group brings the two together all the same.
    eve.group(&[&ann, &bob]).await;
}
