//! The index follows what is said, changed and deleted.

use serde_json::json;

use super::is_indexed;
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_message_is_found_a_moment_after_it_was_sent() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    ann.says(&chat, "freshly baked").await;
    eventually("it is found", async || ann.looks_for("fresh").await == ["freshly baked"]).await;
    eventually("the lag is gone", async || {
        let mut lag = 0.0;
        for node in &nodes {
            lag += node.metric("chat_search_lag_messages").await;
            lag += node.metric("chat_search_lag_seconds").await;
        }
        lag == 0.0
    })
    .await;
}

/// Not even before the index has followed: what is shown was looked at as it is now.
#[tokio::test]
async fn what_was_edited_or_deleted_is_not_found_by_its_old_text() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let edited = ann.says(&chat, "an old text").await;
    let deleted = ann.says(&chat, "another old text").await;
    is_indexed(&app).await;
    assert_eq!(ann.looks_for("old").await.len(), 2);
    let path = |id: &str| format!("/chats/{chat}/messages/{id}");
    ann.http.patch(&path(&edited), json!({ "body": "a new text" })).await.expect(200);
    ann.http.delete(&path(&deleted)).await.expect(204);
    assert_eq!(ann.looks_for("old").await, [""; 0]);
    is_indexed(&app).await;
    assert_eq!(ann.looks_for("old").await, [""; 0]);
    assert_eq!(ann.looks_for("new").await, ["a new text"]);
    let mut db = app.database.connect().await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from message_search").fetch_one(&mut db).await.unwrap();
    assert_eq!(rows, 1, "of what is deleted nothing is kept");
}

/// An upgrade: messages that were there before the index was.
#[tokio::test]
async fn what_is_older_than_the_index_is_found_in_the_end() {
    let mut app = TestApp::start().await;
    let ann = app.person("ann").await;
    let mut chats = Vec::new();
    for n in 0..4 {
        let chat = ann.group(&[]).await;
        ann.says(&chat, &format!("ancient {n}")).await;
        chats.push(chat);
    }
    // Far more of one chat than a round takes.
    let many =
        "insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal,
                                      body, changed_seq, created_at)
         select c.id, n, gen_random_uuid(), c.created_by, gen_random_uuid(), 0, n,
                'ancient many ' || n, n, now()
         from (select id, created_by from chats order by id limit 1) c, generate_series(3, 1700) n";
    app.sql(many, None).await;
    let moved = "update chats set last_seq = 1700
         where id = (select id from chats order by id limit 1)";
    app.sql(moved, None).await;
    is_indexed_less(&app).await;
    app.stop().await;
    app.sql("delete from message_search", None).await;
    app.sql("delete from search_progress", None).await;
    let later = app.join().await;
    is_indexed(&later).await;
    let ann = ann.at(&later);
    let found = ann.get("/messages/search?q=ancient&limit=100").await.expect(200);
    assert_eq!(found.items().len(), 100);
    for n in 0..4 {
        let found = ann.get(&format!("/messages/search?q=%22ancient+{n}%22")).await.expect(200);
        assert_eq!(found.items().len(), 1, "{n}");
    }
}

/// Whatever was indexed before the rows were put in by hand.
async fn is_indexed_less(app: &TestApp) {
    eventually("the first ones are indexed", async || {
        app.metric("chat_search_indexed_total").await >= 4.0
    })
    .await;
}
