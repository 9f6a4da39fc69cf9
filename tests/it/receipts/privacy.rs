//! R-PR-4: what is kept to oneself, and what a block keeps from whom.

use serde_json::json;

use super::{mark, open, pairs, receipts, say, standing};
use crate::harness::{A_WHILE, Person, Socket, TestApp, eventually};

async fn set_privacy(person: &Person, privacy: serde_json::Value) {
    person.http.patch("/user/profile", json!({ "privacy": privacy })).await.expect(200);
}

async fn block(person: &Person, other: &Person) {
    person.http.post(&format!("/user/block/{}", other.id), json!({})).await.expect(204);
}

async fn sees(person: &Person, chat: &str, other: &Person) -> bool {
    receipts(&person.http, chat).await.iter().any(|(user, _)| *user == other.id)
}

/// Whether a reader is told of a mark that is set now.
async fn is_told(marker: &mut Socket, reader: &mut Socket, chat: &str, seq: i64) -> bool {
    mark(marker, chat, seq).await;
    tokio::time::sleep(A_WHILE).await;
    reader.request("subscribe", json!({ "events": ["*"] })).await;
    let pushes = reader.take_pushes();
    pushes.iter().any(|push| push["event"] == "readReceipt" && push["data"]["readSeq"] == seq)
}

#[tokio::test]
async fn who_keeps_reading_to_themselves_is_shown_to_nobody_and_still_has_unread() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    open(&mut by_ann, &chat).await;
    say(&mut by_ann, &chat, 10).await;
    assert!(is_told(&mut by_bob, &mut by_ann, &chat, 3).await);
    assert!(sees(&ann, &chat, &bob).await);

    set_privacy(&bob, json!({ "readReceipts": false })).await;
    assert!(!is_told(&mut by_bob, &mut by_ann, &chat, 5).await);
    assert!(!sees(&ann, &chat, &bob).await, "nor what was shown before");
    assert!(sees(&bob, &chat, &bob).await, "one's own is one's own");
    let joined = open(&mut by_ann, &chat).await;
    let shown = pairs(joined["receipts"].as_array().unwrap());
    assert!(shown.iter().all(|(user, _)| *user == ann.id), "{shown:?}");
    assert_eq!(standing(&bob.http, &chat).await, (5, 6));
    let me = bob.http.get("/user/profile").await.expect(200);
    assert_eq!(me.body["privacy"]["readReceipts"], false);
    assert_eq!(me.body["privacy"]["typing"], true);

    set_privacy(&bob, json!({ "readReceipts": true })).await;
    assert!(is_told(&mut by_bob, &mut by_ann, &chat, 7).await);
    assert!(sees(&ann, &chat, &bob).await);
}

#[tokio::test]
async fn who_keeps_typing_to_themselves_is_answered_as_ever_and_not_heard() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (nodes[0].connect(&ann).await, nodes[1].connect(&bob).await);
    open(&mut by_ann, &chat).await;
    let typing = json!({ "chatId": chat, "typing": true });
    let mut until = async |bob: &mut Socket, is_heard: bool| {
        eventually(&format!("typing is heard: {is_heard}"), async || {
            assert_eq!(bob.request("typing", typing.clone()).await, json!({}));
            tokio::time::sleep(A_WHILE / 2).await;
            by_ann.request("subscribe", json!({ "events": ["*"] })).await;
            by_ann.take_pushes().iter().any(|push| push["event"] == "typing") == is_heard
        })
        .await;
    };
    until(&mut by_bob, true).await;
    set_privacy(&bob, json!({ "typing": false })).await;
    until(&mut by_bob, false).await;
    // Whoever connects later is as quiet.
    let mut late = nodes[1].connect(&bob).await;
    until(&mut late, false).await;
    set_privacy(&bob, json!({ "typing": true })).await;
    until(&mut late, true).await;
}

#[tokio::test]
async fn receipts_are_not_shown_in_a_direct_chat_over_a_block_either_way() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let (mut by_ann, mut by_bob) = (nodes[0].connect(&ann).await, nodes[1].connect(&bob).await);
    for socket in [&mut by_ann, &mut by_bob] {
        open(socket, &chat).await;
    }
    say(&mut by_ann, &chat, 3).await;
    let last = say(&mut by_bob, &chat, 1).await;
    assert!(is_told(&mut by_ann, &mut by_bob, &chat, last).await);
    assert!(sees(&ann, &chat, &bob).await && sees(&bob, &chat, &ann).await);
    let last = say(&mut by_bob, &chat, 2).await;
    block(&ann, &bob).await;
    let marked = mark(&mut by_ann, &chat, last).await;
    assert_eq!(marked["unreadCount"], 0, "reading goes on");
    by_bob.expect_silence("readReceipt", A_WHILE).await;
    assert!(!sees(&ann, &chat, &bob).await && !sees(&bob, &chat, &ann).await);
    let joined = open(&mut by_bob, &chat).await;
    let shown = pairs(joined["receipts"].as_array().unwrap());
    assert!(shown.iter().all(|(user, _)| *user == bob.id), "{shown:?}");
}

#[tokio::test]
async fn receipts_in_a_group_are_not_shown_to_the_blocker_alone() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = eve.group(&[&ann, &bob]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    let mut by_bob = nodes[1].connect(&bob).await;
    let mut by_eve = nodes[1].connect(&eve).await;
    for socket in [&mut by_ann, &mut by_bob, &mut by_eve] {
        open(socket, &chat).await;
    }
    say(&mut by_eve, &chat, 40).await;
    block(&ann, &bob).await;
    let mut seq = 2;
    eventually("the block is known where ann is", async || {
        seq += 1;
        !is_told(&mut by_bob, &mut by_ann, &chat, seq).await
    })
    .await;
    assert!(is_told(&mut by_bob, &mut by_eve, &chat, seq + 1).await);
    assert!(is_told(&mut by_ann, &mut by_bob, &chat, seq + 2).await, "bob cannot tell");
    assert!(!sees(&ann, &chat, &bob).await);
    assert!(sees(&bob, &chat, &ann).await && sees(&eve, &chat, &bob).await);
}
