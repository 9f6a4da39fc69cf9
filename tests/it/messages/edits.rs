//! Editing and deleting.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Person, Socket, TestApp, message};

async fn send(socket: &mut Socket, chat: &str, body: &str) -> String {
    let sent = socket.request("sendMessage", message(chat, body)).await;
    sent["messageId"].as_str().expect("an id").to_owned()
}

async fn patch(person: &Person, path: &str, body: Value) -> Answer {
    Answer::of(person.http.request(reqwest::Method::PATCH, path).json(&body)).await
}

#[tokio::test]
async fn an_edited_message_keeps_its_place_and_its_versions() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let id = send(&mut by_ann, &chat, "first").await;
    let edit = |body: &str| json!({ "chatId": chat, "messageId": id, "body": body });
    assert_eq!(by_ann.request("editMessage", edit("second")).await, json!({ "seq": 3 }));
    let path = format!("/chats/{chat}/messages/{id}");
    let edited = patch(&ann, &path, json!({ "body": "third " })).await.expect(200);
    assert_eq!((&edited.body["body"], &edited.body["seq"]), (&json!("third "), &json!(2)));
    assert!(edited.body["editedAt"].is_string());

    let events = by_bob.events(&chat, 1, 4).await;
    assert_eq!(events[1]["event"], "messageEdited");
    assert_eq!(events[1]["data"]["message"]["body"], "second");
    assert_eq!(events[1]["data"]["message"]["seq"], 2);
    assert_eq!(events[2]["data"]["message"]["body"], "third ");
    let versions = bob.http.get(&format!("{path}/edits")).await.expect(200);
    let versions: Vec<(&Value, &Value)> =
        versions.items().iter().map(|edit| (&edit["version"], &edit["body"])).collect();
    let expected =
        [(json!(1), json!("first")), (json!(2), json!("second")), (json!(3), json!("third "))];
    assert_eq!(versions, expected.iter().map(|(v, b)| (v, b)).collect::<Vec<_>>());

    // The same text again is no event.
    assert_eq!(by_ann.request("editMessage", edit("third ")).await, json!({ "seq": 4 }));
    assert_eq!(by_ann.say(&chat, "next").await, 5);
    for wrong in ["", "a\u{0}b", &"x".repeat(8_001)] {
        assert_eq!(by_ann.refused("editMessage", edit(wrong)).await, "invalid");
        patch(&ann, &path, json!({ "body": wrong })).await.expect_problem(422, "invalid");
    }
}

/// However often something was edited, an answer is bounded; by the sizes of the texts, too.
#[tokio::test]
async fn versions_come_in_parts_the_present_one_last() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = send(&mut socket, &chat, "version 1").await;
    for n in 2..=25 {
        let long = if n > 12 { "\u{1F642}".repeat(7_900) } else { String::new() };
        let body = format!("version {n}{long}");
        let data = json!({ "chatId": chat, "messageId": id, "body": body });
        socket.request("editMessage", data).await;
    }
    let path = format!("/chats/{chat}/messages/{id}/edits");
    for (limit, parts) in [(50, 2), (25, 2), (10, 3), (7, 4)] {
        let (mut versions, mut cursor, mut found) = (Vec::new(), String::new(), 0);
        loop {
            let part = ann.http.get(&format!("{path}?limit={limit}{cursor}")).await.expect(200);
            assert!(part.items().len() <= limit);
            found += 1;
            for edit in part.items() {
                let version = edit["version"].as_i64().unwrap();
                let body = edit["body"].as_str().unwrap();
                assert!(body.starts_with(&format!("version {version}")));
                versions.push(version);
            }
            let Some(next) = part.body["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((versions, found), ((1..=25).collect(), parts), "limit {limit}");
    }
    for bad in ["?limit=0", "?limit=101", "?cursor=%25", "?cursor=YWJj"] {
        ann.http.get(&format!("{path}{bad}")).await.expect_problem(422, "invalid");
    }
}

#[tokio::test]
async fn nobody_edits_anothers_text() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let id = send(&mut by_bob, &chat, "of bob").await;
    let edit = json!({ "chatId": chat, "messageId": id, "body": "of ann" });
    assert_eq!(by_ann.refused("editMessage", edit.clone()).await, "forbidden");
    let path = format!("/chats/{chat}/messages/{id}");
    let body = json!({ "body": "of ann" });
    patch(&ann, &path, body.clone()).await.expect_problem(403, "forbidden");
    let missing = format!("/chats/{chat}/messages/{}", Uuid::now_v7());
    patch(&ann, &missing, body).await.expect_problem(404, "notFound");
    assert_eq!(bob.http.get(&path).await.expect(200).body["body"], "of bob");
}

