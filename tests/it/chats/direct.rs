//! Direct chats.

use serde_json::json;
use uuid::Uuid;

use crate::harness::{TestApp, message};

#[tokio::test]
async fn a_pair_has_one_direct_chat_whoever_opens_it() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut socket = app.connect(&bob).await;
    let made = ann.direct(&bob).await.expect(201);
    assert_eq!(made.body["kind"], "direct");
    assert_eq!(made.body["peer"]["username"], "bob");
    assert_eq!(made.body["memberCount"], 2);
    let created = socket.push("chatCreated").await;
    assert_eq!(created["seq"], 1);
    assert_eq!(created["chat"]["id"], made.body["id"]);
    assert_eq!(created["chat"]["peer"]["username"], "ann", "each sees the other one");
    let again = bob.direct(&ann).await.expect(200);
    assert_eq!(again.body["id"], made.body["id"]);
    assert_eq!(again.body["peer"]["username"], "ann");
    ann.direct(&ann).await.expect_problem(422, "invalid");
    let nobody = format!("/chats/direct/{}", Uuid::now_v7());
    ann.http.post(&nobody, json!({})).await.expect_problem(404, "notFound");
}

#[tokio::test]
async fn both_of_a_pair_opening_their_chat_at_once_get_the_same() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    for round in 0..20 {
        let bob = nodes[0].person(&format!("bob{round}")).await;
        let mut socket = nodes[1].connect(&bob).await;
        let path = |peer: &str| format!("/chats/direct/{peer}");
        let (here, there) = (ann.at(&nodes[0]), bob.at(&nodes[1]));
        let (to_bob, to_ann) = (path(&bob.id), path(&ann.id));
        let (one, other) =
            tokio::join!(here.post(&to_bob, json!({})), there.post(&to_ann, json!({})));
        assert_eq!(one.text("/id"), other.text("/id"), "round {round}");
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "round {round}");
        let chat = one.text("/id");
        assert_eq!(socket.say(&chat, "the first message").await, 2);
        let events = socket.events(&chat, 0, 2).await;
        assert_eq!(events[0]["event"], "chatCreated");
    }
    let chats = ann.http.get("/chats").await.expect(200);
    assert_eq!(chats.items().len(), 20);
}

/// F45: a block, either way.
#[tokio::test]
async fn a_blocked_pair_neither_opens_a_chat_nor_writes_in_one() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let group = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let sent = by_bob.request("sendMessage", message(&chat, "before")).await;
    let block = "insert into user_blocks (blocker_id, blocked_id)
                 select a.id, b.id from users a, users b
                 where a.username = 'ann' and b.username in ('bob', 'eve') and a.id = $1";
    app.sql(block, Some(&ann.id)).await;

    assert_eq!(by_bob.refused("sendMessage", message(&chat, "no")).await, "blocked");
    assert_eq!(by_ann.refused("sendMessage", message(&chat, "no")).await, "blocked");
    let edit = json!({ "chatId": chat, "messageId": sent["messageId"], "body": "no" });
    assert_eq!(by_bob.refused("editMessage", edit).await, "blocked");
    let rest = json!({ "clientId": Uuid::now_v7(), "body": "no" });
    let path = format!("/chats/{chat}/messages");
    bob.http.post(&path, rest).await.expect_problem(403, "blocked");
    eve.direct(&ann).await.expect_problem(403, "blocked");
    ann.direct(&eve).await.expect_problem(403, "blocked");
    assert_eq!(by_bob.say(&group, "groups go on").await, 2);
    let page = bob.http.get(&path).await.expect(200);
    assert_eq!(page.items().len(), 1, "history stays, nothing was added");
    app.sql("delete from user_blocks", None).await;
    assert_eq!(by_bob.say(&chat, "after").await, 3, "no seq was used up by what was refused");
    eve.direct(&ann).await.expect(201);
}
