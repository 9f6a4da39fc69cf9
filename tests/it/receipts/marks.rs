//! Marking, on every node at once.

use futures_util::future::join_all;
use serde_json::json;

use super::{mark, open, pairs, receipts, say, standing};
use crate::harness::{A_WHILE, TestApp, check_chat};

#[tokio::test]
async fn a_mark_is_shown_on_every_node_and_told_to_those_who_have_the_chat_open() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob, eve] = nodes[0].people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob, &eve]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    let mut by_bob = nodes[1].connect(&bob).await;
    let mut by_eve = nodes[2].connect(&eve).await;
    open(&mut by_ann, &chat).await;
    open(&mut by_bob, &chat).await;
    assert_eq!(say(&mut by_ann, &chat, 5).await, 6);
    assert_eq!(standing(&bob.at(&nodes[2]), &chat).await, (0, 5));

    let marked = mark(&mut by_bob, &chat, 4).await;
    assert_eq!(marked, json!({ "chatId": chat, "readSeq": 4, "unreadCount": 2 }));
    for node in &nodes {
        assert_eq!(standing(&bob.at(node), &chat).await, (4, 2));
        let listed = bob.at(node).get("/chats").await.expect(200);
        assert_eq!(listed.items()[0]["unreadCount"], 2, "the list too");
        let others = receipts(&eve.at(node), &chat).await;
        assert!(others.contains(&(bob.id.clone(), 4)), "{others:?}");
        assert!(others.contains(&(ann.id.clone(), 6)), "who sends has read: {others:?}");
        assert!(!others.iter().any(|(user, _)| *user == eve.id), "who read nothing: {others:?}");
    }
    let told = by_ann.push("readReceipt").await;
    assert_eq!(told, json!({ "chatId": chat, "userId": bob.id, "readSeq": 4 }));
    by_eve.expect_silence("readReceipt", A_WHILE).await;
    by_bob.expect_silence("readReceipt", A_WHILE / 5).await;

    let opened = open(&mut by_eve, &chat).await;
    assert_eq!(pairs(opened["receipts"].as_array().unwrap()).len(), 2, "{opened:#}");
    mark(&mut by_bob, &chat, 6).await;
    for reader in [&mut by_ann, &mut by_eve] {
        assert_eq!(reader.push("readReceipt").await["readSeq"], 6);
    }
    let added = by_bob.request("sync", json!({ "chats": [] })).await;
    assert_eq!(added["added"][0]["readSeq"], 6, "{added:#}");
    by_ann.request("leaveChat", json!({ "chatId": chat })).await;
    mark(&mut by_eve, &chat, 6).await;
    assert_eq!(by_bob.push("readReceipt").await["userId"], eve.id);
    by_ann.expect_silence("readReceipt", A_WHILE / 2).await;
    check_chat(&nodes[0], &chat, &[]).await;
}

/// I10: whatever order marks come in, and wherever.
#[tokio::test]
async fn fifty_marks_at_once_over_three_nodes_only_go_forward() {
    let nodes = TestApp::cluster(3).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut by_ann = nodes[0].connect(&ann).await;
    open(&mut by_ann, &chat).await;
    let last = say(&mut by_ann, &chat, 60).await;
    let clients: Vec<_> = nodes.iter().map(|node| bob.at(node)).collect();
    for round in 0..4 {
        let marks = (0..50).map(async |n: i64| {
            // All over the part that is new in this round, in no order.
            let seq = 2 + round * 15 + (n * 7) % 15;
            let client = &clients[usize::try_from(n).unwrap() % 3];
            let path = format!("/chats/{chat}/read");
            let answer = client.patch(&path, json!({ "seq": seq })).await.expect(200);
            assert!(answer.body["readSeq"].as_i64().unwrap() >= seq, "{:#}", answer.body);
            answer.body["readSeq"].as_i64().unwrap() + answer.body["unreadCount"].as_i64().unwrap()
        });
        let ends = join_all(marks).await;
        assert!(ends.iter().all(|end| *end == last), "unread is what is behind it: {ends:?}");
        for client in &clients {
            assert_eq!(standing(client, &chat).await.0, 16 + round * 15);
        }
    }
    let path = format!("/chats/{chat}/read");
    let answer = clients[0].patch(&path, json!({})).await.expect(200);
    assert_eq!(answer.body, json!({ "chatId": chat, "readSeq": last, "unreadCount": 0 }));
    let mut told = 0;
    while told < last {
        let seq = by_ann.push("readReceipt").await["readSeq"].as_i64().unwrap();
        assert!(seq > told, "{seq} was told behind {told}");
        told = seq;
    }
    let answer = clients[1].patch(&path, json!({ "seq": 3 })).await.expect(200);
    assert_eq!(answer.body["readSeq"], last, "a lower one changes nothing");
    by_ann.expect_silence("readReceipt", A_WHILE / 2).await;
    check_chat(&nodes[0], &chat, &[]).await;
}

