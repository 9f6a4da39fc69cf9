//! The rows of REST.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::table::{Of, Outcome, REST, Role, Row};
use super::world::{Ids, World};
use crate::harness::{Answer, PASSWORD, Socket, TestApp, document};

/// R-AZ-1: a route without a row fails here.
#[tokio::test]
async fn every_route_has_a_row() {
    let app = TestApp::start().await;
    let document = document(app.address, "openapi").await;
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let rows: BTreeSet<String> = REST.iter().map(|row| row.what.to_owned()).collect();
    assert_eq!(routes, rows, "the routes, and the rows of tests/it/access/table.rs");
}

#[tokio::test]
async fn every_cell_of_rest_holds() {
    let mut world = Box::pin(World::new()).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for row in REST {
        for (role, expected) in row.cells() {
            cells += 1;
            let ids = world.ids(role, row.of).await;
            let (found, body) = ask(&world, row, role, &ids).await;
            let cell = format!("{} of {} by {}", row.what, row.of.name(), role.name());
            if found != Ok(expected) {
                wrong.push(format!("{cell}: {found:?} instead of {expected:?}: {body}"));
            }
            if expected == Outcome::Hidden {
                // R-AZ-3: what is somebody else's looks like what is not there.
                let missing = ask(&world, row, role, &Ids::missing()).await;
                if missing != (found, body) {
                    wrong.push(format!("{cell}: told apart from what is missing: {missing:?}"));
                }
            }
            if row.what.contains("/auth/logout") && role != Role::Anonymous {
                world.return_of(role).await;
            }
        }
    }
    println!("REST: cells tested = {cells}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What came of it, and what was said without the request's own id. An outcome that the table
/// does not know is its status.
async fn ask(world: &World, row: &Row, role: Role, ids: &Ids) -> (Result<Outcome, u16>, Value) {
    let (method, path) = row.what.split_once(' ').expect("a method and a path");
    if path.ends_with("/ws") {
        return (upgrade(world, role).await, Value::Null);
    }
    let path = path
        .replace("{chatId}", &ids.chat)
        .replace("{messageId}", &ids.message)
        .replace("{userId}", &ids.user)
        .replace("{sessionId}", &ids.session);
    let client = world.client(role);
    let method: Method = method.parse().expect("a method");
    let mut request = client.request_at_root(method, &path);
    if let Some(body) = body(world, row, role).await {
        request = request.json(&body);
    }
    let mut answer = Answer::of(request).await;
    let outcome = match (answer.status, answer.body["code"].as_str()) {
        (200..300, _) => Ok(Outcome::Done),
        (401, _) => Ok(Outcome::Unknown),
        (403, Some("blocked")) => Ok(Outcome::Blocked),
        (403, _) => Ok(Outcome::Forbidden),
        (404, _) => Ok(Outcome::Hidden),
        (status, _) => Err(status),
    };
    if let Some(id) = answer.body.get_mut("requestId") {
        id.take();
    }
    (outcome, answer.body)
}

async fn upgrade(world: &World, role: Role) -> Result<Outcome, u16> {
    let bearer = world.person(role).map(|person| format!("Bearer {}", person.token));
    let headers = bearer.as_ref().map(|bearer| ("authorization", bearer.as_str()));
    let opened = Socket::open(world.app.address, headers.as_slice()).await;
    opened.map(|_| Outcome::Done)
}

/// What the call takes, where it takes something.
async fn body(world: &World, row: &Row, role: Role) -> Option<Value> {
    let body = match row.what.split_once("/api/v1")? {
        ("POST ", "/auth/signup") => {
            let name = format!("n{}", &Uuid::new_v4().simple().to_string()[..16]);
            let email = format!("{name}@example.org");
            json!({ "username": name, "email": email, "password": PASSWORD })
        }
        ("POST ", "/auth/signin") => json!({ "login": world.login(role), "password": PASSWORD }),
        ("POST ", "/auth/refresh") => {
            json!({ "refreshToken": world.sign_in(role).await["refreshToken"] })
        }
        ("POST ", "/chats") => json!({ "title": "a group" }),
        ("POST ", "/chats/{chatId}/messages") => {
            json!({ "clientId": Uuid::now_v7(), "body": "text" })
        }
        ("PATCH ", "/chats/{chatId}/messages/{messageId}") => json!({ "body": "another text" }),
        _ => return None,
    };
    Some(body)
}

/// The table itself: what is hidden from strangers is hidden from those who have left.
#[test]
fn who_has_left_is_a_stranger() {
    for row in REST.iter().filter(|row| row.of == Of::Chat) {
        let cells = row.cells();
        let of = |role: Role| cells.iter().find(|cell| cell.0 == role).map(|cell| cell.1);
        assert_eq!(of(Role::Stranger), of(Role::ExMember), "{}", row.what);
        assert_eq!(of(Role::Stranger), Some(Outcome::Hidden), "{}", row.what);
    }
}
