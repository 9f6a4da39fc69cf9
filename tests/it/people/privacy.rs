//! Who lets whom: direct messages, groups, being found.

use serde_json::json;

use super::without_request;
use crate::harness::{TestApp, message};

/// R-PR-2: whoever is refused cannot tell why.
#[tokio::test]
async fn a_refusal_for_a_block_and_one_for_privacy_are_the_same_bytes() {
    let app = TestApp::start().await;
    let [ann, blocker, contacts, nobody] =
        app.people(["ann", "blocker", "contacts", "nobody"]).await;
    blocker.block(&ann).await;
    contacts.set_privacy(json!({ "directMessages": "contacts", "groupInvites": "contacts" })).await;
    nobody.set_privacy(json!({ "directMessages": "nobody", "groupInvites": "nobody" })).await;
    let mut opened = Vec::new();
    let mut grouped = Vec::new();
    for other in [&blocker, &contacts, &nobody] {
        opened.push(without_request(ann.direct(other).await.expect_problem(403, "blocked")));
        let body = json!({ "title": "a group", "memberIds": [other.id] });
        let refused = ann.http.post("/chats", body).await.expect_problem(403, "blocked");
        grouped.push(without_request(refused));
    }
    assert!(opened.iter().all(|answer| *answer == opened[0]), "{opened:#?}");
    assert!(grouped.iter().all(|answer| *answer == opened[0]), "{grouped:#?}");
    let chats = ann.http.get("/chats").await.expect(200);
    assert_eq!(chats.items().len(), 0, "nothing is half done");
}

/// R-PR-2: the same in a chat that is there already, on socket and REST.
#[tokio::test]
async fn a_refused_send_does_not_tell_a_block_from_privacy() {
    let app = TestApp::start().await;
    let [ann, blocker, nobody] = app.people(["ann", "blocker", "nobody"]).await;
    let mut refusals = Vec::new();
    let mut socket = app.connect(&ann).await;
    for other in [&blocker, &nobody] {
        let chat = ann.direct(other).await.expect(201).text("/id");
        let sent = socket.request("sendMessage", message(&chat, "before")).await;
        if other.id == blocker.id {
            other.block(&ann).await;
        } else {
            other.set_privacy(json!({ "directMessages": "nobody" })).await;
        }
        assert_eq!(socket.refused("sendMessage", message(&chat, "after")).await, "blocked");
        let edit = json!({ "chatId": chat, "messageId": sent["messageId"], "body": "edited" });
        assert_eq!(socket.refused("editMessage", edit).await, "blocked");
        let path = format!("/chats/{chat}/messages");
        let body = json!({ "clientId": uuid::Uuid::now_v7(), "body": "after" });
        refusals.push(without_request(ann.http.post(&path, body).await));
        ann.direct(other).await.expect(200);
        let history = ann.http.get(&path).await.expect(200);
        assert_eq!(history.items().len(), 1, "what was said before stays");
    }
    assert_eq!(refusals[0], refusals[1]);
}

#[tokio::test]
async fn direct_messages_are_for_those_whom_the_setting_lets() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    bob.set_privacy(json!({ "directMessages": "contacts" })).await;
    assert_eq!(ann.direct(&bob).await.expect(200).text("/id"), chat);
    let mut by_ann = app.connect(&ann).await;
    by_ann.say(&chat, "a contact").await;
    eve.direct(&bob).await.expect_problem(403, "blocked");
    // A claim without a chat makes nobody a contact.
    eve.direct(&bob).await.expect_problem(403, "blocked");
    bob.set_privacy(json!({ "directMessages": "nobody" })).await;
    assert_eq!(by_ann.refused("sendMessage", message(&chat, "nobody")).await, "blocked");
    let mut by_bob = app.connect(&bob).await;
    by_bob.say(&chat, "bob himself may").await;
    let theirs = bob.direct(&eve).await.expect(201).text("/id");
    let mut by_eve = app.connect(&eve).await;
    assert_eq!(by_eve.refused("sendMessage", message(&theirs, "no")).await, "blocked");
    bob.set_privacy(json!({ "directMessages": "contacts" })).await;
    by_eve.say(&theirs, "a contact by now").await;
    bob.set_privacy(json!({ "directMessages": "everyone" })).await;
    by_ann.say(&chat, "everyone").await;
}

#[tokio::test]
async fn groups_are_joined_by_those_whom_the_setting_lets() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let add = async |by: &super::Person, whom: &[&super::Person]| {
        let ids: Vec<&str> = whom.iter().map(|person| person.id.as_str()).collect();
        let body = json!({ "title": "a group", "memberIds": ids });
        by.http.post("/chats", body).await.status
    };
    bob.set_privacy(json!({ "groupInvites": "contacts" })).await;
    assert_eq!(add(&ann, &[&bob, &eve]).await, 403, "one who does not want is enough");
    assert_eq!(add(&ann, &[&eve]).await, 201);
    ann.direct(&bob).await.expect(201);
    assert_eq!(add(&ann, &[&bob, &eve]).await, 201);
    bob.set_privacy(json!({ "groupInvites": "nobody" })).await;
    assert_eq!(add(&ann, &[&bob]).await, 403);
    assert_eq!(add(&bob, &[&bob, &ann]).await, 201, "one's own groups are one's own affair");
}

/// R-PR-4: the rule that presence asks.
#[tokio::test]
async fn presence_is_seen_by_those_whom_the_setting_lets() {
    let app = TestApp::start().await;
    let [ann, bob, eve, joe] = app.people(["ann", "bob", "eve", "joe"]).await;
    ann.direct(&bob).await.expect(201);
    let mut db = app.database.connect().await;
    let ids = [&ann, &bob, &eve, &joe].map(super::user_id);
    let mut seen_by = async |viewer: &super::Person| {
        let viewer = super::user_id(viewer);
        let visible = chat_service::store::visibility::presence_visible(&mut db, viewer, &ids);
        let visible = visible.await.expect("the statement runs");
        let seen = ids.iter().zip(["a", "b", "e", "j"]).filter(|(id, _)| visible.contains(id));
        seen.map(|(_, name)| name).collect::<String>()
    };
    assert_eq!(seen_by(&eve).await, "abej");
    ann.set_privacy(json!({ "lastSeen": "contacts" })).await;
    assert_eq!(seen_by(&eve).await, "bej");
    assert_eq!(seen_by(&bob).await, "abej");
    ann.set_privacy(json!({ "lastSeen": "nobody" })).await;
    assert_eq!(seen_by(&bob).await, "bej");
    assert_eq!(seen_by(&ann).await, "abej", "one's own is always there");
    ann.set_privacy(json!({ "lastSeen": "everyone" })).await;
    joe.block(&eve).await;
    assert_eq!(seen_by(&eve).await, "abe");
    assert_eq!(seen_by(&joe).await, "abj", "a block hides either way");
}
