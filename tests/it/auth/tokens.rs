//! Access tokens that are not ours, by every way in, and keys that change: R-SE-1 to R-SE-5, F41.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

use super::forgery::{Key, Table, odd_claims, odd_forms, odd_headers, parts, written};
use crate::harness::{Answer, Http, Socket, TestApp};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NEXT: &str = "fedcba9876543210fedcba9876543210";

/// Guesses that a socket bears with; further ones need another.
const PER_SOCKET: usize = 9;

/// A file that is gone with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(pem: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chat-it-key-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, pem).expect("it can be written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// What is answered over REST, or in an upgrade's place, but for the request's id.
async fn refusal(http: &Http, path: &str, headers: &[(&str, String)]) -> (u16, Value) {
    let mut request = http.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut answer = Answer::of(request).await;
    answer.body.as_object_mut().map(|body| body.remove("requestId"));
    (answer.status, answer.body)
}

async fn by_upgrade(http: &Http, name: &str, value: String) -> (u16, Value) {
    let headers = [
        ("connection", "upgrade".to_owned()),
        ("upgrade", "websocket".to_owned()),
        ("sec-websocket-version", "13".to_owned()),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
        (name, value),
    ];
    refusal(http, "/ws", &headers).await
}

/// Tries each token by every way in, and expects the same refusal each time.
async fn none_is_accepted(app: &TestApp, table: &Table) {
    let http = app.client();
    let expected = json!({
        "type": "/docs/problems#unauthenticated", "title": "Unauthorized", "status": 401,
        "code": "unauthenticated", "detail": "the access token is not valid",
    });
    for (what, token) in table {
        let bearer = format!("Bearer {token}");
        let by_header = ("authorization", bearer.clone());
        let rest = refusal(&http, "/user/profile", &[by_header]).await;
        assert_eq!(rest, (401, expected.clone()), "REST: {what}: {token}");
        let upgrade = by_upgrade(&http, "authorization", bearer).await;
        assert_eq!(upgrade, (401, expected.clone()), "header: {what}: {token}");
        let offers = format!("chat.v1, bearer.{token}");
        let upgrade = by_upgrade(&http, "sec-websocket-protocol", offers).await;
        assert_eq!(upgrade, (401, expected.clone()), "subprotocol: {what}: {token}");
    }
    let expected = json!({ "code": "unauthenticated", "message": "the access token is not valid" });
    for some in table.chunks(PER_SOCKET) {
        let mut socket = Socket::open(app.address, &[]).await.expect("it opens without a token");
        for (what, token) in some {
            let id = socket.ask("authenticate", json!({ "token": token })).await;
            let answer = socket.answer(&id).await;
            assert_eq!(answer["error"], expected, "first frame: {what}: {token}");
        }
    }
}

/// The whole table against one node.
async fn forgeries_are_refused(key: &Key, settings: &[(&str, &str)]) {
    let app = TestApp::start_with(settings).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let ended = app.client().sign_in("ann", json!({})).await;
    let refresh_token = ended.text("/refreshToken");
    let ended = ended.text("/accessToken");
    app.client().with_token(&ended).post("/auth/logout", json!({})).await.expect(204);

    // The table means something only if the same hand makes good tokens, too.
    let (header, claims) = parts(&ann.token);
    let again = key.sign(&written(&header), &claims.to_string());
    app.client().with_token(&again).get("/user/profile").await.expect(200);
    let opened = Socket::try_connect(app.address, &again).await;
    assert!(opened.is_some(), "a good token opens a socket");

    let strangers = bob.signed_up["session"]["id"].as_str().expect("an id");
    let mut table = odd_headers(key, &ann.token);
    table.extend(odd_forms(&ann.token, &bob.token));
    table.extend(odd_claims(key, &ann.token, strangers));
    table.push(("of an ended session".to_owned(), ended));
    table.push(("a refresh token".to_owned(), refresh_token));
    assert!(table.len() >= 100, "{}", table.len());
    none_is_accepted(&app, &table).await;
    ann.http.get("/user/profile").await.expect(200);
}

#[tokio::test]
async fn forged_tokens_are_refused_with_a_secret() {
    Box::pin(forgeries_are_refused(&Key::secret(SECRET), &[("JWT_SECRET", SECRET)])).await;
}

#[tokio::test]
async fn forged_tokens_are_refused_with_a_key_of_p256() {
    let key = Key::pair(Algorithm::ES256);
    let file = KeyFile::new(&key.private_pem);
    let settings = [("JWT_ALGORITHM", "ES256"), ("JWT_PRIVATE_KEY_FILE", file.path())];
    Box::pin(forgeries_are_refused(&key, &settings)).await;
}

