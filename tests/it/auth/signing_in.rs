//! Sign-up and sign-in.

use reqwest::Method;
use serde_json::json;

use crate::harness::TestApp;

#[tokio::test]
async fn a_new_user_is_signed_in_at_once() {
    let app = TestApp::start().await;
    let answer = app
        .client()
        .post(
            "/auth/signup",
            json!({
                "username": "Ann_B", "email": "Ann@Example.org", "password": "a horse of course",
                "device": { "id": "phone-1", "name": "Ann's phone", "platform": "ios" },
            }),
        )
        .await
        .expect(201);
    let body = &answer.body;
    assert_eq!(body["user"]["username"], "Ann_B");
    assert_eq!(body["user"]["email"], "Ann@Example.org", "kept as typed");
    assert_eq!(body["user"]["displayName"], "Ann_B", "by default the username");
    assert_eq!(body["user"]["role"], "user");
    assert_eq!(body["user"]["privacy"]["directMessages"], "everyone");
    assert_eq!(body["session"]["device"]["id"], "phone-1");
    assert_eq!(body["session"]["current"], true);
    assert_eq!(body["session"]["ip"], "127.0.0.1");
    assert_eq!((&body["tokenType"], &body["expiresIn"]), (&json!("Bearer"), &json!(3_600)));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");

    let ann = app.client().with_token(answer.text("/accessToken"));
    let me = ann.get("/user/profile").await.expect(200);
    assert_eq!(me.body, body["user"]);
    let path = format!("/user/{}", answer.text("/user/id"));
    let seen = ann.get(&path).await.expect(200);
    assert_eq!(seen.body["username"], "Ann_B");
    assert_eq!(seen.body.get("email"), None, "others see no address");
}

#[tokio::test]
async fn names_and_addresses_are_unique_without_regard_to_case() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    let sign_up = |username: &str, email: &str| {
        let body = json!({ "username": username, "email": email, "password": "a horse of course" });
        let client = client.clone();
        async move { client.post("/auth/signup", body).await }
    };
    let taken = sign_up("ANN", "other@example.org").await.expect_problem(409, "conflict");
    assert_eq!(taken.body["detail"], "username");
    let taken = sign_up("bob", "Ann@Example.ORG").await.expect_problem(409, "conflict");
    assert_eq!(taken.body["detail"], "email");
    sign_up("bob", "bob@example.org").await.expect(201);
}

#[tokio::test]
async fn a_login_is_a_name_or_an_address_in_any_case() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    for login in ["ann", "ANN", "ann@example.org", "Ann@EXAMPLE.org"] {
        let answer = client.sign_in(login, json!({})).await;
        assert_eq!(answer.body["user"]["username"], "ann");
    }
}

/// R-AU-6, F37: nobody learns which of the two was wrong, or that an account is suspended.
#[tokio::test]
async fn every_refused_sign_in_looks_the_same() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    client.sign_up("sue").await;
    let mut db = app.database.connect().await;
    sqlx::query("update users set suspended_at = now() where username = 'sue'")
        .execute(&mut db)
        .await
        .unwrap();
    let attempts = [
        ("ann", "a wrong password"),
        ("nobody", "a horse of course"),
        ("nobody@example.org", "a horse of course"),
        ("sue", "a horse of course"),
        ("a\0b", "a horse of course"),
        ("", ""),
    ];
    let mut seen = Vec::new();
    for (login, password) in attempts {
        let body = json!({ "login": login, "password": password });
        let request = client.request(Method::POST, "/auth/signin").json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let plain = |text: &str| text.replace(&id, "id");
        // How many tries are left changes with each, whoever it was aimed at.
        let changes = ["date", "ratelimit"];
        let headers =
            response.headers().iter().filter(|(name, _)| !changes.contains(&name.as_str()));
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {}", plain(value.to_str().unwrap())))
            .collect();
        let body = plain(&response.text().await.unwrap());
        seen.push((body.into_bytes(), headers));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    // And the same work: each is noted, whoever it was aimed at.
    assert_eq!(app.audited("user.signInRefused").await, i64::try_from(attempts.len()).unwrap());
}

#[tokio::test]
async fn all_that_is_wrong_with_a_sign_up_is_told_at_once() {
    let app = TestApp::start().await;
    let body = json!({
        "username": "a b", "email": "nowhere", "password": "password", "displayName": "a\u{0}b",
        "device": { "id": "" },
    });
    let answer = app.client().post("/auth/signup", body).await.expect_problem(422, "invalid");
    let expected = ["username", "email", "displayName", "device.id", "password"];
    assert_eq!(answer.error_paths(), expected);
}

/// R-AU-1: a hash made with weaker parameters is replaced when the password is at hand.
#[tokio::test]
async fn weak_hashes_are_replaced_on_sign_in() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    let mut db = app.database.connect().await;
    // "a horse of course" with m=8192, t=1.
    let weak = weak_hash();
    sqlx::query("update users set password_hash = $1").bind(&weak).execute(&mut db).await.unwrap();
    client.sign_in("ann", json!({})).await;
    let now: String =
        sqlx::query_scalar("select password_hash from users").fetch_one(&mut db).await.unwrap();
    assert!(now.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{now}");
    client.sign_in("ann", json!({})).await;
}

fn weak_hash() -> String {
    use argon2::password_hash::PasswordHasher;
    let params = argon2::Params::new(8_192, 1, 1, None).expect("they are good");
    let weak = argon2::Argon2::from(params).hash_password(b"a horse of course");
    weak.expect("it can be hashed").to_string()
}
