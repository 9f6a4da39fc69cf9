//! Catching up: `sync` and `joinChat` with `afterSeq` give exactly what was missed, and the pushes
//! go on behind it. I7 of the invariants.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{A_WHILE, Load, Socket, TestApp, check_chat, message, seqs};

/// Repeats `sync` for one chat until it is complete. Returns the seqs of the messages that it
/// brought, and up to where it went; the pushes that came before the last answer are thrown away.
async fn caught_up(socket: &mut Socket, chat: &str, after: i64) -> (Vec<i64>, i64) {
    let (mut found, mut last) = (Vec::new(), after);
    loop {
        let known = json!({ "chats": [{ "chatId": chat, "afterSeq": last }] });
        let synced = socket.request("sync", known).await;
        socket.take_pushes();
        let Some(changes) = synced["chats"].as_array().expect("as the contract says").first()
        else {
            return (found, last);
        };
        assert_eq!(changes["fromSeq"], last);
        let messages = changes["messages"].as_array().expect("as the contract says");
        found.extend(
            messages.iter().map(|message| message["seq"].as_i64().expect("as the contract says")),
        );
        last = changes["toSeq"].as_i64().expect("as the contract says");
        if changes["complete"] == true {
            return (found, last);
        }
        assert!(!messages.is_empty(), "a page gets on");
    }
}

#[tokio::test]
async fn sync_brings_what_was_missed_and_no_push_of_it_follows() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let (chat, quiet) = (ann.group(&[&bob]).await, ann.group(&[&bob]).await);
    let mut writer = nodes[0].connect(&ann).await;
    for n in 0..5 {
        writer.say(&chat, &format!("missed {n}")).await;
    }
    let new = ann.group(&[&bob]).await;
    let gone = Uuid::now_v7().to_string();

    let mut reader = nodes[1].connect(&bob).await;
    let known = json!({ "chats": [
        { "chatId": chat, "afterSeq": 3 },
        { "chatId": quiet, "afterSeq": 1 },
        { "chatId": gone, "afterSeq": 9 },
    ] });
    let synced = reader.request("sync", known).await;
    assert_eq!(synced["removed"], json!([gone]));
    let added: Vec<&str> = synced["added"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| chat["id"].as_str().unwrap())
        .collect();
    assert_eq!(added, [new.as_str()]);
    let [changes] = synced["chats"].as_array().unwrap().as_slice() else { panic!("{synced:#}") };
    assert_eq!((&changes["chatId"], &changes["complete"]), (&json!(chat), &json!(true)));
    assert_eq!((&changes["fromSeq"], &changes["toSeq"]), (&json!(3), &json!(6)));
    let missed = changes["messages"].as_array().unwrap().iter().map(|message| &message["seq"]);
    assert_eq!(missed.collect::<Vec<_>>(), [4, 5, 6]);

    writer.say(&chat, "behind it").await;
    let events = reader.events(&chat, 6, 7).await;
    assert_eq!(events[0]["data"]["message"]["body"], "behind it");
}

#[tokio::test]
async fn sync_tells_the_present_state_and_not_what_happened() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let mut ids = Vec::new();
    for text in ["kept", "edited", "deleted"] {
        let sent = socket.request("sendMessage", message(&chat, text)).await;
        ids.push(sent["messageId"].as_str().unwrap().to_owned());
    }
    for text in ["once", "twice"] {
        let edit = json!({ "chatId": chat, "messageId": ids[1], "body": text });
        socket.request("editMessage", edit).await;
    }
    socket.request("deleteMessage", json!({ "chatId": chat, "messageId": ids[2] })).await;
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 4 }] });
    let synced = socket.request("sync", known).await;
    let changes = &synced["chats"][0];
    assert_eq!(changes["toSeq"], 7);
    let states: Vec<(&Value, &Value)> = changes["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (&message["seq"], &message["body"]))
        .collect();
    assert_eq!(states, [(&json!(3), &json!("twice")), (&json!(4), &Value::Null)]);
    assert_eq!(changes["members"], json!([]));
    assert!(changes.get("chat").is_none(), "the chat itself has not changed: {changes:#}");

    let path = format!("/chats/{chat}/changes?afterSeq=4");
    assert_eq!(ann.http.get(&path).await.expect(200).body, *changes, "REST says the same");
    let whole = ann.http.get(&format!("/chats/{chat}/changes")).await.expect(200);
    assert_eq!(whole.body["chat"]["id"], *chat);
    assert_eq!(whole.body["members"][0]["user"]["id"], *ann.id);
}

