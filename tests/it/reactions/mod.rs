//! Reactions: on the socket and over REST, live and afterwards, under races and crashes.

mod adding;
mod bounds;
mod fold;
mod reading;
mod replays;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Http, Socket, TestApp, message};

const HEART: &str = "\u{2764}\u{FE0F}";
const THUMB: &str = "\u{1F44D}";

/// Every byte of it escaped.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"))
}

fn path(chat: &str, message: &str, emoji: &str) -> String {
    format!("/chats/{chat}/messages/{message}/reactions/{}", escaped(emoji))
}

impl Http {
    async fn react(&self, chat: &str, message: &str, emoji: &str) -> Answer {
        Answer::of(self.request(Method::PUT, &path(chat, message, emoji))).await
    }

    async fn unreact(&self, chat: &str, message: &str, emoji: &str) -> Answer {
        self.delete(&path(chat, message, emoji)).await
    }
}

impl Socket {
    async fn send(&mut self, chat: &str, body: &str) -> String {
        let sent = self.request("sendMessage", message(chat, body)).await;
        sent["messageId"].as_str().expect("an id").to_owned()
    }

    async fn react(&mut self, chat: &str, message: &str, emoji: &str) -> i64 {
        let data = json!({ "chatId": chat, "messageId": message, "emoji": emoji });
        let done = self.request("addReaction", data).await;
        done["seq"].as_i64().expect("a seq")
    }

    async fn unreact(&mut self, chat: &str, message: &str, emoji: &str) -> i64 {
        let data = json!({ "chatId": chat, "messageId": message, "emoji": emoji });
        let done = self.request("removeReaction", data).await;
        done["seq"].as_i64().expect("a seq")
    }
}

/// As a message shows them.
fn shown(emoji: &str, count: i64, me: bool) -> Value {
    json!({ "emoji": emoji, "count": count, "me": me })
}

/// The counts that are kept are those of the rows, and so is what answers what.
async fn check_rows(app: &TestApp) {
    let mut db = app.database.connect().await;
    let wrong: i64 = sqlx::query_scalar(
        "with counted as (
             select chat_id, message_seq, jsonb_object_agg(emoji, n) as tallies
             from (
                 select chat_id, message_seq, emoji, count(*) as n
                 from message_reactions
                 group by chat_id, message_seq, emoji
             ) one
             group by chat_id, message_seq
         ),
         kept as (
             select m.chat_id, m.seq, jsonb_object_agg(e->>'emoji', e->'count') as tallies
             from messages m
             cross join jsonb_array_elements(m.reactions) e
             group by m.chat_id, m.seq
         )
         select count(*)
         from counted
         full join kept on kept.chat_id = counted.chat_id and kept.seq = counted.message_seq
         where counted.tallies is distinct from kept.tallies",
    )
    .fetch_one(&mut db)
    .await
    .expect("the statement runs");
    assert_eq!(wrong, 0, "messages whose counts are not those of the rows");
    let wrong: i64 = sqlx::query_scalar(
        "select count(*)
         from messages m
         where m.reply_to_seq is not null
           and m.reply_count <> (
               select count(*)
               from message_answers a
               where a.chat_id = m.chat_id and a.answered_seq = m.seq
           )",
    )
    .fetch_one(&mut db)
    .await
    .expect("the statement runs");
    assert_eq!(wrong, 0, "answers whose count is not that of what answers them");
}
