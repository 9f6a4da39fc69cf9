//! Pinning: for oneself alone.

use serde_json::json;

use super::ids;
use crate::harness::{Answer, Person, TestApp};

async fn pin(person: &Person, chat: &str, pinned: bool) -> Answer {
    person.http.patch(&format!("/chats/{chat}/pin"), json!({ "pinned": pinned })).await
}

#[tokio::test]
async fn pinned_chats_come_first_and_have_a_list_of_their_own() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let mut chats = Vec::new();
    for _ in 0..4 {
        chats.push(ann.group(&[&bob]).await);
    }
    assert_eq!(pin(&ann, &chats[1], true).await.expect(200).body["pinned"], true);
    pin(&ann, &chats[0], true).await.expect(200);
    pin(&ann, &chats[0], true).await.expect(200);
    let listed = ids(&ann.http.get("/chats").await.expect(200));
    let order = [&chats[1], &chats[0], &chats[3], &chats[2]];
    assert_eq!(listed.iter().collect::<Vec<_>>(), order, "pinned, then by activity");
    let pinned = ids(&ann.http.get("/chats/pinned").await.expect(200));
    assert_eq!(pinned.iter().collect::<Vec<_>>(), order[..2]);
    let part = ann.http.get("/chats/pinned?limit=1").await.expect(200);
    let rest = format!("/chats/pinned?limit=1&cursor={}", part.text("/nextCursor"));
    assert_eq!(ids(&ann.http.get(&rest).await.expect(200)), [chats[0].clone()]);
    assert!(bob.http.get("/chats/pinned").await.expect(200).items().is_empty(), "for oneself");

    assert_eq!(pin(&ann, &chats[1], false).await.expect(200).body["pinned"], false);
    pin(&ann, &chats[1], false).await.expect(200);
    assert_eq!(ids(&ann.http.get("/chats/pinned").await.expect(200)), [chats[0].clone()]);
    for pinned in [true, false] {
        pin(&eve, &chats[0], pinned).await.expect_problem(404, "notFound");
    }
    let path = format!("/chats/{}/pin", chats[0]);
    ann.http.patch(&path, json!({})).await.expect_problem(422, "invalid");
}

#[tokio::test]
async fn a_pin_ends_with_the_membership_and_there_are_so_many() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    pin(&bob, &chat, true).await.expect(200);
    bob.http.delete(&format!("/chats/{chat}/leave")).await.expect(204);
    pin(&bob, &chat, true).await.expect_problem(404, "notFound");
    let body = json!({ "userIds": [bob.id] });
    ann.http.post(&format!("/chats/{chat}/members"), body).await.expect(200);
    let found = bob.http.get(&format!("/chats/{chat}")).await.expect(200);
    assert_eq!(found.body["pinned"], false);

    let mut chats = Vec::new();
    for _ in 0..101 {
        chats.push(ann.group(&[]).await);
    }
    for chat in &chats[..100] {
        pin(&ann, chat, true).await.expect(200);
    }
    pin(&ann, &chats[100], true).await.expect_problem(409, "conflict");
    pin(&ann, &chats[3], true).await.expect(200);
    pin(&ann, &chats[3], false).await.expect(200);
    pin(&ann, &chats[100], true).await.expect(200);
    // A chat that has ended takes no place.
    ann.http.delete(&format!("/chats/{}", chats[5])).await.expect(204);
    pin(&ann, &chats[3], true).await.expect(200);
}
