//! Catching up costs what changed, not what happened.

use serde_json::{Value, json};

use crate::harness::{Socket, TestApp, message};

const MESSAGES: usize = 50;
const CHANGES: usize = 10_000;

/// Requests under way at once.
const WINDOW: usize = 200;

/// The `n`th of many changes to a few messages.
fn change(chat: &str, ids: &[String], n: usize) -> (&'static str, Value) {
    let id = &ids[n % ids.len()];
    // Each message in turn gets a text, a reaction, loses it, and gets two texts more.
    match n / ids.len() % 5 {
        1 => ("addReaction", json!({ "chatId": chat, "messageId": id, "emoji": "👍" })),
        2 => ("removeReaction", json!({ "chatId": chat, "messageId": id, "emoji": "👍" })),
        _ => {
            let body = format!("a text as long as people write them, for the {n}th time");
            ("editMessage", json!({ "chatId": chat, "messageId": id, "body": body }))
        }
    }
}

async fn write(socket: &mut Socket, chat: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..MESSAGES {
        let sent = socket.request("sendMessage", message(chat, &format!("message {n}"))).await;
        ids.push(sent["messageId"].as_str().expect("an id").to_owned());
    }
    ids
}

#[tokio::test]
async fn ten_thousand_changes_to_fifty_messages_are_fifty_messages() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut writer = nodes[0].connect(&ann).await;
    let ids = write(&mut writer, &chat).await;
    let known = i64::try_from(MESSAGES).expect("few") + 1;
    let mut last = known;
    for from in (0..CHANGES).step_by(WINDOW) {
        let mut asked = Vec::with_capacity(WINDOW);
        for n in from..from + WINDOW {
            let (event, data) = change(&chat, &ids, n);
            asked.push(writer.ask(event, data).await);
        }
        for id in asked {
            let answer = writer.answer(&id).await;
            last = last.max(answer["data"]["seq"].as_i64().expect("it is done"));
        }
        writer.take_pushes();
    }
    assert_eq!(last, known + i64::try_from(CHANGES).expect("few"), "each was an event");

    let rows = nodes[1].metric("chat_sync_rows_total").await;
    let mut reader = nodes[1].connect(&bob).await;
    let request = json!({ "chats": [{ "chatId": chat, "afterSeq": known }] });
    let synced = reader.request("sync", request).await;
    let rows = nodes[1].metric("chat_sync_rows_total").await - rows;
    let [changes] = synced["chats"].as_array().expect("as the contract says").as_slice() else {
        panic!("{synced:#}")
    };
    assert_eq!((&changes["complete"], &changes["toSeq"]), (&json!(true), &json!(last)));
    let messages = changes["messages"].as_array().expect("as the contract says");
    let got: Vec<&str> = messages.iter().filter_map(|message| message["id"].as_str()).collect();
    assert_eq!(got, ids.iter().map(String::as_str).collect::<Vec<_>>());
    let bytes = synced.to_string().len();
    println!("{CHANGES} changes to {MESSAGES} messages: {bytes} bytes, {rows} rows");
    assert!(bytes < MESSAGES * 1_024, "{bytes} bytes for {MESSAGES} messages");
    assert!((1.0..200.0).contains(&rows), "{rows} rows for {MESSAGES} messages");
}
