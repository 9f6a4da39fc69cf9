//! Coming, going and roles in groups: every cell of Role × Action, and what readers see of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Socket, TestApp, check_chat, message};

async fn patch(person: &Person, path: &str, body: Value) -> Answer {
    Answer::of(person.http.request(Method::PATCH, path).json(&body)).await
}

async fn add(actor: &Person, chat: &str, users: &[&Person]) -> Answer {
    let ids: Vec<&str> = users.iter().map(|person| person.id.as_str()).collect();
    actor.http.post(&format!("/chats/{chat}/members"), json!({ "userIds": ids })).await
}

async fn give(actor: &Person, chat: &str, user: &Person, role: &str) -> Answer {
    patch(actor, &format!("/chats/{chat}/members/{}", user.id), json!({ "role": role })).await
}

async fn remove(actor: &Person, chat: &str, user: &Person) -> Answer {
    actor.http.delete(&format!("/chats/{chat}/members/{}", user.id)).await
}

async fn role_of(person: &Person, chat: &str) -> String {
    person.http.get(&format!("/chats/{chat}")).await.expect(200).text("/role")
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn who_is_added_gets_the_chat_and_then_its_events_on_every_node() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (nodes[0].connect(&ann).await, nodes[1].connect(&bob).await);
    let (mut here, mut there) = (nodes[0].connect(&eve).await, nodes[1].connect(&eve).await);
    by_ann.say(&chat, "before").await;

    let added = add(&ann, &chat, &[&eve]).await.expect(200);
    assert_eq!(added.items().len(), 1);
    assert_eq!(added.text("/items/0/user/id"), eve.id);
    assert_eq!(added.text("/items/0/role"), "member");
    by_bob.say(&chat, "behind").await;

    for socket in [&mut here, &mut there] {
        let events = socket.events(&chat, 2, 4).await;
        assert_eq!(names(&events), ["memberJoined", "messageCreated"]);
        let joined = &events[0]["data"];
        assert_eq!((&joined["userId"], &joined["by"]), (&json!(eve.id), &json!(ann.id)));
        assert_eq!(
            (&joined["chat"]["id"], &joined["chat"]["role"]),
            (&json!(chat), &json!("member"))
        );
        assert_eq!(joined["chat"]["memberCount"], 3);
        assert_eq!(joined["chat"]["unreadCount"], 0);
    }
    let seen = by_bob.events(&chat, 1, 4).await;
    assert_eq!(names(&seen), ["messageCreated", "memberJoined", "messageCreated"]);
    assert_eq!(seen[1]["data"]["role"], "member");
    assert!(seen[1]["data"].get("chat").is_none(), "only for the one who joins");

    // History from before is theirs to read, and counts as read.
    let page = eve.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
    assert_eq!(page.items().len(), 2);
    let view = eve.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!((&view["readSeq"], &view["unreadCount"]), (&json!(3), &json!(1)));
    check_chat(&nodes[0], &chat, &[]).await;
}

#[tokio::test]
async fn who_is_removed_gets_that_last_and_nothing_behind_it() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (nodes[0].connect(&ann).await, nodes[1].connect(&bob).await);
    by_bob.request("joinChat", json!({ "chatId": chat })).await;
    remove(&ann, &chat, &bob).await.expect(204);
    by_ann.say(&chat, "among ourselves").await;

    let left = by_bob.events(&chat, 1, 2).await;
    assert_eq!(names(&left), ["memberLeft"]);
    assert_eq!(left[0]["data"]["by"], ann.id);
    assert_eq!(by_bob.refused("sendMessage", message(&chat, "still here?")).await, "notFound");
    assert_eq!(
        by_bob.refused("typing", json!({ "chatId": chat, "typing": true })).await,
        "notFound"
    );
    by_ann.request("typing", json!({ "chatId": chat, "typing": true })).await;
    by_bob.expect_silence("messageCreated", Duration::from_millis(300)).await;
    by_bob.expect_silence("typing", Duration::from_millis(10)).await;
    for path in ["", "/members", "/messages", "/changes"] {
        let answer = bob.http.get(&format!("/chats/{chat}{path}")).await;
        answer.expect_problem(404, "notFound");
    }
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 1 }] });
    assert_eq!(by_bob.request("sync", known).await["removed"], json!([chat]));

    // And back again: the same chat, the events go on.
    add(&ann, &chat, &[&bob]).await.expect(200);
    by_ann.say(&chat, "welcome back").await;
    let events = by_bob.events(&chat, 3, 5).await;
    assert_eq!(names(&events), ["memberJoined", "messageCreated"]);
    let changes = ann.http.get(&format!("/chats/{chat}/changes?afterSeq=1")).await.expect(200);
    assert_eq!(changes.body["left"], json!([]));
    assert_eq!(changes.text("/members/0/user/id"), bob.id);
}

