//! R-PR-5: what goes with an account, and what stays.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Person, TestApp, eventually};

async fn delete(person: &Person) {
    person.http.delete_with("/user", json!({ "password": PASSWORD })).await.expect(204);
}

#[tokio::test]
async fn a_deleted_user_is_out_on_every_node() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let mut sockets = [nodes[0].connect(&ann).await, nodes[1].connect(&ann).await];
    delete(&ann).await;
    for socket in &mut sockets {
        let told = socket.push("sessionRevoked").await;
        assert_eq!(told["reason"], "accountDeleted", "{told}");
        assert_eq!(socket.closed().await, 4403);
    }
    for node in &nodes {
        let ann = ann.at(node);
        eventually("the token is refused", async || ann.get("/user/profile").await.status == 401)
            .await;
    }
    let client = nodes[1].client();
    let body = json!({ "refreshToken": ann.signed_up["refreshToken"] });
    client.post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");

    // The name and the address are free, and lead to somebody new.
    for login in ["ann", "ann@example.org"] {
        let body = json!({ "login": login, "password": PASSWORD });
        client.post("/auth/signin", body).await.expect_problem(401, "unauthenticated");
    }
    let new = client.sign_up("ann").await;
    assert_ne!(new.text("/user/id"), ann.id);
    client.sign_in("ann@example.org", json!({})).await;
}

#[tokio::test]
async fn it_takes_the_password() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let wrong = json!({ "password": "not the password" });
    ann.http.delete_with("/user", wrong).await.expect_problem(403, "forbidden");
    ann.http.delete_with("/user", json!({})).await.expect_problem(422, "invalid");
    let more = json!({ "password": PASSWORD, "userId": ann.id });
    ann.http.delete_with("/user", more).await.expect_problem(422, "invalid");
    app.client()
        .delete_with("/user", json!({ "password": PASSWORD }))
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(ann.http.get("/user/profile").await.expect(200).body["username"], "ann");
    let operator = app.operator("olga").await;
    let rows = operator.http.get("/admin/audit?action=user.deleteRefused").await.expect(200);
    assert_eq!(rows.items().len(), 1);
    assert_eq!(rows.items()[0]["actorId"], ann.id);
}

#[tokio::test]
async fn others_keep_what_was_said_to_them() {
    let app = TestApp::start().await;
    let [ann, bob, cid] = app.people(["ann", "bob", "cid"]).await;
    let direct = ann.direct(&bob).await.expect(201).text("/id");
    let group = ann.group(&[&bob, &cid]).await;
    let mut socket = app.connect(&ann).await;
    socket.say(&direct, "only for you").await;
    socket.say(&group, "for all").await;
    delete(&ann).await;

    let tombstone = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200).body;
    assert_eq!(tombstone["displayName"], "Deleted account");
    assert_eq!((&tombstone["bio"], &tombstone["avatarUrl"]), (&json!(""), &Value::Null));
    let name = tombstone["username"].as_str().unwrap();
    assert!(name.starts_with("deleted-") && name.len() == 32, "{name}");

    let chat = bob.http.get(&format!("/chats/{direct}")).await.expect(200);
    assert_eq!(chat.body["peer"], tombstone);
    assert_eq!(chat.body["lastMessage"]["body"], "only for you");
    for (chat, text) in [(&direct, "only for you"), (&group, "for all")] {
        let history = bob.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
        let message = history.items().last().unwrap();
        assert_eq!((&message["body"], &message["senderId"]), (&json!(text), &json!(ann.id)));
    }
    // The group has an owner who can act: of the two who joined together, the first by id.
    let members = cid.http.get(&format!("/chats/{group}/members")).await.expect(200);
    let roles = members.items().iter().map(|member| (&member["user"]["id"], &member["role"]));
    let expected = [(json!(bob.id), json!("owner")), (json!(cid.id), json!("member"))];
    assert_eq!(roles.collect::<Vec<_>>(), expected.each_ref().map(|(id, role)| (id, role)));
    let mut bobs = app.connect(&bob).await;
    bobs.say(&group, "we go on").await;

    // Nobody begins anything with them.
    let answer = cid.http.post(&format!("/chats/direct/{}", ann.id), json!({})).await;
    answer.expect_problem(404, "notFound");
    let body = json!({ "title": "another", "memberIds": [ann.id] });
    cid.http.post("/chats", body).await.expect_problem(404, "notFound");
}

/// Nothing that tells of the person is left in the rows of the account and its sessions.
#[tokio::test]
async fn what_tells_of_the_person_is_erased() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["annabel", "bob"]).await;
    app.client().sign_in("annabel", json!({ "id": "phone-7", "name": "Annabel's phone" })).await;
    app.sql("update users set bio = 'Annabel from Rome' where id = $1", Some(&ann.id)).await;
    app.sql(
        "insert into user_blocks (blocker_id, blocked_id)
         select a.id, b.id from users a, users b where a.id <> b.id and $1::uuid is not null",
        Some(&ann.id),
    )
    .await;
    delete(&ann).await;
    let mut db = app.database.connect().await;
    let left: String = sqlx::query_scalar(
        "select concat(to_jsonb(u), (select jsonb_agg(s) from sessions s where s.user_id = u.id))
         from users u
         where u.id = $1::text::uuid",
    )
    .bind(&ann.id)
    .fetch_one(&mut db)
    .await
    .unwrap();
    for told in ["nnabel", "Rome", "phone-7", "127.0.0.1", "test/1"] {
        assert!(!left.contains(told), "{told} is left in {left}");
    }
    assert!(left.contains("accountDeleted"));
    let blocks: Vec<(String,)> = sqlx::query_as("select blocker_id::text from user_blocks")
        .fetch_all(&mut db)
        .await
        .unwrap();
    // What bob does not want to see stays hidden from him.
    assert_eq!(blocks, [(bob.id,)]);
}

/// Nobody can sign in to a tombstone, though its name is known.
#[tokio::test]
async fn a_tombstone_has_no_password() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    delete(&ann).await;
    let tombstone = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200);
    let name = tombstone.text("/username");
    for login in [name.clone(), format!("{name}@deleted.invalid")] {
        for password in [PASSWORD, "", "!"] {
            let body = json!({ "login": login, "password": password });
            let answer = app.client().post("/auth/signin", body).await;
            answer.expect_problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn no_session_slips_past_a_deletion() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let name = format!("ann{round}");
        let ann = app.person(&name).await;
        let body = json!({ "login": name, "password": PASSWORD });
        let client = app.client();
        let (deleted, _) = tokio::join!(
            ann.http.delete_with("/user", json!({ "password": PASSWORD })),
            client.post("/auth/signin", body),
        );
        deleted.expect(204);
        let mut db = app.database.connect().await;
        let alive: i64 = sqlx::query_scalar(
            "select count(*) from sessions where user_id = $1::text::uuid and ended_at is null",
        )
        .bind(&ann.id)
        .fetch_one(&mut db)
        .await
        .unwrap();
        assert_eq!(alive, 0, "in round {round}");
    }
}