#[tokio::test]
async fn beyond_the_end_is_the_end_and_what_is_no_place_is_refused() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    let chat = ann.group(&[&bob]).await;
    let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
    let last = say(&mut by_ann, &chat, 3).await;
    assert_eq!(mark(&mut by_bob, &chat, 0).await["unreadCount"], 3);
    let marked = mark(&mut by_bob, &chat, i64::MAX).await;
    assert_eq!((&marked["readSeq"], &marked["unreadCount"]), (&json!(last), &json!(0)));
    let bad = json!({ "chatId": chat, "seq": -1 });
    assert_eq!(by_bob.refused("markRead", bad).await, "invalid");
    let path = format!("/chats/{chat}/read");
    bob.http.patch(&path, json!({ "seq": -1 })).await.expect_problem(422, "invalid");
    eve.http.patch(&path, json!({ "seq": 1 })).await.expect_problem(404, "notFound");
    let receipts = format!("/chats/{chat}/receipts");
    eve.http.get(&receipts).await.expect_problem(404, "notFound");
    let mut by_eve = app.connect(&eve).await;
    let strange = json!({ "chatId": chat, "seq": 1 });
    assert_eq!(by_eve.refused("markRead", strange).await, "notFound");
    // One's own message is read, and so is all before it.
    say(&mut by_ann, &chat, 2).await;
    let own = by_bob.say(&chat, "mine").await;
    assert_eq!(standing(&bob.http, &chat).await, (own, 0));
    // Who comes back begins anew, whatever Redis still knows.
    ann.http.delete(&format!("/chats/{chat}/members/{}", bob.id)).await.expect(204);
    bob.http.patch(&path, json!({})).await.expect_problem(404, "notFound");
    let added = json!({ "userIds": [bob.id] });
    ann.http.post(&format!("/chats/{chat}/members"), added).await.expect(200);
    say(&mut by_ann, &chat, 1).await;
    assert_eq!(standing(&bob.http, &chat).await, (own + 2, 1));
    check_chat(&app, &chat, &[]).await;
}

#[tokio::test]
async fn receipts_come_in_parts() {
    let app = TestApp::start().await;
    let people = app.people(["ann", "bob1", "bob2", "bob3", "bob4"]).await;
    let others: Vec<_> = people[1..].iter().collect();
    let chat = people[0].group(&others).await;
    app.connect(&people[0]).await.say(&chat, "text").await;
    for reader in &people[1..4] {
        let path = format!("/chats/{chat}/read");
        reader.http.patch(&path, json!({})).await.expect(200);
    }
    let (mut found, mut cursor, mut parts) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("/chats/{chat}/receipts?limit=2{cursor}");
        let part = people[4].http.get(&path).await.expect(200);
        found.extend(pairs(part.items()));
        parts += 1;
        let Some(next) = part.body["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    found.sort();
    let mut expected: Vec<_> = people[..4].iter().map(|person| (person.id.clone(), 2)).collect();
    expected.sort();
    assert_eq!((found, parts), (expected, 3));
}