#[tokio::test]
async fn a_deleted_message_leaves_its_place_alone() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let id = send(&mut by_bob, &chat, "a secret").await;
    let path = format!("/chats/{chat}/messages/{id}");
    patch(&bob, &path, json!({ "body": "a better secret" })).await.expect(200);
    let named = json!({ "chatId": chat, "messageId": id });
    assert_eq!(by_bob.request("deleteMessage", named.clone()).await, json!({ "seq": 4 }));
    let events = by_ann.events(&chat, 1, 4).await;
    let expected =
        json!({ "chatId": chat, "seq": 4, "messageId": id, "messageSeq": 2, "by": bob.id });
    assert_eq!(events[2], json!({ "event": "messageDeleted", "data": expected }));

    let tombstone = ann.http.get(&path).await.expect(200).body;
    assert_eq!((&tombstone["body"], &tombstone["files"]), (&Value::Null, &json!([])));
    assert_eq!((&tombstone["seq"], &tombstone["senderId"]), (&json!(2), &json!(bob.id)));
    assert!(tombstone["deletedAt"].is_string());
    let versions = bob.http.get(&format!("{path}/edits")).await.expect(200);
    assert_eq!(versions.items(), &[] as &[Value], "no version of it is left");
    let page = ann.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
    assert_eq!(page.items().len(), 1);
    let changes = ann.http.get(&format!("/chats/{chat}/changes")).await.expect(200);
    for seen in [page.body, changes.body] {
        assert!(!seen.to_string().contains("secret"), "{seen:#}");
    }
    let mut db = app.database.connect().await;
    let kept: i64 = sqlx::query_scalar(
        "select (select count(*) from messages where body like '%secret%')
              + (select count(*) from message_edits)
              + (select count(*) from chat_events where data::text like '%secret%')",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(kept, 0, "the text is gone from the database");

    let edit = json!({ "chatId": chat, "messageId": id, "body": "again" });
    assert_eq!(by_bob.refused("editMessage", edit).await, "conflict");
    patch(&bob, &path, json!({ "body": "again" })).await.expect_problem(409, "conflict");
    // Deleted is deleted: the second time is no event.
    assert_eq!(by_bob.request("deleteMessage", named).await, json!({ "seq": 4 }));
    bob.http.delete(&path).await.expect(204);
    assert_eq!(by_bob.say(&chat, "next").await, 5);
}

#[tokio::test]
async fn others_messages_are_deleted_by_higher_roles_alone() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let (mut by_ann, mut by_bob, mut by_eve) =
        (app.connect(&ann).await, app.connect(&bob).await, app.connect(&eve).await);
    let of_ann = send(&mut by_ann, &chat, "of the owner").await;
    let of_bob = send(&mut by_bob, &chat, "of bob").await;
    let of_eve = send(&mut by_eve, &chat, "of eve").await;
    let named = |id: &str| json!({ "chatId": chat, "messageId": id });

    assert_eq!(by_bob.refused("deleteMessage", named(&of_eve)).await, "forbidden");
    let path = format!("/chats/{chat}/messages/{of_eve}");
    bob.http.delete(&path).await.expect_problem(403, "forbidden");
    let raise = "update chat_members set role = 'moderator' where user_id = $1";
    app.sql(raise, Some(&bob.id)).await;
    app.sql(raise, Some(&eve.id)).await;
    assert_eq!(by_bob.refused("deleteMessage", named(&of_eve)).await, "forbidden", "an equal role");
    assert_eq!(by_bob.refused("deleteMessage", named(&of_ann)).await, "forbidden", "a higher one");
    let lower = "update chat_members set role = 'member' where user_id = $1";
    app.sql(lower, Some(&eve.id)).await;
    by_bob.request("deleteMessage", named(&of_eve)).await;
    by_ann.request("deleteMessage", named(&of_bob)).await;
    by_ann.request("deleteMessage", named(&of_ann)).await;
    let missing = Uuid::now_v7().to_string();
    assert_eq!(by_ann.refused("deleteMessage", named(&missing)).await, "notFound");
}
