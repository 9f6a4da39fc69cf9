//! A forgotten password, and the mail that helps.

use serde_json::{Value, json};

use crate::harness::{A_WHILE, Answer, Http, PASSWORD, TestApp};

const SUBJECT: &str = "Set a new password";
const ANN: &str = "ann@example.org";
const NEW: &str = "another horse entirely";

async fn forgot(client: &Http, email: &str) -> Answer {
    client.post("/auth/password/forgot", json!({ "email": email })).await
}

async fn reset(client: &Http, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "newPassword": password });
    client.post("/auth/password/reset", body).await
}

async fn sign_in(client: &Http, password: &str) -> Answer {
    client.post("/auth/signin", json!({ "login": "ann", "password": password })).await
}

/// Lets a minute pass for the tokens that were sent.
async fn age_tokens(app: &TestApp) {
    let sql = "update one_time_tokens set created_at = created_at - interval '61 seconds'";
    app.sql(sql, None).await;
}

async fn expect_bad_token(client: &Http, token: &str) {
    let answer = reset(client, token, NEW).await.expect_problem(422, "invalid");
    assert_eq!(answer.error_paths(), ["token"]);
}

#[tokio::test]
async fn a_link_sets_a_new_password_once_and_ends_all_sessions() {
    let apps = TestApp::cluster(2).await;
    let [app, other] = &apps[..] else { unreachable!("two were asked for") };
    let ann = app.person("ann").await;
    let mut socket = other.connect(&ann).await;
    forgot(&app.client(), "Ann@Example.ORG").await.expect(202);
    let mails = app.mails(ANN, SUBJECT, 1).await;
    let mail = &mails[0];
    assert_eq!(mail.header("From"), "Chat <no-reply@example.org>");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.text.contains("within 1 hour"), "{}", mail.text);
    let token = mail.token();
    assert_eq!(token.len(), 43, "256 bits in base64");

    reset(&other.client(), &token, NEW).await.expect(204);
    assert_eq!(socket.push("sessionRevoked").await["reason"], "passwordChanged");
    assert_eq!(socket.closed().await, 4403);
    ann.http.get("/user/profile").await.expect_problem(401, "unauthenticated");
    ann.at(other).get("/user/profile").await.expect_problem(401, "unauthenticated");
    sign_in(&app.client(), PASSWORD).await.expect_problem(401, "unauthenticated");
    sign_in(&app.client(), NEW).await.expect(200);
    expect_bad_token(&app.client(), &token).await;
    app.mails(ANN, "Your password was set anew", 1).await;
    assert_eq!(app.audited("user.passwordResetAsked").await, 1);
    assert_eq!(app.audited("user.passwordReset").await, 1);
}

/// R-AU-6: nobody learns whether an address is known, or its account suspended.
#[tokio::test]
async fn every_answer_to_a_forgotten_password_is_the_same() {
    let app = TestApp::start().await;
    let client = app.client();
    client.sign_up("ann").await;
    client.sign_up("sue").await;
    app.sql("update users set suspended_at = now() where username = 'sue'", None).await;
    let long = format!("{}@example.org", "a".repeat(300));
    let asked = [ANN, "sue@example.org", "nobody@example.org", "ann", "a\0@example.org", "", &long];
    for email in asked {
        let answer = forgot(&client, email).await.expect(202);
        assert_eq!(answer.body, Value::Null, "{email:?}");
        assert_eq!(answer.header("content-length"), "0", "{email:?}");
    }
    app.mails(ANN, SUBJECT, 1).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(app.mails_now("sue@example.org", SUBJECT).is_empty());
    assert_eq!(app.audited("user.passwordResetAsked").await, 1);
}

/// However many ask, on however many nodes.
#[tokio::test]
async fn an_account_gets_a_mail_a_minute_and_only_its_last_link_is_good() {
    let apps = TestApp::cluster(2).await;
    let app = &apps[0];
    app.client().sign_up("ann").await;
    let asking = (0..20).map(|number| {
        let client = apps[number % 2].client();
        async move { forgot(&client, ANN).await.expect(202) }
    });
    futures_util::future::join_all(asking).await;
    let first = app.mails(ANN, SUBJECT, 1).await[0].token();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(app.mails_now(ANN, SUBJECT).len(), 1);

    age_tokens(app).await;
    forgot(&app.client(), ANN).await.expect(202);
    let second = app.mails(ANN, SUBJECT, 2).await[1].token();
    assert_ne!(first, second);
    expect_bad_token(&app.client(), &first).await;
    reset(&app.client(), &second, NEW).await.expect(204);
}

