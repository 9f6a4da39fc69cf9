//! Muting: for oneself alone, until a moment.

use std::time::Duration;

use chat_service::model::time::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp, eventually};

async fn mute(person: &Person, chat: &str, until: Value) -> Answer {
    person.http.patch(&format!("/chats/{chat}/mute"), json!({ "until": until })).await
}

#[tokio::test]
async fn a_chat_is_muted_until_then_and_by_oneself_alone() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob]).await;
    let muted = mute(&ann, &chat, json!("2090-05-06T07:08:09.010+02:00")).await.expect(200);
    assert_eq!(muted.body["mutedUntil"], "2090-05-06T05:08:09.010Z");
    let path = format!("/chats/{chat}");
    assert_eq!(bob.http.get(&path).await.expect(200).body["mutedUntil"], Value::Null);
    assert_eq!(mute(&ann, &chat, Value::Null).await.expect(200).body["mutedUntil"], Value::Null);

    // What is past is over, without anybody's doing.
    let soon = Timestamp::from_unix_millis(Timestamp::now().unix_millis() + 700);
    mute(&ann, &chat, json!(soon)).await.expect(200);
    eventually("it ends", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ann.http.get(&path).await.expect(200).body["mutedUntil"].is_null()
    })
    .await;

    for bad in [
        json!("2020-01-01T00:00:00Z"),
        json!("9000-01-01T00:00:00Z"),
        json!("tomorrow"),
        json!(1_700_000_000),
        json!(""),
    ] {
        mute(&ann, &chat, bad).await.expect_problem(422, "invalid");
    }
    let path = format!("/chats/{chat}/mute");
    ann.http.patch(&path, json!({})).await.expect_problem(422, "invalid");
    mute(&eve, &chat, Value::Null).await.expect_problem(404, "notFound");

    mute(&bob, &chat, json!("2090-01-01T00:00:00Z")).await.expect(200);
    bob.http.delete(&format!("/chats/{chat}/leave")).await.expect(204);
    let body = json!({ "userIds": [bob.id] });
    ann.http.post(&format!("/chats/{chat}/members"), body).await.expect(200);
    let found = bob.http.get(&format!("/chats/{chat}")).await.expect(200);
    assert_eq!(found.body["mutedUntil"], Value::Null, "a membership begins anew");
}