/// R-AZ-1: each action by each role, and how many of the four it is granted to.
#[tokio::test]
async fn each_role_may_do_what_the_table_says() {
    let app = TestApp::start().await;
    let [owner, admin, moderator, member, guest] =
        app.people(["owner", "admin", "moderator", "member", "guest"]).await;
    let chat = owner.group(&[&admin, &moderator, &member]).await;
    give(&owner, &chat, &admin, "admin").await.expect(200);
    give(&owner, &chat, &moderator, "moderator").await.expect(200);
    let roles = [&member, &moderator, &admin, &owner];
    let path = format!("/chats/{chat}");

    for (rank, actor) in roles.into_iter().enumerate() {
        let may = |least: usize, good: u16| if rank >= least { good } else { 403 };
        let title = patch(actor, &path, json!({ "title": "new" })).await;
        assert_eq!(title.status, may(2, 200), "title by {rank}");
        let added = add(actor, &chat, &[&guest]).await;
        assert_eq!(added.status, may(2, 200), "add by {rank}");
        add(&owner, &chat, &[&guest]).await.expect(200);
        let removed = remove(actor, &chat, &guest).await;
        assert_eq!(removed.status, may(1, 204), "remove by {rank}");
        let invite = actor.http.post(&format!("{path}/invites"), json!({})).await;
        assert_eq!(invite.status, may(1, 201), "invite by {rank}");
        let list = actor.http.get(&format!("{path}/invites")).await;
        assert_eq!(list.status, may(1, 200), "invites by {rank}");
        let mut socket = app.connect(&member).await;
        let said = socket.request("sendMessage", message(&chat, "by a member")).await;
        let message = said["messageId"].as_str().unwrap();
        let deleted = actor.http.delete(&format!("{path}/messages/{message}")).await;
        // The member's own for the first of them.
        assert_eq!(deleted.status, 204, "delete by {rank}");
    }
    // On members of each rank: only the higher acts on the lower.
    for (rank, actor) in roles.into_iter().enumerate() {
        for (other, subject) in roles.into_iter().enumerate() {
            if rank > other && rank >= 1 {
                continue;
            }
            let answer = remove(actor, &chat, subject).await;
            answer.expect_problem(403, "forbidden");
            if rank < 2 || rank == other {
                give(actor, &chat, subject, "member").await.expect_problem(403, "forbidden");
            }
        }
    }
    for (actor, subject, role, status) in [
        (&admin, &member, "admin", 403),
        (&admin, &member, "owner", 403),
        (&admin, &member, "moderator", 200),
        (&admin, &member, "moderator", 200),
        (&moderator, &member, "member", 403),
        (&owner, &member, "admin", 200),
        (&admin, &member, "member", 403),
    ] {
        assert_eq!(give(actor, &chat, subject, role).await.status, status, "{role}");
    }
    give(&owner, &chat, &guest, "admin").await.expect_problem(404, "notFound");
    for (rank, actor) in [&moderator, &member, &admin].into_iter().enumerate() {
        let refused = actor.http.delete(&path).await;
        assert_eq!(refused.status, 403, "delete the chat by {rank}");
    }
    owner.http.delete(&path).await.expect(204);
    owner.http.get(&path).await.expect_problem(404, "notFound");
}

