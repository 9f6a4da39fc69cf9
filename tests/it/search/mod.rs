//! Finding messages: what is found, by whom, and that the index follows whatever happens.

mod faults;
mod finding;
mod following;
mod readers;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Person, TestApp, eventually};

impl Person {
    /// Sends a message; gives its id.
    async fn says(&self, chat: &str, body: &str) -> String {
        let new = json!({ "clientId": Uuid::new_v4(), "body": body });
        self.http.post(&format!("/chats/{chat}/messages"), new).await.expect(201).text("/id")
    }

    async fn search(&self, pairs: &[(&str, &str)]) -> Answer {
        self.http.get(&format!("/messages/search?{}", query(pairs))).await
    }

    /// The texts that a search finds.
    async fn looks_for(&self, words: &str) -> Vec<String> {
        bodies(&self.search(&[("q", words)]).await.expect(200))
    }

    async fn looks_with(&self, pairs: &[(&str, &str)]) -> Vec<String> {
        bodies(&self.search(pairs).await.expect(200))
    }
}

/// Waits until this node has nothing left to index.
async fn is_indexed(app: &TestApp) {
    eventually("everything is indexed", async || {
        let mut db = app.database.connect().await;
        let behind: i64 = sqlx::query_scalar(
            "select count(*)
             from messages m
             left join search_progress p on p.chat_id = m.chat_id
             where m.changed_seq > coalesce(p.seq, 0)",
        )
        .fetch_one(&mut db)
        .await
        .expect("the statement runs");
        behind == 0
    })
    .await;
}

fn bodies(answer: &Answer) -> Vec<String> {
    let body = |item: &Value| item["message"]["body"].as_str().expect("a text").to_owned();
    answer.items().iter().map(body).collect()
}

/// What is marked of an item's text.
fn marked(item: &Value) -> Vec<&str> {
    let parts = item["highlight"]["parts"].as_array().expect("a list").iter();
    parts
        .filter(|part| part["hit"] == true)
        .map(|part| part["text"].as_str().expect("a text"))
        .collect()
}

/// A query string, every byte of it escaped that could mean anything.
fn query(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(escape).collect::<String>()
    };
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}
