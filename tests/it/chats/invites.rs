//! Invite links: F46.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Person, TestApp};

async fn invite(person: &Person, chat: &str, body: serde_json::Value) -> Answer {
    person.http.post(&format!("/chats/{chat}/invites"), body).await
}

async fn join(person: &Person, code: &str) -> Answer {
    person.http.post(&format!("/invites/{code}/join"), json!({})).await
}

#[tokio::test]
async fn a_link_shows_the_chat_and_lets_in() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[]).await;
    let made = invite(&ann, &chat, json!({})).await.expect(201);
    let code = made.text("/code");
    assert_eq!(code.len(), 22, "128 bits");
    assert!(made.text("/url").ends_with(&format!("/invites/{code}")));
    assert_eq!((&made.body["uses"], &made.body["maxUses"]), (&json!(0), &json!(null)));

    let preview = bob.http.get(&format!("/invites/{code}")).await.expect(200).body;
    assert_eq!((&preview["title"], &preview["memberCount"]), (&json!("a group"), &json!(1)));
    let mut socket = nodes[1].connect(&bob).await;
    let joined = join(&bob, &code).await.expect(200);
    assert_eq!((joined.text("/id"), joined.text("/role")), (chat.clone(), "member".into()));
    let event = &socket.events(&chat, 1, 2).await[0];
    assert_eq!((&event["event"], &event["data"]["by"]), (&json!("memberJoined"), &json!(bob.id)));
    // Once in, it takes no further use.
    join(&bob, &code).await.expect(200);
    let list = ann.http.get(&format!("/chats/{chat}/invites")).await.expect(200);
    assert_eq!(list.items()[0]["uses"], 1);
}

#[tokio::test]
async fn what_is_no_good_any_more_looks_as_if_it_never_was() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[]).await;
    let revoked = invite(&ann, &chat, json!({})).await.expect(201).text("/code");
    ann.http.delete(&format!("/chats/{chat}/invites/{revoked}")).await.expect(204);
    ann.http
        .delete(&format!("/chats/{chat}/invites/{revoked}"))
        .await
        .expect_problem(404, "notFound");
    let expired = invite(&ann, &chat, json!({ "expiresAt": "2999-01-01T00:00:00Z" })).await;
    let expired = expired.expect(201).text("/code");
    app.sql(
        "update chat_invites set expires_at = now() where chat_id = $1 and expires_at is not null",
        Some(&chat),
    )
    .await;
    let ended = bob.group(&[]).await;
    let of_ended = invite(&bob, &ended, json!({})).await.expect(201).text("/code");
    bob.http.delete(&format!("/chats/{ended}")).await.expect(204);

    let never = "AAAAAAAAAAAAAAAAAAAAAA";
    let mut seen = Vec::new();
    for code in [&revoked, &expired, &of_ended, never, "short", "%27%20or%201%3D1"] {
        let shown = bob.http.get(&format!("/invites/{code}")).await.expect_problem(404, "notFound");
        let joined = join(&bob, code).await.expect_problem(404, "notFound");
        seen.extend([shown.text("/detail"), joined.text("/detail")]);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let list = ann.http.get(&format!("/chats/{chat}/invites")).await.expect(200);
    assert!(list.items().is_empty());
    for (wrong, at) in [
        (json!({ "maxUses": 0 }), "maxUses"),
        (json!({ "expiresAt": "2001-01-01T00:00:00Z" }), "expiresAt"),
    ] {
        let answer = invite(&ann, &chat, wrong).await.expect_problem(422, "invalid");
        assert_eq!(answer.error_paths(), [at]);
    }
}

/// R-AZ-4: the last use of a link is taken once, by however many nodes it is asked for.
#[tokio::test]
async fn fifty_at_once_on_the_last_use_are_one() {
    let nodes = TestApp::cluster(3).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    let code = invite(&ann, &chat, json!({ "maxUses": 1 })).await.expect(201).text("/code");
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(nodes[number % 3].person(&format!("guest{number}")).await);
    }
    let joins = people.iter().enumerate().map(|(number, person)| {
        let http = person.at(&nodes[(number + 1) % 3]);
        let path = format!("/invites/{code}/join");
        async move { http.post(&path, json!({})).await.status }
    });
    let mut outcomes = futures_util::future::join_all(joins).await;
    outcomes.sort_unstable();
    assert_eq!(outcomes[0], 200);
    assert!(outcomes[1..].iter().all(|status| *status == 404), "{outcomes:?}");
    let view = ann.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!((&view["memberCount"], &view["lastSeq"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn the_banned_stay_out_until_an_admin_adds_them() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let code = invite(&ann, &chat, json!({})).await.expect(201).text("/code");
    let member = format!("/chats/{chat}/members/{}", bob.id);
    ann.http.delete(&format!("{member}?ban=true")).await.expect(204);
    join(&bob, &code).await.expect_problem(403, "forbidden");
    ann.http
        .post(&format!("/chats/{chat}/members"), json!({ "userIds": [bob.id] }))
        .await
        .expect(200);
    ann.http.delete(&member).await.expect(204);
    join(&bob, &code).await.expect(200);
    // Banned after they had gone by themselves.
    bob.http.delete(&format!("/chats/{chat}/leave")).await.expect(204);
    ann.http.delete(&member).await.expect_problem(404, "notFound");
    ann.http.delete(&format!("{member}?ban=true")).await.expect(204);
    join(&bob, &code).await.expect_problem(403, "forbidden");
    let odd = ann.http.request(Method::DELETE, &format!("{member}?ban=maybe"));
    Answer::of(odd).await.expect_problem(422, "invalid");
}