#[tokio::test]
async fn the_owner_hands_over_and_is_an_admin_by_that() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut socket = app.connect(&bob).await;
    give(&ann, &chat, &bob, "owner").await.expect(200);
    assert_eq!(
        (role_of(&ann, &chat).await, role_of(&bob, &chat).await),
        ("admin".into(), "owner".into())
    );
    let events = socket.events(&chat, 1, 3).await;
    assert_eq!(names(&events), ["memberRoleChanged", "memberRoleChanged"]);
    assert_eq!(
        (&events[0]["data"]["userId"], &events[0]["data"]["role"]),
        (&json!(bob.id), &json!("owner"))
    );
    assert_eq!(
        (&events[1]["data"]["userId"], &events[1]["data"]["role"]),
        (&json!(ann.id), &json!("admin"))
    );
}

#[tokio::test]
async fn an_owner_who_leaves_hands_over_to_the_longest_serving_of_the_highest_role() {
    let app = TestApp::start().await;
    let [ann, bob, eve, joe] = app.people(["ann", "bob", "eve", "joe"]).await;
    let chat = ann.group(&[&bob]).await;
    add(&ann, &chat, &[&eve]).await.expect(200);
    add(&ann, &chat, &[&joe]).await.expect(200);
    give(&ann, &chat, &joe, "moderator").await.expect(200);
    give(&ann, &chat, &eve, "moderator").await.expect(200);
    let mut socket = app.connect(&ann).await;
    let leave = format!("/chats/{chat}/leave");
    ann.http.delete(&leave).await.expect(204);
    let events = socket.events(&chat, 5, 7).await;
    assert_eq!(names(&events), ["memberRoleChanged", "memberLeft"]);
    assert_eq!(role_of(&eve, &chat).await, "owner", "a moderator, and there before joe");
    ann.http.get(&format!("/chats/{chat}")).await.expect_problem(404, "notFound");
    ann.http.delete(&leave).await.expect_problem(404, "notFound");

    joe.http.delete(&leave).await.expect(204);
    eve.http.delete(&leave).await.expect(204);
    assert_eq!(role_of(&bob, &chat).await, "owner");
    let view = bob.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!(view["memberCount"], 1);
    bob.http.delete(&leave).await.expect(204);
    let chats = bob.http.get("/chats").await.expect(200);
    assert_eq!(chats.items(), &[] as &[Value], "an empty group has ended");
}

#[tokio::test]
async fn title_and_description_change_for_all_and_are_caught_up() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut socket = nodes[1].connect(&bob).await;
    let path = format!("/chats/{chat}");
    let body = json!({ "title": "  new ", "description": "of us\n" });
    let changed = patch(&ann, &path, body).await.expect(200).body;
    assert_eq!((&changed["title"], &changed["description"]), (&json!("  new "), &json!("of us\n")));
    let cleared = patch(&ann, &path, json!({ "description": "" })).await.expect(200).body;
    assert_eq!((&cleared["title"], &cleared["description"]), (&json!("  new "), &Value::Null));
    let events = socket.events(&chat, 1, 3).await;
    assert_eq!(names(&events), ["chatUpdated", "chatUpdated"]);
    assert_eq!(events[0]["data"]["chat"]["title"], "  new ");
    let missed = bob.http.get(&format!("{path}/changes?afterSeq=1")).await.expect(200);
    assert_eq!(missed.body["chat"]["title"], "  new ");
    for (wrong, at) in [(json!({ "title": "" }), "title"), (json!({ "role": "owner" }), "role")] {
        let answer = patch(&ann, &path, wrong).await.expect_problem(422, "invalid");
        assert_eq!(answer.error_paths(), [at]);
    }
    // Nothing asked for, nothing done.
    assert_eq!(patch(&ann, &path, json!({})).await.expect(200).body["lastSeq"], 3);
}

