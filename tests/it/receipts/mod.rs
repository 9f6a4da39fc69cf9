//! Up to where everybody has read: I10 (a mark never goes back), I11 (unread equals recomputation
//! from the rows, which `check_chat` holds of every chat), and R-PR-4 as far as reading and typing go.

mod devices;
mod faults;
mod marks;
mod privacy;
mod storing;

use serde_json::{Value, json};

use crate::harness::{Http, Person, Socket, TestApp, eventually};

async fn open(socket: &mut Socket, chat: &str) -> Value {
    socket.request("joinChat", json!({ "chatId": chat })).await
}

async fn mark(socket: &mut Socket, chat: &str, seq: i64) -> Value {
    socket.request("markRead", json!({ "chatId": chat, "seq": seq })).await
}

/// Says so many messages; the seq of the last one.
async fn say(socket: &mut Socket, chat: &str, count: usize) -> i64 {
    let mut last = 0;
    for _ in 0..count {
        last = socket.say(chat, "text").await;
    }
    last
}

/// How a chat stands for somebody.
async fn standing(http: &Http, chat: &str) -> (i64, i64) {
    let shown = http.get(&format!("/chats/{chat}")).await.expect(200);
    let number = |name: &str| shown.body[name].as_i64().expect("a number");
    (number("readSeq"), number("unreadCount"))
}

/// The receipts of a chat that somebody is shown.
async fn receipts(http: &Http, chat: &str) -> Vec<(String, i64)> {
    let shown = http.get(&format!("/chats/{chat}/receipts")).await.expect(200);
    pairs(shown.items())
}

fn pairs(receipts: &[Value]) -> Vec<(String, i64)> {
    let pair = |receipt: &Value| {
        assert!(receipt["at"].is_string(), "{receipt:#}");
        let user = receipt["userId"].as_str().expect("a user's id");
        (user.to_owned(), receipt["readSeq"].as_i64().expect("a seq"))
    };
    receipts.iter().map(pair).collect()
}

/// Where Postgres has somebody's mark.
async fn stored(app: &TestApp, chat: &str, person: &Person) -> i64 {
    let mut db = app.database.connect().await;
    sqlx::query_scalar("select read_seq from chat_members where chat_id = $1 and user_id = $2")
        .bind(chat.parse::<uuid::Uuid>().expect("an id"))
        .bind(person.id.parse::<uuid::Uuid>().expect("an id"))
        .fetch_one(&mut db)
        .await
        .expect("they are in it")
}

async fn is_stored(app: &TestApp, chat: &str, person: &Person, seq: i64) {
    eventually("the mark is in Postgres", async || stored(app, chat, person).await == seq).await;
}
