//! Whatever dies, everything is found in the end, and once.

use std::collections::BTreeSet;

use super::is_indexed;
use crate::harness::{Load, PrivateRedis, TestApp};

/// All messages of a chat stand in the index, each once, and nothing else.
async fn check_index(app: &TestApp) {
    is_indexed(app).await;
    let mut db = app.database.connect().await;
    let (missing, extra): (i64, i64) = sqlx::query_as(
        "select (select count(*) from messages m
                 where m.body is not null
                   and not exists (select from message_search s
                                   where s.chat_id = m.chat_id and s.seq = m.seq)),
                (select count(*) from message_search s
                 where not exists (select from messages m
                                   where m.chat_id = s.chat_id and m.seq = s.seq))
                + (select count(*) - count(distinct (chat_id, seq)) from message_search)",
    )
    .fetch_one(&mut db)
    .await
    .expect("the statement runs");
    assert_eq!((missing, extra), (0, 0));
}

/// F1: writers are killed in the middle of sends, between committing and indexing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_leave_nothing_that_is_not_found() {
    let edge = TestApp::start_with(&[("NODE_ROLES", "edge")]).await;
    let mut nodes = [edge.join_process().await, edge.join_process().await];
    let ann = edge.person("ann").await;
    let mut loads = Vec::new();
    for _ in 0..3 {
        let chat = ann.group(&[]).await;
        loads.push((Load::start(&[edge.address], &ann.token, &chat), chat));
    }
    for round in 0..4 {
        for (load, _) in &loads {
            load.goes_on_by(20).await;
        }
        nodes[round % 2].kill().await;
        for (load, _) in &loads {
            load.goes_on_by(20).await;
        }
        nodes[round % 2].start_again().await;
    }
    let mut chats = BTreeSet::new();
    for (load, chat) in loads {
        load.stop().await;
        chats.insert(chat);
    }
    check_index(&edge).await;
    assert_eq!(chats.len(), 3);
}

/// F5, F6: what is to be indexed is not in Redis.
#[tokio::test]
async fn a_wiped_redis_costs_nothing_that_is_to_be_found() {
    let redis = PrivateRedis::start(false).await;
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let load = Load::start(&[app.address], &ann.token, &chat);
    for _ in 0..3 {
        load.goes_on_by(30).await;
        redis.wipe().await;
    }
    load.goes_on_by(30).await;
    load.stop().await;
    check_index(&app).await;
}

/// A follower that was paused, with an old state in its hands, changes nothing.
#[tokio::test]
async fn a_follower_that_is_late_writes_nothing() {
    use chat_service::model::id::ChatId;
    use chat_service::store::search::{changed, write};

    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let id = ann.says(&chat, "the old text").await;
    is_indexed(&app).await;
    app.sql("delete from message_search", None).await;
    app.sql("delete from search_progress", None).await;
    let mut db = app.database.connect().await;
    let chats = [ChatId(chat.parse().unwrap())];
    let old = changed(&mut db, &chats, 100).await.unwrap();
    assert_eq!(old[0].messages(), 1);
    let path = format!("/chats/{chat}/messages/{id}");
    ann.http.patch(&path, serde_json::json!({ "body": "the new text" })).await.expect(200);
    is_indexed(&app).await;
    assert!(write(&mut db, &old).await.unwrap().is_empty(), "somebody else was faster");
    assert_eq!(ann.looks_for("the new").await, ["the new text"]);
    // And one that is in time writes.
    app.sql("delete from message_search", None).await;
    app.sql("delete from search_progress", None).await;
    let now = changed(&mut db, &chats, 100).await.unwrap();
    assert_eq!(write(&mut db, &now).await.unwrap().len(), 1);
    assert_eq!(ann.looks_for("the new").await, ["the new text"]);
}
