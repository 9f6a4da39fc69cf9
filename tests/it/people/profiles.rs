//! What users say of themselves, and who hears of it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::patch;
use crate::harness::{A_WHILE, TestApp};

#[tokio::test]
async fn a_profile_is_edited_field_by_field() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let edit = async |body: Value| patch(&ann.http, "/user/profile", body).await;
    let before = ann.http.get("/user/profile").await.expect(200).body;
    assert_eq!(edit(json!({})).await.expect(200).body, before, "nothing named, nothing changed");
    let bio = "Two lines,\nand a 🙂";
    let edited = edit(json!({ "displayName": "Änne B.", "bio": bio })).await.expect(200).body;
    assert_eq!((&edited["displayName"], &edited["bio"]), (&json!("Änne B."), &json!(bio)));
    assert_eq!(edited["username"], "ann");
    let edited = edit(json!({ "privacy": { "lastSeen": "contacts" } })).await.expect(200).body;
    let privacy = json!({
        "lastSeen": "contacts", "directMessages": "everyone", "groupInvites": "everyone",
        "discoverable": true, "readReceipts": true, "typing": true,
    });
    assert_eq!(edited["privacy"], privacy, "the settings that were left out stay");
    assert_eq!(edited["bio"], bio);
    let emptied = edit(json!({ "bio": "", "username": "Ann.B" })).await.expect(200).body;
    assert_eq!((&emptied["bio"], &emptied["username"]), (&json!(""), &json!("Ann.B")));
    assert_eq!(ann.http.get("/user/profile").await.expect(200).body, emptied);

    let seen = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200).body;
    assert_eq!(seen["displayName"], "Änne B.");
    for private in ["email", "emailVerified", "role", "privacy"] {
        assert!(seen.get(private).is_none(), "{private} is nobody else's affair");
    }
    let nobody = format!("/user/{}", Uuid::now_v7());
    bob.http.get(&nobody).await.expect_problem(404, "notFound");
    app.client().get(&format!("/user/{}", ann.id)).await.expect_problem(401, "unauthenticated");
}

/// R-AZ-2, F44: what the server owns cannot be set, and what is wrong changes nothing.
#[tokio::test]
async fn what_is_not_ones_own_is_refused_whole() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let before = ann.http.get("/user/profile").await.expect(200).body;
    let owned = [
        ("id", json!(Uuid::now_v7())),
        ("email", json!("eve@example.org")),
        ("emailVerified", json!(true)),
        ("verified", json!(true)),
        ("role", json!("admin")),
        ("avatarUrl", json!("https://example.org/a.png")),
        ("online", json!(true)),
        ("lastSeenAt", json!("2026-01-01T00:00:00.000Z")),
        ("createdAt", json!("2026-01-01T00:00:00.000Z")),
        ("suspendedAt", json!(null)),
        ("passwordHash", json!("x")),
    ];
    for (field, value) in owned {
        let body = json!({ "bio": "changed", field: value });
        let refused = patch(&ann.http, "/user/profile", body).await;
        let refused = refused.expect_problem(422, "invalid");
        assert_eq!(refused.error_paths(), [field]);
    }
    let wrong = [
        (json!({ "displayName": null }), "displayName"),
        (json!({ "bio": null }), "bio"),
        (json!({ "privacy": null }), "privacy"),
        (json!({ "privacy": { "lastSeen": null } }), "privacy.lastSeen"),
        (json!({ "privacy": { "lastSeen": "friends" } }), "privacy.lastSeen"),
        (json!({ "privacy": { "admin": true } }), "privacy.admin"),
        (json!({ "bio": "changed", "displayName": " " }), "displayName"),
        (json!({ "bio": "changed", "displayName": "a\u{202e}b" }), "displayName"),
        (json!({ "bio": "b".repeat(501) }), "bio"),
        (json!({ "bio": "a\u{0}b" }), "bio"),
        (json!({ "bio": "changed", "username": "an" }), "username"),
        (json!({ "username": "ann@example.org" }), "username"),
    ];
    for (body, path) in wrong {
        let refused = patch(&ann.http, "/user/profile", body.clone()).await;
        let refused = refused.expect_problem(422, "invalid");
        assert_eq!(refused.error_paths(), [path], "{body}");
    }
    assert_eq!(ann.http.get("/user/profile").await.expect(200).body, before);
}

#[tokio::test]
async fn a_username_is_one_persons_without_regard_to_case() {
    let app = TestApp::start().await;
    let [ann, _bob] = app.people(["ann", "bob"]).await;
    let taken = json!({ "username": "BOB", "bio": "changed" });
    patch(&ann.http, "/user/profile", taken).await.expect_problem(409, "conflict");
    let me = ann.http.get("/user/profile").await.expect(200).body;
    assert_eq!((&me["username"], &me["bio"]), (&json!("ann"), &json!("")), "nothing half done");
    let own = json!({ "username": "ANN" });
    patch(&ann.http, "/user/profile", own).await.expect(200);
    app.client().sign_in("ann", json!({})).await;
}

#[tokio::test]
async fn a_new_profile_is_told_to_direct_chats_and_to_ones_own_sockets() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, eve, joe] = nodes[0].people(["ann", "bob", "eve", "joe"]).await;
    ann.direct(&bob).await.expect(201);
    ann.group(&[&eve]).await;
    ann.direct(&joe).await.expect(201);
    joe.block(&ann).await;
    let mut own = nodes[1].connect(&ann).await;
    let mut peer = nodes[1].connect(&bob).await;
    let mut blocker = nodes[1].connect(&joe).await;
    let mut in_group = nodes[0].connect(&eve).await;
    let mut renames = 0;
    // Pub/sub loses what is sent before the other node listens.
    let told = loop {
        renames += 1;
        let name = format!("Ann {renames}");
        patch(&ann.http, "/user/profile", json!({ "displayName": name })).await.expect(200);
        peer.request("subscribe", json!({ "events": ["*"] })).await;
        tokio::time::sleep(A_WHILE / 4).await;
        peer.request("subscribe", json!({ "events": ["*"] })).await;
        let told = peer.take_pushes().into_iter().rfind(|push| push["event"] == "userUpdated");
        if let Some(told) = told {
            break told["data"]["user"].clone();
        }
        assert!(renames < 100, "never told");
    };
    let shown = bob.http.get(&format!("/user/{}", ann.id)).await.expect(200).body;
    assert_eq!((&told["id"], &told["username"]), (&shown["id"], &shown["username"]));
    for private in ["email", "privacy", "online", "lastSeenAt"] {
        assert!(told.get(private).is_none(), "{private}");
    }
    assert_eq!(own.push("userUpdated").await["user"]["id"], ann.id);
    assert_eq!(blocker.push("userUpdated").await["user"]["id"], ann.id, "a profile is no secret");
    in_group.expect_silence("userUpdated", A_WHILE).await;

    patch(&ann.http, "/user/profile", json!({ "privacy": { "lastSeen": "nobody" } })).await;
    own.take_pushes();
    own.expect_silence("userUpdated", A_WHILE).await;
}