#[tokio::test]
async fn join_chat_with_a_seq_catches_up_too() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut writer = app.connect(&ann).await;
    for n in 0..4 {
        writer.say(&chat, &n.to_string()).await;
    }
    let mut reader = app.connect(&bob).await;
    let joined = reader.request("joinChat", json!({ "chatId": chat, "afterSeq": 2 })).await;
    assert_eq!(joined["chat"]["lastSeq"], 5);
    assert_eq!(joined["changes"]["messages"].as_array().unwrap().len(), 3);
    assert_eq!(joined["changes"]["complete"], true);
    let receipts = joined["receipts"].as_array().unwrap();
    assert_eq!((&receipts[0]["userId"], &receipts[0]["readSeq"]), (&json!(ann.id), &json!(5)));
    writer.say(&chat, "live").await;
    reader.events(&chat, 5, 6).await;
    let stranger = json!({ "chatId": Uuid::now_v7(), "afterSeq": 0 });
    assert_eq!(reader.refused("joinChat", stranger).await, "notFound");
}

/// A reader asks again and again while sends go on: no hole, and nothing twice.
#[tokio::test]
async fn a_reader_a_thousand_messages_behind_catches_up_under_load() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let load = Load::start(&[nodes[0].address], &ann.token, &chat);
    load.goes_on_by(1_000).await;
    let mut reader = nodes[1].connect(&bob).await;
    let (found, to) = caught_up(&mut reader, &chat, 1).await;
    assert_eq!(found, (2..=to).collect::<Vec<_>>(), "each once, without a hole");
    assert!(to > 1_000);
    reader.events(&chat, to, to + 100).await;
    // Again in the middle of the stream, from further back.
    let (found, to) = caught_up(&mut reader, &chat, to - 50).await;
    assert!(found.is_sorted() && found.last() == Some(&to));
    let reader = reader.follow(&chat);
    load.goes_on_by(50).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    let last = check_chat(&nodes[0], &chat, &outcome.sent).await;
    assert_eq!(seqs(&reader.up_to(last).await), (to + 1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_an_incomplete_page_no_push_comes_until_the_rest_was_asked_for() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut writer = app.connect(&ann).await;
    let mut asked = Vec::new();
    for n in 0..150 {
        asked.push(writer.ask("sendMessage", message(&chat, &n.to_string())).await);
    }
    for id in asked {
        assert_eq!(writer.answer(&id).await["ok"], true);
    }
    let mut reader = app.connect(&bob).await;
    let known = |after: i64| json!({ "chats": [{ "chatId": chat, "afterSeq": after }] });
    let first = reader.request("sync", known(1)).await;
    assert_eq!(first["chats"][0]["complete"], false, "a page holds 100");
    let to = first["chats"][0]["toSeq"].as_i64().unwrap();
    writer.say(&chat, "meanwhile").await;
    writer.push("messageCreated").await;
    reader.expect_silence("messageCreated", A_WHILE).await;
    let (found, last) = caught_up(&mut reader, &chat, to).await;
    assert_eq!(found, (to + 1..=152).collect::<Vec<_>>());
    writer.say(&chat, "live").await;
    reader.events(&chat, last, 153).await;
}

#[tokio::test]
async fn long_texts_come_in_pages_that_fit_and_get_on() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let body = "\u{1F600}".repeat(8_000);
    for _ in 0..20 {
        socket.say(&chat, &body).await;
    }
    let mut reader = app.connect(&ann).await;
    let (found, last) = caught_up(&mut reader, &chat, 1).await;
    assert_eq!((found, last), ((2..=21).collect(), 21));
}
