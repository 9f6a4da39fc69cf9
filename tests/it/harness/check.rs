//! What must hold of a chat after whatever has happened, read from Postgres itself.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TestApp;
use super::load::Sent;

/// Checks that the chat's seqs are 1 to the last without a hole, that all counts agree, and that
/// everything acknowledged is stored as it was acknowledged, once. Returns the last seq.
pub(crate) async fn check_chat(app: &TestApp, chat: &str, sent: &[Sent]) -> i64 {
    let chat: Uuid = chat.parse().expect("a chat's id");
    let mut db = app.database.connect().await;
    let (last_seq, message_count): (i64, i64) =
        sqlx::query_as("select last_seq, message_count from chats where id = $1")
            .bind(chat)
            .fetch_one(&mut db)
            .await
            .expect("the chat is there");
    let stored: Vec<(i64, Uuid, Uuid, i64, Option<String>)> = sqlx::query_as(
        "select seq, id, client_id, ordinal, body from messages where chat_id = $1 order by seq",
    )
    .bind(chat)
    .fetch_all(&mut db)
    .await
    .expect("the statement runs");
    let others: Vec<i64> = sqlx::query_scalar("select seq from chat_events where chat_id = $1")
        .bind(chat)
        .fetch_all(&mut db)
        .await
        .expect("the statement runs");

    let mut all: Vec<i64> = stored.iter().map(|row| row.0).chain(others).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=last_seq).collect::<Vec<_>>(), "the chat's seqs");
    assert_eq!(stored.len(), usize::try_from(message_count).expect("a count"));
    let ordinals: Vec<i64> = stored.iter().map(|row| row.3).collect();
    assert_eq!(ordinals, (1..=message_count).collect::<Vec<_>>(), "the messages' numbers");

    check_unread(&mut db, chat).await;
    let mut by_client_id = HashMap::new();
    for (seq, id, client_id, _, body) in stored {
        assert!(by_client_id.insert(client_id, (seq, id, body)).is_none(), "{client_id} twice");
    }
    for message in sent {
        let found = by_client_id.get(&message.client_id);
        let (seq, id, body) = found.unwrap_or_else(|| panic!("lost: {message:?}"));
        assert_eq!((*seq, id.to_string()), (message.seq, message.message_id.clone()));
        assert_eq!(body.as_deref(), Some(message.body.as_str()));
    }
    last_seq
}

/// I11: what is unread is known without counting, and equals what counting gives.
async fn check_unread(db: &mut PgConnection, chat: Uuid) {
    let wrong: Vec<(Uuid, i64, i64, i64)> = sqlx::query_as(
        "select m.user_id, m.read_seq, m.read_count, n.n
         from chat_members m
         cross join lateral (
             select count(*) as n
             from messages s
             where s.chat_id = m.chat_id and s.seq <= m.read_seq
         ) n
         where m.chat_id = $1 and m.left_seq is null and m.read_count <> n.n",
    )
    .bind(chat)
    .fetch_all(db)
    .await
    .expect("the statement runs");
    assert!(wrong.is_empty(), "read_count is not what is at or below read_seq: {wrong:?}");
}

/// The seqs of pushes.
pub(crate) fn seqs(events: &[Value]) -> Vec<i64> {
    events.iter().filter_map(|event| event["data"]["seq"].as_i64()).collect()
}
