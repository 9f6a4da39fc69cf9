//! Blocking as such: the list, its rules, its bounds.

use serde_json::{Value, json};
use uuid::Uuid;

use super::usernames;
use crate::harness::TestApp;

#[tokio::test]
async fn a_block_is_made_once_listed_and_ended() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    assert_eq!(ann.http.get("/user/blocks").await.expect(200).items(), [Value::Null; 0]);
    ann.block(&bob).await;
    ann.block(&bob).await;
    ann.block(&eve).await;
    let listed = ann.http.get("/user/blocks").await.expect(200);
    assert_eq!(usernames(&listed), ["eve", "bob"], "the newest first, each once");
    assert!(listed.items()[0].get("email").is_none());
    assert_eq!(bob.http.get("/user/blocks").await.expect(200).items().len(), 0);

    let first = ann.http.get("/user/blocks?limit=1").await.expect(200);
    assert_eq!(usernames(&first), ["eve"]);
    let cursor = first.text("/nextCursor");
    let second = ann.http.get(&format!("/user/blocks?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(usernames(&second), ["bob"]);
    assert_eq!(second.body["nextCursor"], json!(null));

    ann.unblock(&bob).await;
    ann.unblock(&bob).await;
    assert_eq!(usernames(&ann.http.get("/user/blocks").await.expect(200)), ["eve"]);
}

#[tokio::test]
async fn oneself_and_nobody_cannot_be_blocked() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let own = format!("/user/block/{}", ann.id);
    ann.http.post(&own, json!({})).await.expect_problem(422, "invalid");
    ann.http.delete(&own).await.expect_problem(422, "invalid");
    let nobody = format!("/user/block/{}", Uuid::now_v7());
    ann.http.post(&nobody, json!({})).await.expect_problem(404, "notFound");
    ann.http.delete(&nobody).await.expect_problem(404, "notFound");
    ann.http.post("/user/block/bob", json!({})).await.expect_problem(422, "invalid");
    let others = format!("/user/block/{}", bob.id);
    app.client().post(&others, json!({})).await.expect_problem(401, "unauthenticated");
    app.client().get("/user/blocks").await.expect_problem(401, "unauthenticated");
    for cursor in ["x", "bm8"] {
        let path = format!("/user/blocks?cursor={cursor}");
        ann.http.get(&path).await.expect_problem(422, "invalid");
    }
}

#[tokio::test]
async fn a_user_blocks_so_many_and_no_more() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    ann.block(&bob).await;
    let others = "with made as (
             insert into users (id, username, email, display_name, password_hash)
             select gen_random_uuid(), 'user' || n, n || '@example.org', 'U', 'none'
             from generate_series(1, 9999) n
             returning id
         )
         insert into user_blocks (blocker_id, blocked_id)
         select $1, id
         from made";
    app.sql(others, Some(&ann.id)).await;
    let path = format!("/user/block/{}", eve.id);
    ann.http.post(&path, json!({})).await.expect_problem(409, "conflict");
    ann.block(&bob).await;
    ann.unblock(&bob).await;
    ann.block(&eve).await;
}

/// Two who block each other at the same moment do not wait for one another.
#[tokio::test]
async fn both_may_block_each_other_at_once() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let bob = super::Person { http: bob.at(&nodes[1]), ..bob };
    for _ in 0..20 {
        tokio::join!(ann.block(&bob), bob.block(&ann));
        tokio::join!(ann.unblock(&bob), bob.unblock(&ann));
    }
    ann.direct(&bob).await.expect(201);
}