#[tokio::test]
async fn forged_tokens_are_refused_with_a_key_of_ed25519() {
    let key = Key::pair(Algorithm::EdDSA);
    let file = KeyFile::new(&key.private_pem);
    let settings = [("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", file.path())];
    Box::pin(forgeries_are_refused(&key, &settings)).await;
}

async fn refreshed(http: &Http, token: &str) -> Answer {
    http.post("/auth/refresh", json!({ "refreshToken": token })).await
}

/// R-SE-5: on the way from one secret to the next nobody is signed out, on whichever node they are.
#[tokio::test]
async fn a_secret_is_rotated_without_signing_anybody_out() {
    // Told of the next secret; the other node signs with it already.
    let told = [("JWT_SECRET", SECRET), ("JWT_PREVIOUS_SECRETS", NEXT)];
    let first = TestApp::start_with(&told).await;
    let signs = [("JWT_SECRET", NEXT), ("JWT_PREVIOUS_SECRETS", SECRET)];
    let second = first.join_with(&signs).await;
    let ann = first.person("ann").await;
    let old = ann.signed_up["refreshToken"].as_str().expect("a token");
    ann.at(&second).get("/user/profile").await.expect(200);
    second.connect(&ann).await;
    let new = refreshed(&second.client(), old).await.expect(200);
    let at_first = first.client().with_token(new.text("/accessToken"));
    at_first.get("/user/profile").await.expect(200);
    // A retry that lands on a node with the other secret gets the same successor.
    let retried = refreshed(&first.client(), old).await.expect(200);
    assert_eq!(retried.text("/refreshToken"), new.text("/refreshToken"));
    let next = refreshed(&first.client(), &new.text("/refreshToken")).await.expect(200);

    // The old secret is taken out: its access tokens end, its sessions do not.
    let third = first.join_with(&[("JWT_SECRET", NEXT)]).await;
    third.client().with_token(&ann.token).get("/user/profile").await.expect(401);
    let there = third.client().with_token(new.text("/accessToken"));
    there.get("/user/profile").await.expect(200);
    refreshed(&third.client(), &next.text("/refreshToken")).await.expect(200);
}

/// R-SE-5, with keys in files; and another algorithm, which costs each device one refresh.
#[tokio::test]
async fn a_key_is_rotated_without_signing_anybody_out() {
    let (old, new) = (Key::pair(Algorithm::EdDSA), Key::pair(Algorithm::EdDSA));
    let [old_private, new_private] = [&old, &new].map(|key| KeyFile::new(&key.private_pem));
    let [old_public, new_public] = [&old, &new].map(|key| KeyFile::new(&key.public_pem));
    let settings = |private: &KeyFile, public: Option<&KeyFile>| {
        let public = public.map_or("", KeyFile::path).to_owned();
        let private = private.path().to_owned();
        [
            ("JWT_ALGORITHM", "EdDSA".to_owned()),
            ("JWT_PRIVATE_KEY_FILE", private),
            ("JWT_PREVIOUS_PUBLIC_KEY_FILES", public),
        ]
    };
    let told = settings(&old_private, Some(&new_public));
    let told = told.each_ref().map(|(name, value)| (*name, value.as_str()));
    let first = TestApp::start_with(&told).await;
    let signs = settings(&new_private, Some(&old_public));
    let second =
        first.join_with(&signs.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let [ann, bob] = [first.person("ann").await, second.person("bob").await];
    ann.at(&second).get("/user/profile").await.expect(200);
    bob.at(&first).get("/user/profile").await.expect(200);

    let alone = settings(&new_private, None);
    let third =
        first.join_with(&alone.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    ann.at(&third).get("/user/profile").await.expect(401);
    bob.at(&third).get("/user/profile").await.expect(200);

    let other = [
        ("JWT_ALGORITHM", "HS256"),
        ("JWT_PRIVATE_KEY_FILE", ""),
        ("JWT_PREVIOUS_PUBLIC_KEY_FILES", ""),
    ];
    let fourth = first.join_with(&other).await;
    bob.at(&fourth).get("/user/profile").await.expect(401);
    let token = bob.signed_up["refreshToken"].as_str().expect("a token");
    let renewed = refreshed(&fourth.client(), token).await.expect(200);
    let bob = fourth.client().with_token(renewed.text("/accessToken"));
    bob.get("/user/profile").await.expect(200);
}
