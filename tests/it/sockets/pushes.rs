//! What comes unasked, and to whom.

use serde_json::{Value, json};

use crate::harness::{A_WHILE, TestApp, check_chat, eventually, message, seqs};

#[tokio::test]
async fn every_member_gets_every_event_on_every_node_once() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let mut ann_there = nodes[1].connect(&ann).await;
    let mut first_of_bob = nodes[0].connect(&bob).await;
    let mut second_of_bob = nodes[1].connect(&bob).await;
    let mut eve_there = nodes[1].connect(&eve).await;
    let chat = ann.group(&[&bob]).await;
    assert_eq!(ann_there.say(&chat, "hello").await, 2);
    for socket in [&mut ann_there, &mut first_of_bob, &mut second_of_bob] {
        let events = socket.events(&chat, 0, 2).await;
        assert_eq!(events[0]["event"], "chatCreated");
        assert_eq!(events[0]["data"]["chat"]["memberCount"], 2);
        assert_eq!(events[1]["event"], "messageCreated");
        assert_eq!(events[1]["data"]["message"]["body"], "hello");
        assert_eq!(events[1]["data"]["message"]["senderId"], ann.id);
    }
    eve_there.expect_silence("messageCreated", A_WHILE).await;
    eve_there.expect_silence("chatCreated", A_WHILE).await;
}

#[tokio::test]
async fn only_what_was_subscribed_to_is_pushed() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let unknown = json!({ "events": ["messageCreated", "nonsense"] });
    assert_eq!(socket.refused("subscribe", unknown).await, "invalid");
    socket.request("subscribe", json!({ "events": ["messageDeleted"] })).await;
    let sent = socket.request("sendMessage", message(&chat, "not pushed")).await;
    let named = json!({ "chatId": chat, "messageId": sent["messageId"] });
    socket.request("deleteMessage", named).await;
    let deleted = socket.push("messageDeleted").await;
    assert_eq!(deleted["seq"], 3);
    assert_eq!(socket.take_pushes(), Vec::<Value>::new(), "the message itself is not pushed");

    socket.request("subscribe", json!({ "events": ["*"] })).await;
    socket.say(&chat, "pushed").await;
    assert_eq!(socket.push("messageCreated").await["seq"], 4);
}

#[tokio::test]
async fn typing_reaches_those_who_have_the_chat_open_and_not_its_author() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut author, mut own_other) = (nodes[0].connect(&ann).await, nodes[1].connect(&ann).await);
    let (mut opened, mut closed) = (nodes[1].connect(&bob).await, nodes[1].connect(&bob).await);
    let named = json!({ "chatId": chat });
    for socket in [&mut author, &mut own_other, &mut opened] {
        let joined = socket.request("joinChat", named.clone()).await;
        assert_eq!(joined["chat"]["id"], *chat);
        assert!(joined["receipts"].is_array() && joined.get("changes").is_none(), "{joined:#}");
    }
    let typing = json!({ "chatId": chat, "typing": true });
    // Pub/sub loses what is sent before the other node listens.
    let mut heard = Value::Null;
    eventually("typing is heard", async || {
        author.request("typing", typing.clone()).await;
        opened.request("subscribe", json!({ "events": ["*"] })).await;
        let mut pushes = opened.take_pushes();
        pushes.retain(|push| push["event"] == "typing");
        heard = pushes.pop().map_or(Value::Null, |mut push| push["data"].take());
        !heard.is_null()
    })
    .await;
    assert_eq!(heard, json!({ "chatId": chat, "userId": ann.id, "typing": true }));
    for socket in [&mut author, &mut own_other, &mut closed] {
        socket.expect_silence("typing", A_WHILE).await;
    }
    opened.request("leaveChat", named).await;
    opened.take_pushes();
    author.request("typing", typing.clone()).await;
    opened.expect_silence("typing", A_WHILE).await;
    let mut stranger = nodes[0].connect(&eve).await;
    assert_eq!(stranger.refused("typing", typing).await, "notFound");
    author.say(&chat, "leaving the room is not leaving the chat").await;
    opened.push("messageCreated").await;
}

/// I4, I5 of the invariants: everybody sees one order.
#[tokio::test]
async fn all_readers_see_one_order_without_gaps_while_many_send() {
    const EACH: usize = 40;
    let nodes = TestApp::cluster(2).await;
    let people = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = people[0].group(&[&people[1], &people[2]]).await;
    let mut readers = Vec::new();
    for (index, person) in people.iter().enumerate() {
        readers.push(nodes[index % 2].connect(person).await.follow(&chat));
    }
    let sending = people.iter().enumerate().map(|(index, person)| {
        let (node, chat) = (&nodes[(index + 1) % 2], &chat);
        async move {
            let mut socket = node.connect(person).await;
            let mut asked = Vec::new();
            for n in 0..EACH {
                let data = message(chat, &format!("{index}:{n}"));
                asked.push(socket.ask("sendMessage", data).await);
            }
            let mut given = Vec::new();
            for id in asked {
                given.push(socket.answer(&id).await["data"]["seq"].as_i64().unwrap());
            }
            given
        }
    });
    let given = futures_util::future::join_all(sending).await;
    for one in &given {
        assert!(one.is_sorted(), "one sender's sends keep their order: {one:?}");
    }
    let mut all: Vec<i64> = given.concat();
    all.sort_unstable();
    let last = i64::try_from(EACH * people.len()).unwrap() + 1;
    assert_eq!(all, (2..=last).collect::<Vec<_>>());
    let mut seen = Vec::new();
    for reader in readers {
        let events = reader.up_to(last).await;
        assert_eq!(seqs(&events), (2..=last).collect::<Vec<_>>());
        seen.push(events);
    }
    assert!(seen.iter().all(|events| *events == seen[0]), "the same bytes for every reader");
    check_chat(&nodes[0], &chat, &[]).await;
}
