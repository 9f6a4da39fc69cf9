//! Where reactions are shown, to whom how, and where they are gone.

use serde_json::{Value, json};

use super::{HEART, THUMB, shown};
use crate::harness::{PASSWORD, TestApp, message};

#[tokio::test]
async fn every_road_shows_how_many_and_whether_oneself() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let root = by_ann.send(&chat, "root").await;
    let mut data = message(&chat, "an answer");
    data["replyTo"] = json!(root);
    let sent = by_ann.request("sendMessage", data).await;
    let id = sent["messageId"].as_str().unwrap().to_owned();
    by_ann.react(&chat, &id, "like").await;
    by_bob.react(&chat, &id, "love").await;
    by_bob.react(&chat, &id, "like").await;
    let plain = json!([]);
    for (person, expected) in [
        (&ann, json!([shown(THUMB, 2, true), shown(HEART, 1, false)])),
        (&bob, json!([shown(THUMB, 2, true), shown(HEART, 1, true)])),
    ] {
        let mut socket = app.connect(person).await;
        let get = async |path: &str| person.http.get(path).await.expect(200).body;
        let base = format!("/chats/{chat}/messages");
        for query in ["", "?after=0", "?before=100", "?around=3"] {
            let page = get(&format!("{base}{query}")).await;
            assert_eq!(page["items"][1]["reactions"], expected, "{query}");
            assert_eq!(page["items"][0]["reactions"], plain, "{query}");
        }
        assert_eq!(get(&format!("{base}/{id}")).await["reactions"], expected);
        assert_eq!(get(&format!("{base}/{root}/thread")).await["items"][0]["reactions"], expected);
        let page = socket.request("getMessages", json!({ "chatId": chat })).await;
        assert_eq!(page["items"][1]["reactions"], expected);
        let changes = get(&format!("/chats/{chat}/changes?afterSeq=4")).await;
        assert_eq!(changes["messages"][0]["reactions"], expected);
        let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 4 }] });
        let synced = socket.request("sync", known).await;
        assert_eq!(synced["chats"][0]["messages"][0]["reactions"], expected);
        let joined = socket.request("joinChat", json!({ "chatId": chat, "afterSeq": 4 })).await;
        assert_eq!(joined["changes"]["messages"][0]["reactions"], expected);
        assert_eq!(joined["chat"]["lastMessage"]["reactions"], expected);
        assert_eq!(get("/chats").await["items"][0]["lastMessage"]["reactions"], expected);
        assert_eq!(get(&format!("/chats/{chat}")).await["lastMessage"]["reactions"], expected);
    }
    // To all alike: an edit brings the numbers, and does not know the reader.
    let edit = json!({ "chatId": chat, "messageId": id, "body": "another" });
    let seq = by_ann.request("editMessage", edit).await["seq"].as_i64().unwrap();
    let edited = by_bob.events(&chat, 1, seq).await.pop().unwrap();
    let expected = json!([shown(THUMB, 2, false), shown(HEART, 1, false)]);
    assert_eq!(edited["data"]["message"]["reactions"], expected);
}

/// Away through many reactions to one message: it comes once, as it is now.
#[tokio::test]
async fn who_was_away_gets_the_reactions_as_they_are_now() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    let id = by_ann.send(&chat, "text").await;
    bob.at(&nodes[1]).react(&chat, &id, "wow").await.expect(204);
    for _ in 0..10 {
        by_ann.react(&chat, &id, "like").await;
        by_ann.unreact(&chat, &id, "like").await;
    }
    let last = by_ann.react(&chat, &id, "sad").await;
    assert_eq!(last, 24);
    let mut by_bob = nodes[1].connect(&bob).await;
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 2 }] });
    let synced = by_bob.request("sync", known).await;
    let [changes] = synced["chats"].as_array().unwrap().as_slice() else { panic!("{synced:#}") };
    assert_eq!((&changes["toSeq"], &changes["complete"]), (&json!(24), &json!(true)));
    let [message] = changes["messages"].as_array().unwrap().as_slice() else { panic!() };
    let expected = json!([shown("\u{1F62E}", 1, true), shown("\u{1F622}", 1, false)]);
    assert_eq!(message["reactions"], expected);
    // The pushes go on behind it.
    by_ann.unreact(&chat, &id, "sad").await;
    let events = by_bob.events(&chat, 24, 25).await;
    assert_eq!(events[0]["event"], "reactionRemoved");
}

