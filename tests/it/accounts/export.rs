//! All that is held on the caller, and nothing of others.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp};

/// The files of an export, by name, and all their text.
async fn export(person: &Person) -> (HashMap<String, Value>, String) {
    let answer = person.http.request(Method::GET, "/user/export").send().await.expect("it answers");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let disposition =
        answer.headers()["content-disposition"].to_str().expect("it is ASCII").to_owned();
    assert!(disposition.starts_with("attachment; filename=\"chat-export-"), "{disposition}");
    let bytes = answer.bytes().await.expect("it is whole");
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("it is a ZIP");
    let (mut files, mut all) = (HashMap::new(), String::new());
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).expect("it is there");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("it is text");
        let name = file.name().expect("it is UTF-8").into_owned();
        files.insert(name, serde_json::from_str(&text).expect("it is JSON"));
        all.push_str(&text);
    }
    (files, all)
}

#[tokio::test]
async fn it_has_what_is_held_on_the_caller_and_nothing_of_others() {
    let app = TestApp::start().await;
    let [ann, bob, cid] = app.people(["ann", "bobby", "cid"]).await;
    let operator = app.operator("olga").await;
    let direct = ann.direct(&bob).await.expect(201).text("/id");
    let group = ann.group(&[&bob, &cid]).await;
    let send = async |person: &Person, chat: &str, body: &str| {
        let path = format!("/chats/{chat}/messages");
        let message = json!({ "clientId": uuid::Uuid::now_v7(), "body": body });
        person.http.post(&path, message).await.expect(201).text("/id")
    };
    let first = send(&ann, &direct, "frist").await;
    send(&bob, &direct, "what bob wrote").await;
    let answer = json!({
        "clientId": uuid::Uuid::now_v7(), "body": "an answer", "mentions": [bob.id],
    });
    ann.http.post(&format!("/chats/{direct}/messages"), answer).await.expect(201);
    let path = format!("/chats/{direct}/messages/{first}");
    ann.http.patch(&path, json!({ "body": "first" })).await.expect(200);
    let gone = send(&ann, &direct, "what was deleted").await;
    ann.http.delete(&format!("/chats/{direct}/messages/{gone}")).await.expect(204);
    let reacted = |emoji: &str| format!("/chats/{direct}/messages/{first}/reactions/{emoji}");
    for (person, emoji) in [(&ann, "love"), (&ann, "like"), (&bob, "wow")] {
        Answer::of(person.http.request(Method::PUT, &reacted(emoji))).await.expect(204);
    }
    app.sql(
        "insert into user_blocks (blocker_id, blocked_id)
         select $1, id from users where username = 'cid'",
        Some(&ann.id),
    )
    .await;
    let badge = format!("/admin/users/{}", ann.id);
    operator.http.patch(&badge, json!({ "verified": true })).await.expect(200);

    let (files, all) = export(&ann).await;
    assert_eq!(files["account.json"]["account"]["email"], "ann@example.org");
    assert_eq!(files["sessions.json"][0]["ip"], "127.0.0.1");
    assert_eq!(files["blocks.json"][0]["userId"], cid.id);
    let chats = files["chats.json"].as_array().unwrap();
    assert_eq!(chats.len(), 2);
    let of = |id: &str| chats.iter().find(|chat| chat["chatId"] == id).unwrap();
    assert_eq!(of(&direct)["peerId"], bob.id);
    assert_eq!((&of(&group)["title"], &of(&group)["role"]), (&json!("a group"), &json!("owner")));

    let messages = files[&format!("messages/{direct}.json")].as_array().unwrap();
    let bodies: Vec<&Value> = messages.iter().map(|message| &message["body"]).collect();
    assert_eq!(bodies, [&json!("first"), &json!("an answer"), &Value::Null]);
    assert_eq!(messages[1]["mentions"], json!([bob.id]));
    assert!(!files.contains_key(&format!("messages/{group}.json")), "nothing was written there");
    let edits = files[&format!("edits/{direct}.json")].as_array().unwrap();
    assert_eq!((edits.len(), &edits[0]["body"]), (1, &json!("frist")));

    let reactions = files[&format!("reactions/{direct}.json")].as_array().unwrap();
    let emoji: Vec<&Value> = reactions.iter().map(|reaction| &reaction["emoji"]).collect();
    assert_eq!(emoji, ["\u{2764}\u{FE0F}", "\u{1F44D}"]);
    assert_eq!(reactions[0]["messageSeq"], messages[0]["seq"]);
    assert!(!files.contains_key(&format!("reactions/{group}.json")));

    let rows = files["audit.json"].as_array().unwrap();
    let row = rows.iter().find(|row| row["action"] == "user.verify").unwrap();
    assert_eq!((&row["byYourself"], &row["ip"]), (&json!(false), &Value::Null));
    assert!(rows.iter().any(|row| row["action"] == "user.export" && row["byYourself"] == true));

    for others in
        ["what bob wrote", "\u{1F62E}", "what was deleted", "bobby", "cid@", "argon2", &operator.id]
    {
        assert!(!all.contains(others), "{others} is in the export");
    }
}

#[tokio::test]
async fn what_somebody_wrote_is_whole_over_many_pages() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    // Of 50,000 places, every hundredth message is ann's, and a run of her own at the end.
    app.sql(
        "insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal, body,
                               changed_seq, created_at)
         select c.id, n, gen_random_uuid(),
                case when n % 100 = 0 or n > 49750 then u.ann else u.bob end,
                gen_random_uuid(), 0, n - 1, 'number ' || n, n, now()
         from chats c,
              generate_series(2, 50000) n,
              (select (array_agg(id) filter (where username = 'ann'))[1] as ann,
                      (array_agg(id) filter (where username = 'bob'))[1] as bob
               from users) u
         where c.id = $1",
        Some(&chat),
    )
    .await;
    app.sql("update chats set last_seq = 50000 where id = $1", Some(&chat)).await;
    let (files, _) = export(&ann).await;
    let messages = files[&format!("messages/{chat}.json")].as_array().unwrap();
    let seqs: Vec<i64> = messages.iter().filter_map(|message| message["seq"].as_i64()).collect();
    let expected: Vec<i64> = (2..=50_000).filter(|seq| seq % 100 == 0 || *seq > 49_750).collect();
    assert_eq!(seqs, expected);
    assert_eq!(messages[0]["body"], "number 100");
}

#[tokio::test]
async fn one_follows_another() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    for _ in 0..3 {
        export(&ann).await;
    }
    let nobody = app.client().get("/user/export").await;
    nobody.expect_problem(401, "unauthenticated");
}
