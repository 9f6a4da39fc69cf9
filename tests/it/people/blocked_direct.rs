//! R-PR-1, F45: a block between two people, in what only the two of them share. Each test goes both
//! ways.

use reqwest::Method;
use serde_json::{Value, json};

use super::without_request;
use crate::harness::{Answer, Person, TestApp, message};

#[tokio::test]
async fn no_direct_chat_is_opened_either_way() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    ann.block(&bob).await;
    let there = Person { http: bob.at(&nodes[1]), ..bob.clone() };
    let by_bob = there.direct(&ann).await.expect_problem(403, "blocked");
    let by_ann = ann.direct(&bob).await.expect_problem(403, "blocked");
    assert_eq!(without_request(by_bob), without_request(by_ann));
    for person in [&ann, &bob] {
        assert_eq!(person.http.get("/chats").await.expect(200).items().len(), 0);
    }
    ann.unblock(&bob).await;
    bob.direct(&ann).await.expect(201);
}

#[tokio::test]
async fn nothing_is_sent_or_edited_in_a_direct_chat_either_way() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let mut sockets = [nodes[0].connect(&ann).await, nodes[1].connect(&bob).await];
    let mut sent = Vec::new();
    for socket in &mut sockets {
        sent.push(socket.request("sendMessage", message(&chat, "before")).await);
    }
    ann.block(&bob).await;
    for (socket, sent) in sockets.iter_mut().zip(&sent) {
        assert_eq!(socket.refused("sendMessage", message(&chat, "after")).await, "blocked");
        let mut answer = message(&chat, "an answer");
        answer["replyTo"] = sent["messageId"].clone();
        assert_eq!(socket.refused("sendMessage", answer).await, "blocked");
        let edit = json!({ "chatId": chat, "messageId": sent["messageId"], "body": "after" });
        assert_eq!(socket.refused("editMessage", edit).await, "blocked");
    }
    for person in [&ann, &bob] {
        let history = person.http.get(&format!("/chats/{chat}/messages")).await.expect(200);
        let bodies: Vec<&Value> = history.items().iter().map(|message| &message["body"]).collect();
        assert_eq!(bodies, ["before", "before"], "what was said stays, for both");
        assert!(history.items().iter().all(|message| message.get("hidden").is_none()));
        person.direct(if person.id == ann.id { &bob } else { &ann }).await.expect(200);
    }
    // One's own words can be taken back.
    let named = json!({ "chatId": chat, "messageId": sent[1]["messageId"] });
    sockets[1].request("deleteMessage", named).await;
    ann.unblock(&bob).await;
    sockets[1].say(&chat, "again").await;
}

#[tokio::test]
async fn nobody_reacts_in_a_direct_chat_over_a_block_either_way() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let chat = ann.direct(&bob).await.expect(201).text("/id");
    let mut sockets = [app.connect(&ann).await, app.connect(&bob).await];
    let sent = sockets[0].request("sendMessage", message(&chat, "before")).await;
    let react =
        |emoji: &str| json!({ "chatId": chat, "messageId": sent["messageId"], "emoji": emoji });
    for socket in &mut sockets {
        socket.request("addReaction", react("like")).await;
    }
    ann.block(&bob).await;
    let path = format!("/chats/{chat}/messages/{}", sent["messageId"].as_str().unwrap());
    for (socket, person) in sockets.iter_mut().zip([&ann, &bob]) {
        assert_eq!(socket.refused("addReaction", react("wow")).await, "blocked");
        let put = person.http.request(Method::PUT, &format!("{path}/reactions/wow"));
        Answer::of(put).await.expect_problem(403, "blocked");
        // What was said before stays, and one's own can be taken back.
        let list = person.http.get(&format!("{path}/reactions")).await.expect(200);
        assert_eq!(list.items()[0]["emoji"], "\u{1F44D}");
        socket.request("removeReaction", react("like")).await;
    }
    ann.unblock(&bob).await;
    // Somebody who takes no direct messages looks the same, from the other side alone.
    ann.set_privacy(json!({ "directMessages": "nobody" })).await;
    assert_eq!(sockets[1].refused("addReaction", react("wow")).await, "blocked");
    sockets[0].request("addReaction", react("wow")).await;
}

#[tokio::test]
async fn a_profile_is_shown_as_ever_either_way() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let seen = async |by: &Person, of: &Person| {
        by.http.get(&format!("/user/{}", of.id)).await.expect(200).body
    };
    let before = (seen(&bob, &ann).await, seen(&ann, &bob).await);
    ann.block(&bob).await;
    let after = (seen(&bob, &ann).await, seen(&ann, &bob).await);
    // Presence is another road: a setting can take it away as well.
    let profile = |user: &Value| {
        let mut user = user.as_object().expect("a user").clone();
        user.retain(|field, _| field != "online" && field != "lastSeenAt");
        user
    };
    assert_eq!(profile(&before.0), profile(&after.0), "nobody sees there that they are blocked");
    assert_eq!(profile(&before.1), profile(&after.1));
    assert_eq!(profile(&after.0), profile(&seen(&eve, &ann).await));
    for user in [&after.0, &after.1] {
        assert!(user.get("online").is_none_or(|online| online == false), "{user:#}");
        assert!(user.get("lastSeenAt").is_none_or(Value::is_null), "{user:#}");
    }
}
