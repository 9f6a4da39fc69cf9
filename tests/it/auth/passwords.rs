//! Changing a password, and which may be chosen.

use chat_service::app::Node;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Answer, Http, PASSWORD, TestApp};

const NEW: &str = "another horse entirely";

async fn change(client: &Http, current: &str, new: &str) -> Answer {
    let body = json!({ "currentPassword": current, "newPassword": new });
    client.post("/auth/password", body).await
}

async fn sign_in(client: &Http, password: &str) -> Answer {
    client.post("/auth/signin", json!({ "login": "ann", "password": password })).await
}

/// R-AU-7, R-SE-10: on every node, requests and sockets alike.
#[tokio::test]
async fn a_change_ends_all_other_sessions_and_is_told_by_mail() {
    let apps = TestApp::cluster(2).await;
    let [app, other] = &apps[..] else { unreachable!("two were asked for") };
    let phone = app.person("ann").await;
    let laptop = app.client().sign_in("ann", json!({})).await;
    let laptop_http = other.client().with_token(laptop.text("/accessToken"));
    let mut here = app.connect(&phone).await;
    let mut there =
        crate::harness::Socket::connect(other.address, &laptop.text("/accessToken")).await;

    change(&phone.http, PASSWORD, NEW).await.expect(204);
    let revoked = there.push("sessionRevoked").await;
    assert_eq!(revoked["reason"], "passwordChanged");
    assert_eq!(revoked["sessionId"], laptop.body["session"]["id"]);
    assert_eq!(there.closed().await, 4403);
    laptop_http.get("/user/profile").await.expect_problem(401, "unauthenticated");
    let body = json!({ "refreshToken": laptop.text("/refreshToken") });
    app.client().post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");

    phone.http.get("/user/profile").await.expect(200);
    here.request("sync", json!({ "chats": [] })).await;
    let body = json!({ "refreshToken": phone.signed_up["refreshToken"] });
    app.client().post("/auth/refresh", body).await.expect(200);
    sign_in(&app.client(), PASSWORD).await.expect_problem(401, "unauthenticated");
    sign_in(&other.client(), NEW).await.expect(200);

    let mails = app.mails("ann@example.org", "Your password was changed", 1).await;
    assert!(mails[0].text.contains("\"ann\"") && mails[0].text.contains("127.0.0.1"));
    assert_eq!(app.audited("user.passwordChanged").await, 1);
}

#[tokio::test]
async fn a_change_needs_the_current_password_and_a_session() {
    let app = TestApp::start().await;
    let ann = app.person("annabel").await;
    let wrong = change(&ann.http, "a wrong password", NEW).await.expect_problem(422, "invalid");
    assert_eq!(wrong.error_paths(), ["currentPassword"]);
    assert_eq!(app.audited("user.passwordRefused").await, 1);
    change(&app.client(), PASSWORD, NEW).await.expect_problem(401, "unauthenticated");
    for new in ["short", "password2024!", "my annabel password"] {
        let bad = change(&ann.http, PASSWORD, new).await.expect_problem(422, "invalid");
        assert_eq!(bad.error_paths(), ["newPassword"], "{new}");
    }
    change(&ann.http, PASSWORD, NEW).await.expect(204);
    assert_eq!(app.audited("user.passwordChanged").await, 1);
}

#[tokio::test]
async fn of_changes_at_once_one_counts() {
    let apps = TestApp::cluster(2).await;
    let ann = apps[0].person("ann").await;
    let there = ann.at(&apps[1]);
    let passwords: Vec<String> =
        (0..6).map(|number| format!("{number} horses of course")).collect();
    let changes = passwords.iter().enumerate().map(|(index, new)| {
        let client = if index % 2 == 0 { &ann.http } else { &there };
        change(client, PASSWORD, new)
    });
    let answers = futures_util::future::join_all(changes).await;
    let mut done = Vec::new();
    for (answer, new) in answers.into_iter().zip(&passwords) {
        match answer.status {
            204 => done.push(new),
            409 => drop(answer.expect_problem(409, "conflict")),
            // Its password was checked after the other's change.
            _ => drop(answer.expect_problem(422, "invalid")),
        }
    }
    let [winner] = done[..] else { panic!("{done:?} were all set") };
    sign_in(&apps[0].client(), winner).await.expect(200);
}

/// R-AU-2, R-AU-3: at sign-up, change and reset alike.
#[tokio::test]
async fn a_leaked_password_is_refused_wherever_one_is_chosen() {
    let leaked = "zebra7lamp";
    let path = std::env::temp_dir().join(format!("leaked-{}", Uuid::now_v7()));
    // The SHA-1 of it, as collections write it.
    std::fs::write(&path, "A61D572EBDE9CA020A912939EDB29692353624B6:3\r\n").unwrap();
    let file = path.to_str().unwrap().to_owned();
    let app = TestApp::start_with(&[("BREACHED_PASSWORDS_FILE", &file)]).await;
    std::fs::remove_file(&path).unwrap();

    let client = app.client();
    let body = json!({ "username": "eve", "email": "eve@example.org", "password": leaked });
    let refused = client.post("/auth/signup", body).await.expect_problem(422, "invalid");
    assert_eq!(refused.error_paths(), ["password"]);
    let ann = app.person("ann").await;
    let refused = change(&ann.http, PASSWORD, leaked).await.expect_problem(422, "invalid");
    assert_eq!(refused.error_paths(), ["newPassword"]);
    client.post("/auth/password/forgot", json!({ "email": "ann@example.org" })).await.expect(202);
    let token = app.mails("ann@example.org", "Set a new password", 1).await[0].token();
    let reset = |password: &str| {
        client.post("/auth/password/reset", json!({ "token": token, "newPassword": password }))
    };
    let refused = reset(leaked).await.expect_problem(422, "invalid");
    assert_eq!(refused.error_paths(), ["newPassword"]);
    reset(NEW).await.expect(204);
}

#[tokio::test]
async fn a_file_of_leaked_passwords_that_cannot_be_read_stops_the_start() {
    let app = TestApp::start().await;
    let path = std::env::temp_dir().join(format!("leaked-{}", Uuid::now_v7()));
    std::fs::write(&path, "password\n").unwrap();
    for file in [path.to_str().unwrap(), "/nowhere/to/be/found"] {
        let config = app.config_with(&[("BREACHED_PASSWORDS_FILE", file)]);
        let error = Node::start(config).await.err().expect("it does not start");
        assert!(format!("{error:#}").contains("BREACHED_PASSWORDS_FILE"), "{error:#}");
    }
    std::fs::remove_file(&path).unwrap();
}
