//! Groups, and the list of chats.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Person, TestApp, message};

#[tokio::test]
async fn a_group_is_made_with_its_first_members() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let title = "  caf\u{e9} \u{1F600} ";
    // Naming oneself, or somebody twice, changes nothing.
    let members = [&bob.id, &eve.id, &bob.id, &ann.id];
    let body = json!({ "title": title, "description": "of two lines\n", "memberIds": members });
    let made = ann.http.post("/chats", body).await.expect(201).body;
    assert_eq!((&made["kind"], &made["title"]), (&json!("group"), &json!(title)));
    assert_eq!(made["description"], "of two lines\n");
    assert_eq!((&made["memberCount"], &made["role"]), (&json!(3), &json!("owner")));
    assert_eq!((&made["lastSeq"], &made["unreadCount"]), (&json!(1), &json!(0)));
    assert_eq!((&made["lastMessage"], &made["mutedUntil"]), (&Value::Null, &Value::Null));
    assert!(made.get("peer").is_none());

    let chat = made["id"].as_str().unwrap();
    let path = format!("/chats/{chat}");
    assert_eq!(bob.http.get(&path).await.expect(200).body["role"], "member");
    let list = bob.http.get(&format!("{path}/members")).await.expect(200);
    let mut names: Vec<(String, String)> = list
        .items()
        .iter()
        .map(|member| {
            let text =
                |pointer: &str| member.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            (text("/user/username"), text("/role"))
        })
        .collect();
    names.sort_unstable();
    let expected = [("ann", "owner"), ("bob", "member"), ("eve", "member")];
    assert_eq!(names, expected.map(|(name, role)| (name.to_owned(), role.to_owned())));
}

#[tokio::test]
async fn what_is_wrong_with_a_group_is_said() {
    let app = TestApp::start_with(&[("MEMBERS_PER_CALL", "3")]).await;
    let ann = app.person("ann").await;
    let strangers: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
    let wrong = [
        (json!({ "title": "" }), "title"),
        (json!({ "title": "x".repeat(129) }), "title"),
        (json!({ "title": "a\u{0}b" }), "title"),
        (json!({ "title": "a", "description": "x".repeat(2_001) }), "description"),
        (json!({ "title": "a", "memberIds": strangers }), "memberIds"),
        (json!({ "title": "a", "ownerId": strangers[0] }), "ownerId"),
        (json!({}), "title"),
    ];
    for (body, path) in wrong {
        let shown = body.to_string();
        let answer = ann.http.post("/chats", body).await.expect_problem(422, "invalid");
        assert_eq!(answer.error_paths(), [path], "{shown:.200}");
    }
    let body = json!({ "title": "a", "memberIds": &strangers[..1] });
    ann.http.post("/chats", body).await.expect_problem(404, "notFound");
    assert_eq!(ann.http.get("/chats").await.expect(200).items(), &[] as &[Value]);
}

async fn chat_of(person: &Person, chat: &str) -> (i64, i64) {
    let body = person.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    (
        body["readSeq"].as_i64().expect("a chat has it"),
        body["unreadCount"].as_i64().expect("a chat has it"),
    )
}

/// Guarantee 5, and I11 of the invariants.
#[tokio::test]
async fn sending_reads_for_the_sender_and_counts_for_the_others() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let mut last = String::new();
    for n in 0..3 {
        let data = message(&chat, &n.to_string());
        let sent = by_ann.request("sendMessage", data).await;
        sent["messageId"].as_str().unwrap().clone_into(&mut last);
    }
    assert_eq!(chat_of(&ann, &chat).await, (4, 0));
    assert_eq!(chat_of(&bob, &chat).await, (0, 3));
    by_ann.request("deleteMessage", json!({ "chatId": chat, "messageId": last })).await;
    assert_eq!(chat_of(&bob, &chat).await, (0, 3), "deleted ones count too");
    by_bob.say(&chat, "answer").await;
    assert_eq!(chat_of(&bob, &chat).await, (6, 0));
    assert_eq!(chat_of(&ann, &chat).await, (4, 1));
    let shown = ann.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!(shown["lastMessage"]["body"], "answer");
    assert_eq!(shown["lastSeq"], 6);
}

#[tokio::test]
async fn the_list_is_ordered_by_the_last_activity_and_comes_in_pages() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut chats = Vec::new();
    for _ in 0..5 {
        chats.push(ann.group(&[&bob]).await);
    }
    let mut socket = app.connect(&ann).await;
    for index in [2, 0, 4] {
        socket.say(&chats[index], "up").await;
    }
    let expected = [4, 0, 2, 3, 1].map(|index: usize| chats[index].clone());
    let mut listed = Vec::new();
    let mut path = "/chats?limit=2".to_owned();
    loop {
        let page = bob.http.get(&path).await.expect(200);
        listed.extend(page.items().iter().map(|chat| chat["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.body["nextCursor"].as_str() else { break };
        path = format!("/chats?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, expected);
    let pin = "update chat_members set pinned_at = now() where chat_id = $1";
    app.sql(pin, Some(&chats[1])).await;
    let first = &bob.http.get("/chats").await.expect(200).body["items"][0];
    assert_eq!((&first["id"], &first["pinned"]), (&json!(chats[1]), &json!(true)));
}
