//! The rows of the socket.

use std::collections::BTreeSet;

use chat_service::protocol::request::RequestKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::table::{Outcome, Role, Row, SOCKET};
use super::world::{Ids, World};
use crate::harness::Socket;

/// R-AZ-1: a request without a row fails here.
#[test]
fn every_request_has_a_row() {
    let requests: BTreeSet<&str> = RequestKind::ALL.iter().map(|kind| kind.name()).collect();
    let rows: BTreeSet<&str> = SOCKET.iter().map(|row| row.what).collect();
    assert_eq!(requests, rows, "the requests, and the rows of tests/it/access/table.rs");
}

#[tokio::test]
async fn every_cell_of_the_socket_holds() {
    let mut world = Box::pin(World::new()).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for row in SOCKET {
        for (role, expected) in row.cells() {
            cells += 1;
            let ids = world.ids(role, row.of).await;
            let (found, error) = ask(&world, row, role, &ids).await;
            let cell = format!("{} of {} by {}", row.what, row.of.name(), role.name());
            if found != Ok(expected) {
                wrong.push(format!("{cell}: {found:?} instead of {expected:?}: {error}"));
            }
            if expected == Outcome::Hidden {
                // R-AZ-3: what is somebody else's looks like what is not there.
                let missing = ask(&world, row, role, &ids.missing(role)).await;
                if missing != (found, error) {
                    wrong.push(format!("{cell}: told apart from what is missing: {missing:?}"));
                }
            }
        }
    }
    println!("socket: cells tested = {cells}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What came of it, and the error; an outcome that the table does not know is its code. Each cell
/// has a socket of its own, so that it is in the rooms that its role is in now.
async fn ask(world: &World, row: &Row, role: Role, ids: &Ids) -> (Result<Outcome, String>, Value) {
    let mut socket = match world.person(role) {
        Some(person) => world.app.connect(person).await,
        None => Socket::open(world.app.address, &[]).await.expect("anybody may open one"),
    };
    let data = data(world, row, role, ids).await;
    let id = socket.ask(row.what, data).await;
    let mut answer = socket.answer(&id).await;
    let error = answer["error"].take();
    let outcome = match error["code"].as_str() {
        None if is_removed(&answer["data"], &ids.chat) => Ok(Outcome::Hidden),
        None => Ok(Outcome::Done),
        Some("unauthenticated") => Ok(Outcome::Unknown),
        Some("forbidden") => Ok(Outcome::Forbidden),
        Some("blocked") => Ok(Outcome::Blocked),
        Some("notFound") => Ok(Outcome::Hidden),
        Some(other) => Err(other.to_owned()),
    };
    (outcome, error)
}

/// A `sync` that knows nothing of the chat, and says nothing of it.
fn is_removed(data: &Value, chat: &str) -> bool {
    let Some(removed) = data["removed"].as_array() else { return false };
    let is_told = data["chats"].as_array().is_some_and(|chats| !chats.is_empty());
    removed.iter().any(|removed| removed == chat) && !is_told
}

async fn data(world: &World, row: &Row, role: Role, ids: &Ids) -> Value {
    let (chat, message) = (&ids.chat, &ids.message);
    match row.what {
        "authenticate" => {
            let token = match world.person(role) {
                Some(person) => json!(person.token),
                None => world.sign_in(role).await["accessToken"].take(),
            };
            json!({ "token": token })
        }
        "sendMessage" => json!({ "chatId": chat, "clientId": Uuid::now_v7(), "body": "text" }),
        "editMessage" => json!({ "chatId": chat, "messageId": message, "body": "another text" }),
        "deleteMessage" => json!({ "chatId": chat, "messageId": message }),
        "addReaction" | "removeReaction" => {
            json!({ "chatId": chat, "messageId": message, "emoji": "like" })
        }
        "getMessages" | "leaveChat" => json!({ "chatId": chat }),
        "joinChat" => json!({ "chatId": chat, "afterSeq": 0 }),
        "markRead" => json!({ "chatId": chat, "seq": 1 }),
        "typing" => json!({ "chatId": chat, "typing": true }),
        "sync" => json!({ "chats": [{ "chatId": chat, "afterSeq": 0 }] }),
        "subscribePresence" | "unsubscribePresence" => json!({ "userIds": [ids.user] }),
        "subscribe" => json!({ "events": ["*"] }),
        other => panic!("what does {other} take?"),
    }
}