#[tokio::test]
async fn who_reacted_is_listed_in_parts() {
    let app = TestApp::start().await;
    let [ann, bob, cid] = app.people(["ann", "bob", "cid"]).await;
    let chat = ann.group(&[&bob, &cid]).await;
    let id = app.connect(&ann).await.send(&chat, "text").await;
    for (person, emoji) in [(&bob, "like"), (&ann, "love"), (&cid, "like"), (&bob, "wow")] {
        person.http.react(&chat, &id, emoji).await.expect(204);
    }
    bob.http.unreact(&chat, &id, "like").await.expect(204);
    bob.http.react(&chat, &id, "like").await.expect(204);
    let path = format!("/chats/{chat}/messages/{id}/reactions");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    let mut parts = 0;
    loop {
        let part = cid.http.get(&format!("{path}?limit=2{cursor}")).await.expect(200);
        parts += 1;
        for item in part.items() {
            assert!(item["at"].is_string());
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&item["user"]["username"]), text(&item["emoji"])));
        }
        let Some(next) = part.body["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let expected = [("ann", HEART), ("cid", THUMB), ("bob", "\u{1F62E}"), ("bob", THUMB)];
    let found: Vec<(&str, &str)> =
        found.iter().map(|(name, emoji)| (name.as_str(), emoji.as_str())).collect();
    assert_eq!((found.as_slice(), parts), (expected.as_slice(), 2));
    for bad in ["?limit=0", "?limit=101", "?cursor=%25", "?cursor=YWJj"] {
        cid.http.get(&format!("{path}{bad}")).await.expect_problem(422, "invalid");
    }
}

#[tokio::test]
async fn a_deleted_message_has_no_reactions_and_takes_none() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let id = by_ann.send(&chat, "text").await;
    by_bob.react(&chat, &id, "like").await;
    let named = json!({ "chatId": chat, "messageId": id });
    assert_eq!(by_ann.request("deleteMessage", named).await, json!({ "seq": 4 }));
    let events = by_bob.events(&chat, 1, 4).await;
    assert_eq!(events[2]["event"], "messageDeleted", "one event says it all");

    let base = format!("/chats/{chat}/messages");
    let message = bob.http.get(&format!("{base}/{id}")).await.expect(200).body;
    assert_eq!(message["reactions"], json!([]));
    let page = bob.http.get(&base).await.expect(200);
    assert_eq!(page.items()[0]["reactions"], json!([]));
    let list = bob.http.get(&format!("{base}/{id}/reactions")).await.expect(200);
    assert_eq!(list.items(), &[] as &[Value]);
    let changes = bob.http.get(&format!("/chats/{chat}/changes")).await.expect(200).body;
    assert_eq!(changes["messages"][0]["reactions"], json!([]));
    let mut db = app.database.connect().await;
    let kept: i64 = sqlx::query_scalar("select count(*) from message_reactions")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(kept, 0);

    let data = json!({ "chatId": chat, "messageId": id, "emoji": "like" });
    assert_eq!(by_bob.refused("addReaction", data.clone()).await, "conflict");
    bob.http.react(&chat, &id, "like").await.expect_problem(409, "conflict");
    // There is nothing to be taken back.
    assert_eq!(by_bob.request("removeReaction", data).await, json!({ "seq": 4 }));
    bob.http.unreact(&chat, &id, "like").await.expect(204);
    assert_eq!(by_bob.say(&chat, "next").await, 5);
}

/// As messages do: what somebody said stays with "Deleted account", and somebody who left is counted.
#[tokio::test]
async fn reactions_stay_when_people_go() {
    let app = TestApp::start().await;
    let [ann, bob, cid] = app.people(["ann", "bob", "cid"]).await;
    let chat = ann.group(&[&bob, &cid]).await;
    let id = app.connect(&ann).await.send(&chat, "text").await;
    bob.http.react(&chat, &id, "like").await.expect(204);
    cid.http.react(&chat, &id, "like").await.expect(204);
    cid.http.delete(&format!("/chats/{chat}/leave")).await.expect(204);
    cid.http.unreact(&chat, &id, "like").await.expect_problem(404, "notFound");
    bob.http.delete_with("/user", json!({ "password": PASSWORD })).await.expect(204);
    let message = ann.http.get(&format!("/chats/{chat}/messages/{id}")).await.expect(200).body;
    assert_eq!(message["reactions"], json!([shown(THUMB, 2, false)]));
    let list = ann.http.get(&format!("/chats/{chat}/messages/{id}/reactions")).await.expect(200);
    let names: Vec<&str> =
        list.items().iter().map(|one| one["user"]["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Deleted account", "cid"]);
}
