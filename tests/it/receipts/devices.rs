//! One's own other sockets are told what one did to a chat, and nobody else is.

use chat_service::receipts::LIVE_MEMBERS;
use serde_json::{Value, json};

use super::{mark, open, say};
use crate::harness::{A_WHILE, TestApp};

#[tokio::test]
async fn the_other_devices_hear_of_marks_pins_and_mutes() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    open(&mut by_ann, &chat).await;
    let (mut desk, mut phone) = (nodes[1].connect(&bob).await, nodes[2].connect(&bob).await);
    say(&mut by_ann, &chat, 4).await;
    mark(&mut desk, &chat, 3).await;
    let mut state = json!({
        "chatId": chat, "readSeq": 3, "unreadCount": 2, "pinned": false, "mutedUntil": null,
    });
    assert_eq!(phone.push("chatStateChanged").await, state);
    desk.expect_silence("chatStateChanged", A_WHILE / 2).await;

    // Over REST there is no socket that would know already.
    bob.http.patch(&format!("/chats/{chat}/pin"), json!({ "pinned": true })).await.expect(200);
    state["pinned"] = json!(true);
    for device in [&mut desk, &mut phone] {
        assert_eq!(device.push("chatStateChanged").await, state);
    }
    let until = "2090-01-01T00:00:00.000Z";
    bob.http.patch(&format!("/chats/{chat}/mute"), json!({ "until": until })).await.expect(200);
    state["mutedUntil"] = json!(until);
    for device in [&mut desk, &mut phone] {
        assert_eq!(device.push("chatStateChanged").await, state);
    }
    bob.at(&nodes[2]).patch(&format!("/chats/{chat}/read"), json!({})).await.expect(200);
    (state["readSeq"], state["unreadCount"]) = (json!(5), json!(0));
    for device in [&mut desk, &mut phone] {
        assert_eq!(device.push("chatStateChanged").await, state);
    }
    by_ann.expect_silence("chatStateChanged", A_WHILE).await;
    let told: Vec<Value> = by_ann.take_pushes();
    let told = told.iter().filter(|push| push["event"] == "readReceipt");
    assert!(told.count() >= 2, "she only hears of reading");
}

/// In a large chat each mark would be a push to everybody.
#[tokio::test]
async fn in_a_large_chat_marks_are_asked_for() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let last = say(&mut by_ann, &chat, 4).await;
    let size = |members: i32| format!("update chats set member_count = {members} where id = $1");
    let resize = async |members| {
        let mut db = app.database.connect().await;
        let sql = sqlx::AssertSqlSafe(size(members));
        let chat: uuid::Uuid = chat.parse().unwrap();
        sqlx::query(sql).bind(chat).execute(&mut db).await.unwrap();
    };
    resize(LIVE_MEMBERS + 1).await;
    assert_eq!(open(&mut by_ann, &chat).await["receipts"], json!([]));
    mark(&mut by_bob, &chat, 3).await;
    by_ann.expect_silence("readReceipt", A_WHILE).await;
    let listed = ann.http.get(&format!("/chats/{chat}/receipts")).await.expect(200);
    assert_eq!(listed.items().len(), 2, "{:#}", listed.body);
    resize(LIVE_MEMBERS).await;
    assert_eq!(open(&mut by_ann, &chat).await["receipts"].as_array().unwrap().len(), 2);
    mark(&mut by_bob, &chat, last).await;
    assert_eq!(by_ann.push("readReceipt").await["readSeq"], last);
}