#[tokio::test]
async fn a_deleted_chat_ends_for_all() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut socket = nodes[1].connect(&bob).await;
    ann.http.delete(&format!("/chats/{chat}")).await.expect(204);
    assert_eq!(names(&socket.events(&chat, 1, 2).await), ["chatDeleted"]);
    assert_eq!(socket.refused("sendMessage", message(&chat, "hello?")).await, "notFound");
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 1 }] });
    assert_eq!(socket.request("sync", known).await["removed"], json!([chat]));
}

#[tokio::test]
async fn a_direct_chat_has_its_two_members_for_ever() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let path = format!("/chats/{chat}");
    add(&ann, &chat, &[&eve]).await.expect_problem(403, "forbidden");
    remove(&ann, &chat, &bob).await.expect_problem(403, "forbidden");
    give(&ann, &chat, &bob, "admin").await.expect_problem(403, "forbidden");
    ann.http.delete(&format!("{path}/leave")).await.expect_problem(403, "forbidden");
    ann.http.delete(&path).await.expect_problem(403, "forbidden");
    patch(&ann, &path, json!({ "title": "x" })).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn adding_is_all_or_nothing_and_may_be_repeated() {
    let app = TestApp::start_with(&[("MEMBERS_PER_CALL", "3")]).await;
    let [ann, bob, eve, joe] = app.people(["ann", "bob", "eve", "joe"]).await;
    let chat = ann.group(&[]).await;
    let path = format!("/chats/{chat}/members");
    let nobody = uuid::Uuid::now_v7();
    let mixed = json!({ "userIds": [bob.id, nobody] });
    ann.http.post(&path, mixed).await.expect_problem(404, "notFound");
    for ids in [json!([]), json!([bob.id, eve.id, joe.id, nobody])] {
        let answer = ann.http.post(&path, json!({ "userIds": ids })).await;
        assert_eq!(answer.expect_problem(422, "invalid").error_paths(), ["userIds"]);
    }
    app.sql("update users set privacy_group_invites = 'nobody' where id = $1", Some(&eve.id)).await;
    add(&ann, &chat, &[&bob, &eve]).await.expect_problem(403, "blocked");
    let view = ann.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!((&view["memberCount"], &view["lastSeq"]), (&json!(1), &json!(1)), "nobody came in");

    let added = add(&ann, &chat, &[&bob, &joe, &bob]).await.expect(200);
    assert_eq!(added.items().len(), 2);
    let again = add(&ann, &chat, &[&joe, &bob]).await.expect(200);
    assert_eq!(again.items().len(), 2);
    let view = ann.http.get(&format!("/chats/{chat}")).await.expect(200).body;
    assert_eq!((&view["memberCount"], &view["lastSeq"]), (&json!(3), &json!(3)));
}

/// F47: whoever is removed while sending has either sent before it, or not at all.
#[tokio::test]
async fn nothing_is_written_behind_a_removal() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let reader = app.connect(&ann).await.follow(&chat);
    for round in 0..10 {
        let sender = app.connect(&bob).await;
        let sending = tokio::spawn(flood(sender, chat.clone()));
        remove(&ann, &chat, &bob).await.expect(204);
        sending.await.unwrap();
        if round < 9 {
            add(&ann, &chat, &[&bob]).await.expect(200);
        }
    }
    let last = ann.http.get(&format!("/chats/{chat}")).await.expect(200).body["lastSeq"].as_i64();
    let events = reader.up_to(last.unwrap()).await;
    let mut is_in = true;
    for event in &events {
        match event["event"].as_str().unwrap() {
            "memberLeft" => is_in = false,
            "memberJoined" => is_in = true,
            "messageCreated" => assert!(is_in, "{event:#}"),
            _ => {}
        }
    }
    assert!(!is_in);
    check_chat(&app, &chat, &[]).await;
}

async fn flood(mut socket: Socket, chat: String) {
    for number in 0..30 {
        socket.ask("sendMessage", message(&chat, &number.to_string())).await;
    }
}
