//! People and one another: profiles, privacy, search, blocks. The roads of a block are those of
//! `docs/BLOCKING.md`, which names each test.

mod blocked_direct;
mod blocked_groups;
mod blocked_live;
mod blocks;
mod privacy;
mod profiles;
mod search;

use chat_service::model::id::UserId;
use serde_json::{Value, json};

use crate::harness::{Answer, Http, Person};

/// A problem as its reader gets it, but for what differs between any two requests.
fn without_request(mut answer: Answer) -> (u16, Value) {
    answer.body["requestId"].take();
    (answer.status, answer.body)
}

async fn patch(http: &Http, path: &str, body: Value) -> Answer {
    Answer::of(http.request(reqwest::Method::PATCH, path).json(&body)).await
}

impl Person {
    async fn block(&self, other: &Self) {
        self.http.post(&format!("/user/block/{}", other.id), json!({})).await.expect(204);
    }

    async fn unblock(&self, other: &Self) {
        self.http.delete(&format!("/user/block/{}", other.id)).await.expect(204);
    }

    async fn set_privacy(&self, privacy: Value) {
        let body = json!({ "privacy": privacy });
        patch(&self.http, "/user/profile", body).await.expect(200);
    }

    /// The usernames that a search finds.
    async fn finds(&self, words: &str) -> Vec<String> {
        let path = format!("/user/search?{}", query(&[("q", words)]));
        usernames(&self.http.get(&path).await.expect(200))
    }
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

fn user_id(person: &Person) -> UserId {
    person.id.parse().expect("an id")
}

fn usernames(answer: &Answer) -> Vec<String> {
    let names =
        answer.items().iter().map(|user| user["username"].as_str().expect("a name").to_owned());
    names.collect()
}
