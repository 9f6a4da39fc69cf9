//! R-AZ-5, R-PR-1, F45: blocks on sockets that are open already, on every node.

use serde_json::{Value, json};

use super::blocked_groups::assert_hidden;
use crate::harness::{A_WHILE, Socket, TestApp, check_chat, eventually, message};

/// Sends until a reader gets it in the form that is wanted; gives the last push.
async fn until_pushed(
    sender: &mut Socket,
    reader: &mut Socket,
    chat: &str,
    is_hidden: bool,
) -> Value {
    let mut last = Value::Null;
    eventually("the block is known where the reader is", async || {
        let seq = sender.say(chat, "said aloud").await;
        loop {
            last = reader.push("messageCreated").await;
            if last["seq"] == seq {
                break;
            }
        }
        last["message"].get("hidden").is_some() == is_hidden
    })
    .await;
    last
}

#[tokio::test]
async fn what_a_blocked_person_writes_is_pushed_hidden_to_the_blocker_alone() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let mut by_bob = nodes[0].connect(&bob).await;
    let mut by_eve = nodes[0].connect(&eve).await;
    let (mut here, mut there) = (nodes[0].connect(&ann).await, nodes[1].connect(&ann).await);
    ann.block(&bob).await;
    for blocker in [&mut here, &mut there] {
        let hidden = until_pushed(&mut by_bob, blocker, &chat, true).await;
        assert_hidden(&hidden["message"], "a push");
        assert_eq!(hidden["message"]["senderId"], bob.id);
    }
    by_bob.take_pushes();
    let mut sent = message(&chat, "quoted and edited");
    sent["mentions"] = json!([ann.id]);
    let sent = by_bob.request("sendMessage", sent).await;
    let (id, seq) = (sent["messageId"].clone(), sent["seq"].as_i64().unwrap());
    let edit = json!({ "chatId": chat, "messageId": id, "body": "edited" });
    by_bob.request("editMessage", edit).await;
    let mut answer = message(&chat, "eve's answer");
    answer["replyTo"] = id.clone();
    by_eve.request("sendMessage", answer).await;
    by_bob.request("deleteMessage", json!({ "chatId": chat, "messageId": id })).await;

    for (reader, is_blocker) in
        [(&mut here, true), (&mut there, true), (&mut by_eve, false), (&mut by_bob, false)]
    {
        let events = skip_to(reader, &chat, seq).await;
        let [created, edited, answered, deleted] = &events[..] else { panic!("{events:#?}") };
        if is_blocker {
            assert_hidden(&created["message"], "a new message");
            assert_hidden(&edited["message"], "an edit");
            assert_eq!(answered["message"]["body"], "eve's answer");
            assert_eq!(answered["message"]["replyTo"]["excerpt"], Value::Null);
            assert_eq!(answered["message"]["replyTo"]["messageId"], id);
        } else {
            assert_eq!(created["message"]["body"], "quoted and edited");
            assert_eq!(created["message"]["mentions"], json!([ann.id]));
            assert_eq!(edited["message"]["body"], "edited");
            assert_eq!(answered["message"]["replyTo"]["excerpt"], "edited");
            assert!(created["message"].get("hidden").is_none());
        }
        assert_eq!(deleted["messageId"], id, "seq has no hole for anybody");
    }
    ann.unblock(&bob).await;
    for blocker in [&mut here, &mut there] {
        let shown = until_pushed(&mut by_bob, blocker, &chat, false).await;
        assert_eq!(shown["message"]["body"], "said aloud");
    }
    // Whoever comes later knows it from the start.
    ann.block(&bob).await;
    let mut late = nodes[1].connect(&ann).await;
    let seq = by_bob.say(&chat, "to one who came later").await;
    let pushed = skip_to_one(&mut late, &chat, seq).await;
    assert_hidden(&pushed["message"], "a new connection");
    check_chat(&nodes[0], &chat, &[]).await;
}

/// The data of the four events from `seq` on.
async fn skip_to(reader: &mut Socket, chat: &str, seq: i64) -> Vec<Value> {
    let mut events = vec![skip_to_one(reader, chat, seq).await];
    let next = reader.events(chat, seq, seq + 3).await;
    events.extend(next.into_iter().map(|mut event| event["data"].take()));
    events
}

async fn skip_to_one(reader: &mut Socket, chat: &str, seq: i64) -> Value {
    loop {
        let pushed = reader.push("messageCreated").await;
        assert_eq!(pushed["chatId"], chat);
        if pushed["seq"] == seq {
            return pushed;
        }
    }
}

/// Redis carries the news of a block, but nobody depends on it.
#[tokio::test]
async fn a_block_reaches_open_sockets_also_where_its_news_is_lost() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_bob, mut reader) = (app.connect(&bob).await, app.connect(&ann).await);
    // As another node would do it whose news does not come through.
    let block = "with block as (
             insert into user_blocks (blocker_id, blocked_id)
             select $1, id from users where username = 'bob'
         )
         insert into visibility_changes values ($1, clock_timestamp())";
    app.sql(block, Some(&ann.id)).await;
    until_pushed(&mut by_bob, &mut reader, &chat, true).await;
}

#[tokio::test]
async fn typing_is_not_heard_in_a_direct_chat_over_a_block_either_way() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let mut sockets = [nodes[0].connect(&ann).await, nodes[1].connect(&bob).await];
    for socket in &mut sockets {
        socket.request("joinChat", json!({ "chatId": chat })).await;
    }
    let [by_ann, by_bob] = &mut sockets;
    until_heard(by_ann, by_bob, &chat, true).await;
    until_heard(by_bob, by_ann, &chat, true).await;
    ann.block(&bob).await;
    until_heard(by_ann, by_bob, &chat, false).await;
    until_heard(by_bob, by_ann, &chat, false).await;
    ann.unblock(&bob).await;
    until_heard(by_ann, by_bob, &chat, true).await;
    until_heard(by_bob, by_ann, &chat, true).await;
}

#[tokio::test]
async fn typing_in_a_group_is_not_heard_by_the_blocker_alone() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let mut sockets = Vec::new();
    for (node, person) in [(0, &ann), (1, &bob), (1, &eve)] {
        let mut socket = nodes[node].connect(person).await;
        socket.request("joinChat", json!({ "chatId": chat })).await;
        sockets.push(socket);
    }
    let [by_ann, by_bob, by_eve] = &mut sockets[..] else { unreachable!("there are three") };
    ann.block(&bob).await;
    until_heard(by_bob, by_ann, &chat, false).await;
    until_heard(by_bob, by_eve, &chat, true).await;
    until_heard(by_ann, by_bob, &chat, true).await;
}

/// Types until the reader hears it, or does not hear it any more; the answer is the same.
async fn until_heard(author: &mut Socket, reader: &mut Socket, chat: &str, is_heard: bool) {
    let typing = json!({ "chatId": chat, "typing": true });
    eventually(&format!("typing is heard: {is_heard}"), async || {
        assert_eq!(author.request("typing", typing.clone()).await, json!({}));
        // Long enough that what is on its way has come.
        tokio::time::sleep(A_WHILE / 2).await;
        reader.request("subscribe", json!({ "events": ["*"] })).await;
        let pushes = reader.take_pushes();
        pushes.iter().any(|push| push["event"] == "typing") == is_heard
    })
    .await;
}
