//! Adding and taking back, and who hears of it.

use chat_service::model::emoji;
use serde_json::json;
use uuid::Uuid;

use super::{HEART, THUMB, shown};
use crate::harness::TestApp;

#[tokio::test]
async fn a_reaction_reaches_sockets_on_other_nodes() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob, cid] = nodes[0].people(["ann", "bob", "cid"]).await;
    let chat = ann.group(&[&bob, &cid]).await;
    let (mut by_ann, mut by_bob, mut by_cid) =
        (nodes[0].connect(&ann).await, nodes[1].connect(&bob).await, nodes[2].connect(&cid).await);
    let id = by_ann.send(&chat, "text").await;
    // By a word, by the bare form over REST, and taken back on another node.
    assert_eq!(by_ann.react(&chat, &id, "love").await, 3);
    bob.at(&nodes[2]).react(&chat, &id, "\u{2764}").await.expect(204);
    assert_eq!(by_bob.react(&chat, &id, "\u{1F680}").await, 5);
    ann.at(&nodes[1]).unreact(&chat, &id, "love").await.expect(204);
    assert_eq!(by_bob.unreact(&chat, &id, HEART).await, 7);

    let push = |event: &str, seq: i64, user: &str, emoji: &str, count: i64| {
        let data = json!({
            "chatId": chat, "seq": seq, "messageId": id, "messageSeq": 2, "userId": user,
            "emoji": emoji, "count": count,
        });
        json!({ "event": event, "data": data })
    };
    let expected = [
        push("reactionAdded", 3, &ann.id, HEART, 1),
        push("reactionAdded", 4, &bob.id, HEART, 2),
        push("reactionAdded", 5, &bob.id, "\u{1F680}", 1),
        push("reactionRemoved", 6, &ann.id, HEART, 1),
        push("reactionRemoved", 7, &bob.id, HEART, 0),
    ];
    for socket in [&mut by_ann, &mut by_bob, &mut by_cid] {
        let events = socket.events(&chat, 1, 7).await;
        assert_eq!(events[1..], expected);
    }
    let message = format!("/chats/{chat}/messages/{id}");
    let seen = bob.http.get(&message).await.expect(200).body;
    assert_eq!(seen["reactions"], json!([shown("\u{1F680}", 1, true)]));
    assert_eq!(seen["editedAt"], json!(null), "it was not edited by that");
}

#[tokio::test]
async fn what_is_so_already_makes_no_event() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    assert_eq!(socket.unreact(&chat, &id, THUMB).await, 2, "nothing has changed since");
    ann.http.unreact(&chat, &id, THUMB).await.expect(204);
    assert_eq!(socket.react(&chat, &id, "like").await, 3);
    assert_eq!(socket.say(&chat, "between").await, 4);
    for again in ["like", THUMB] {
        assert_eq!(socket.react(&chat, &id, again).await, 3, "answered as the first time");
        ann.http.react(&chat, &id, again).await.expect(204);
    }
    assert_eq!(socket.unreact(&chat, &id, THUMB).await, 5);
    assert_eq!(socket.unreact(&chat, &id, THUMB).await, 5);
    assert_eq!(socket.say(&chat, "behind").await, 6);
    socket.events(&chat, 1, 6).await;
}

/// One of the two adds it, the other finds it there; and everybody sees one event.
#[tokio::test]
async fn two_nodes_that_add_the_same_reaction_make_one_event() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut sockets = [nodes[0].connect(&ann).await, nodes[1].connect(&ann).await];
    let mut reader = nodes[1].connect(&bob).await;
    let id = sockets[0].send(&chat, "text").await;
    reader.events(&chat, 1, 2).await;
    let mut last = 2;
    for round in 0..20 {
        let word = ["like", "love", "laugh"][round % 3];
        let event = if round / 3 % 2 == 0 { "addReaction" } else { "removeReaction" };
        let data = json!({ "chatId": chat, "messageId": id, "emoji": word });
        let [one, two] = &mut sockets;
        let (one, two) =
            tokio::join!(one.request(event, data.clone()), two.request(event, data.clone()));
        last += 1;
        assert_eq!((&one["seq"], &two["seq"]), (&json!(last), &json!(last)), "round {round}");
        let events = reader.events(&chat, last - 1, last).await;
        assert_eq!(events[0]["data"]["emoji"].as_str(), emoji::read(word));
    }
    assert_eq!(sockets[0].say(&chat, "no seq was used up").await, last + 1);
}

#[tokio::test]
async fn one_reacts_to_messages_of_ones_chats_alone() {
    let app = TestApp::start().await;
    let [ann, eve] = app.people(["ann", "eve"]).await;
    let (chat, other) = (ann.group(&[]).await, ann.group(&[]).await);
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    ann.http.react(&other, &id, THUMB).await.expect_problem(404, "notFound");
    let missing = Uuid::now_v7().to_string();
    ann.http.react(&chat, &missing, THUMB).await.expect_problem(404, "notFound");
    ann.http.unreact(&chat, &missing, THUMB).await.expect_problem(404, "notFound");
    let list = format!("/chats/{chat}/messages/{missing}/reactions");
    ann.http.get(&list).await.expect_problem(404, "notFound");
    let by_eve = [
        eve.http.react(&chat, &id, THUMB).await,
        eve.http.unreact(&chat, &id, THUMB).await,
        eve.http.get(&format!("/chats/{chat}/messages/{id}/reactions")).await,
    ];
    for answer in by_eve {
        let answer = answer.expect_problem(404, "notFound");
        assert_eq!(answer.body["detail"], "chat not found");
    }
    assert_eq!(socket.say(&chat, "undisturbed").await, 3);
}