#[tokio::test]
async fn of_fifty_uses_at_once_one_sets_the_password() {
    let apps = TestApp::cluster(2).await;
    let app = &apps[0];
    app.client().sign_up("ann").await;
    forgot(&app.client(), ANN).await.expect(202);
    let token = app.mails(ANN, SUBJECT, 1).await[0].token();
    let uses = (0..50).map(|number| {
        let (client, token) = (apps[number % 2].client(), token.clone());
        async move {
            let password = format!("{number} horses of course");
            (reset(&client, &token, &password).await, password)
        }
    });
    let mut set = Vec::new();
    for (answer, password) in futures_util::future::join_all(uses).await {
        match answer.status {
            204 => set.push(password),
            // A slow machine has no connection left for some: they wait for the first one's lock.
            503 => drop(answer.expect_problem(503, "unavailable")),
            _ => assert_eq!(answer.expect_problem(422, "invalid").error_paths(), ["token"]),
        }
    }
    let [password] = &set[..] else { panic!("{set:?} were all set") };
    sign_in(&app.client(), password).await.expect(200);
    assert_eq!(app.audited("user.passwordReset").await, 1);
}

#[tokio::test]
async fn a_link_dies_with_time_with_the_address_and_with_a_change() {
    let app = TestApp::start().await;
    let client = app.client();
    let ann = app.person("ann").await;
    let link = async |count: usize| {
        age_tokens(&app).await;
        forgot(&client, ANN).await.expect(202);
        app.mails(ANN, SUBJECT, count).await[count - 1].token()
    };
    let token = link(1).await;
    app.sql("update one_time_tokens set expires_at = now()", None).await;
    expect_bad_token(&client, &token).await;

    let token = link(2).await;
    app.sql("update users set email = 'ann@elsewhere.org'", None).await;
    expect_bad_token(&client, &token).await;
    app.sql("update users set email = 'ann@example.org'", None).await;

    app.sql("update users set suspended_at = now()", None).await;
    expect_bad_token(&client, &token).await;
    app.sql("update users set suspended_at = null", None).await;

    let body = json!({ "currentPassword": PASSWORD, "newPassword": "a horse of another course" });
    ann.http.post("/auth/password", body).await.expect(204);
    expect_bad_token(&client, &token).await;

    let token = link(3).await;
    let answer = reset(&client, &token, "password2024").await.expect_problem(422, "invalid");
    assert_eq!(answer.error_paths(), ["newPassword"]);
    reset(&client, &token, NEW).await.expect(204);
}

#[tokio::test]
async fn what_is_no_token_of_this_kind_is_refused() {
    let app = TestApp::start().await;
    let client = app.client();
    let signed_up = client.sign_up("ann").await;
    let verification = app.mails(ANN, "Confirm your e-mail address", 1).await[0].token();
    let (access, refresh) = (signed_up.text("/accessToken"), signed_up.text("/refreshToken"));
    let unknown = "A".repeat(43);
    for token in ["", "x", "\0", &access, &refresh, &unknown, &verification] {
        expect_bad_token(&client, token).await;
    }
    let body = json!({ "token": verification });
    client.post("/auth/email/verify", body).await.expect(204);
}

/// A token stands nowhere in the database, and what it was sent for nowhere in the log.
#[tokio::test]
async fn tokens_are_kept_as_hashes() {
    let app = TestApp::start().await;
    app.client().sign_up("ann").await;
    forgot(&app.client(), ANN).await.expect(202);
    let tokens = [
        app.mails(ANN, SUBJECT, 1).await[0].token(),
        app.mails(ANN, "Confirm your e-mail address", 1).await[0].token(),
    ];
    let mut db = app.database.connect().await;
    let mut dump = String::new();
    for sql in [
        "select coalesce(string_agg(t::text, ' '), '') from one_time_tokens t",
        "select coalesce(string_agg(a::text, ' '), '') from audit_log a",
    ] {
        let text: String = sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap();
        assert!(!text.is_empty());
        dump.push_str(&text);
    }
    assert!(!tokens.iter().any(|token| dump.contains(token)));
}

/// What waits is sent before the node ends.
#[tokio::test]
async fn a_mail_that_was_promised_is_sent_while_the_node_ends() {
    let mut app = TestApp::start().await;
    let other = app.join().await;
    let client = app.client();
    for name in ["ann", "bob", "cid"] {
        client.sign_up(name).await;
    }
    for name in ["ann", "bob", "cid"] {
        forgot(&client, &format!("{name}@example.org")).await.expect(202);
    }
    app.stop().await;
    for name in ["ann", "bob", "cid"] {
        let address = format!("{name}@example.org");
        assert_eq!(app.mails_now(&address, SUBJECT).len(), 1, "{name}");
    }
    other.client().sign_in("ann", json!({})).await;
}
