//! A reader that is too slow is cut off, rather than slowing others or growing the node: F26.

use serde_json::json;

use crate::harness::{Socket, TestApp, eventually};

#[tokio::test]
async fn a_slow_reader_is_cut_off_resumes_and_disturbs_nobody() {
    const MESSAGES: i64 = 400;
    let app = TestApp::start_with(&[("SOCKET_OUTBOX_BYTES", "131072")]).await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let mut slow = Socket::connect_narrow(app.address, &bob.token).await;
    let healthy = app.connect(&eve).await.follow(&chat);
    let mut writer = app.connect(&ann).await;
    writer.request("subscribe", json!({ "events": [] })).await;
    // More than all buffers between the two hold.
    let body = "\u{1F600}".repeat(8_000);
    let writing = async {
        for _ in 0..MESSAGES {
            writer.say(&chat, &body).await;
        }
    };
    // The node waits a moment for whom it cuts off to read why.
    let being_cut_off = async {
        eventually("the slow reader is cut off", async || {
            app.metric("chat_slow_readers_total").await >= 1.0
        })
        .await;
        slow.closed().await
    };
    let ((), code) = tokio::join!(writing, being_cut_off);
    assert_eq!(code, 4408);
    let events = healthy.up_to(MESSAGES + 1).await;
    assert_eq!(events.len(), usize::try_from(MESSAGES).unwrap(), "the others got everything");

    // What had left the node before arrives still, in order.
    let mut last = 1;
    for push in slow.take_pushes() {
        assert_eq!(push["data"]["seq"], last + 1);
        last += 1;
    }
    assert!(last <= MESSAGES, "it was slow indeed");
    let mut resumed = app.connect(&bob).await;
    loop {
        let known = json!({ "chats": [{ "chatId": chat, "afterSeq": last }] });
        let synced = resumed.request("sync", known).await;
        let changes = &synced["chats"][0];
        for message in changes["messages"].as_array().unwrap() {
            assert_eq!(message["seq"], last + 1);
            last += 1;
        }
        if changes["complete"] == true {
            break;
        }
    }
    assert_eq!(last, MESSAGES + 1);
    assert!(app.metric("chat_slow_readers_total").await < 2.0);
}
