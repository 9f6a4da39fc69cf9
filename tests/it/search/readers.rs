//! Who finds what.

use serde_json::json;

use super::is_indexed;
use crate::harness::TestApp;

/// R-AZ-6: a search finds what its reader may read, at this moment.
#[tokio::test]
async fn only_present_members_find_what_is_said() {
    let app = TestApp::start().await;
    let [ann, bob, eve, gone] = app.people(["ann", "bob", "eve", "gone"]).await;
    let chat = ann.group(&[&bob, &gone]).await;
    let text = "a secret word";
    gone.says(&chat, text).await;
    is_indexed(&app).await;
    for member in [&ann, &bob, &gone] {
        assert_eq!(member.looks_for("secret").await, [text]);
        assert_eq!(member.looks_with(&[("q", "secret"), ("chatId", &chat)]).await, [text]);
    }
    assert_eq!(eve.looks_for("secret").await, [""; 0]);
    let in_chat = [("q", "secret"), ("chatId", chat.as_str())];
    let told = eve.search(&in_chat).await.expect_problem(404, "notFound");
    let nowhere = "01890000-0000-7000-8000-000000000000";
    let missing = eve.search(&[("q", "secret"), ("chatId", nowhere)]).await;
    assert_eq!(told.body["detail"], missing.expect_problem(404, "notFound").body["detail"]);

    // Whoever is removed finds nothing from that moment on, not even their own.
    ann.http.delete(&format!("/chats/{chat}/members/{}", gone.id)).await.expect(204);
    assert_eq!(gone.looks_for("secret").await, [""; 0]);
    gone.search(&in_chat).await.expect_problem(404, "notFound");
    assert_eq!(bob.looks_for("secret").await, [text], "what they said stays");

    // Whoever comes later finds what was said before.
    ann.http
        .post(&format!("/chats/{chat}/members"), json!({ "userIds": [eve.id] }))
        .await
        .expect(200);
    assert_eq!(eve.looks_for("secret").await, [text]);
    ann.http.delete(&format!("/chats/{chat}")).await.expect(204);
    for person in [&ann, &bob, &eve] {
        assert_eq!(person.looks_for("secret").await, [""; 0], "the chat is gone");
    }
}

/// R-AZ-6, R-PR-1: what is hidden is not found; the direct chat of the two stays readable.
#[tokio::test]
async fn what_blocked_people_wrote_in_groups_is_not_found() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let group = ann.group(&[&bob, &eve]).await;
    let direct = ann.direct(&bob).await.expect(201).text("/id");
    bob.says(&group, "word of bob in the group").await;
    bob.says(&direct, "word of bob to ann").await;
    ann.says(&group, "word of ann").await;
    eve.says(&group, "word of eve").await;
    // Enough of others that the index is asked.
    for n in 0..20 {
        eve.says(&group, &format!("other {n}")).await;
    }
    is_indexed(&app).await;
    ann.http.post(&format!("/user/block/{}", bob.id), json!({})).await.expect(204);
    assert_eq!(ann.looks_for("word").await, ["word of eve", "word of ann", "word of bob to ann"]);
    let by_bob = [("q", "word"), ("from", bob.id.as_str())];
    assert_eq!(ann.looks_with(&by_bob).await, ["word of bob to ann"]);
    assert_eq!(ann.looks_with(&[("q", "word"), ("chatId", &group)]).await.len(), 2);
    assert_eq!(bob.looks_for("word").await.len(), 4, "only the blocker sees the block");
    assert_eq!(eve.looks_for("word").await.len(), 3);
    ann.http.delete(&format!("/user/block/{}", bob.id)).await.expect(204);
    assert_eq!(ann.looks_for("word").await.len(), 4);
}

/// As messages stay, so they are found.
#[tokio::test]
async fn what_deleted_accounts_wrote_is_found() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    bob.says(&chat, "my last words").await;
    is_indexed(&app).await;
    let password = json!({ "password": crate::harness::PASSWORD });
    bob.http.delete_with("/user", password).await.expect(204);
    assert_eq!(ann.looks_for("last words").await, ["my last words"]);
}
