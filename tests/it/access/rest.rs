//! The rows of REST.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::table::{Of, Outcome, REST, Role, Row};
use super::world::{ANOTHER_PASSWORD, FORGOTTEN, Ids, World, new_name};
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
                let missing = ask(&world, row, role, &ids.missing(role)).await;
                if missing != (found, body) {
                    wrong.push(format!("{cell}: told apart from what is missing: {missing:?}"));
                }
            }
            if role != Role::Anonymous {
                make_good(&mut world, row, role).await;
            }
        }
    }
    println!("REST: cells tested = {cells}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Makes somebody able to ask for the rows below.
async fn make_good(world: &mut World, row: &Row, role: Role) {
    match row.what {
        "POST /api/v1/auth/logout" | "POST /api/v1/auth/logout-all" => world.return_of(role).await,
        "POST /api/v1/auth/password" => world.take_password_back(role).await,
        _ => {}
    }
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
        .replace("{sessionId}", &ids.session)
        .replace("{code}", &ids.code)
        .replace("{emoji}", "like");
    let client = world.client(role);
    let method: Method = method.parse().expect("a method");
    let path = match row.what {
        "GET /api/v1/messages/search" => format!("{path}?q=word&chatId={}", ids.chat),
        "GET /api/v1/user/search"
        | "GET /api/v1/chats/search"
        | "GET /api/v1/chats/search/users" => format!("{path}?q=author"),
        "GET /api/v1/user/presence" => format!("{path}?ids={}", ids.user),
        _ => path,
    };
    let mut request = client.request_at_root(method, &path);
    if path.ends_with("/user/export") && role != Role::Anonymous {
        return download(request).await;
    }
    if let Some(body) = body(world, row, role, ids).await {
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

/// An archive, read to its end, since there is one at a time.
async fn download(request: RequestBuilder) -> (Result<Outcome, u16>, Value) {
    let answer = request.send().await.expect("the node answers");
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.expect("the archive is whole");
    let is_archive = status == 200 && bytes.starts_with(b"PK");
    (is_archive.then_some(Outcome::Done).ok_or(status), Value::Null)
}

async fn upgrade(world: &World, role: Role) -> Result<Outcome, u16> {
    let bearer = world.person(role).map(|person| format!("Bearer {}", person.token));
    let headers = bearer.as_ref().map(|bearer| ("authorization", bearer.as_str()));
    let opened = Socket::open(world.app.address, headers.as_slice()).await;
    opened.map(|_| Outcome::Done)
}

/// What the call takes, where it takes something.
async fn body(world: &World, row: &Row, role: Role, ids: &Ids) -> Option<Value> {
    let body = match row.what.split_once("/api/v1")? {
        ("POST ", "/auth/signup") => {
            let name = new_name();
            let email = format!("{name}@example.org");
            json!({ "username": name, "email": email, "password": PASSWORD })
        }
        ("POST ", "/auth/signin") => json!({ "login": world.login(role), "password": PASSWORD }),
        ("POST ", "/auth/refresh") => {
            json!({ "refreshToken": world.sign_in(role).await["refreshToken"] })
        }
        ("POST ", "/auth/password") => {
            json!({ "currentPassword": PASSWORD, "newPassword": ANOTHER_PASSWORD })
        }
        ("POST ", "/auth/password/forgot") => json!({ "email": "author@example.org" }),
        ("POST ", "/auth/password/reset") => {
            let token = world.mailed_token(FORGOTTEN).await;
            json!({ "token": token, "newPassword": ANOTHER_PASSWORD })
        }
        ("POST ", "/auth/email/verify") => {
            json!({ "token": world.mailed_token("Confirm your e-mail address").await })
        }
        ("PATCH ", "/user/profile") => json!({ "bio": "short" }),
        ("DELETE ", "/user") => json!({ "password": PASSWORD }),
        ("PATCH ", "/admin/users/{userId}") => json!({ "verified": true }),
        ("POST ", "/admin/users/{userId}/suspend") => json!({ "reason": "a reason" }),
        ("PATCH ", "/chats/{chatId}") => json!({ "title": "another title" }),
        ("PATCH ", "/chats/{chatId}/read") => json!({ "seq": 1 }),
        ("PATCH ", "/chats/{chatId}/pin") => json!({ "pinned": true }),
        ("PATCH ", "/chats/{chatId}/mute") => json!({ "until": null }),
        ("POST ", "/chats/{chatId}/members") => json!({ "userIds": [ids.user] }),
        ("PATCH ", "/chats/{chatId}/members/{userId}") => json!({ "role": "moderator" }),
        ("POST ", "/chats/{chatId}/invites") => json!({}),
        ("POST ", "/chats") => json!({ "title": "a group" }),
        ("POST ", "/chats/{chatId}/messages") => {
            json!({ "clientId": Uuid::now_v7(), "body": "text" })
        }
        ("PATCH ", "/chats/{chatId}/messages/{messageId}") => json!({ "body": "another text" }),
        _ => return None,
    };
    Some(body)
}

/// The table itself: what is hidden from strangers is hidden from those who have left, and from
/// those who run the service.
#[test]
fn who_is_not_in_a_chat_is_a_stranger() {
    for row in REST.iter().filter(|row| row.of == Of::Chat) {
        let outside = row.cells().into_iter().filter(|(role, _)| !role.is_inside());
        for (role, outcome) in outside.filter(|(role, _)| *role != Role::Anonymous) {
            assert_eq!(outcome, Outcome::Hidden, "{} by {}", row.what, role.name());
        }
    }
}
