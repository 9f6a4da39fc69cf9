//! Whether an address is its user's.

use serde_json::json;

use crate::harness::{A_WHILE, Answer, Http, PUBLIC_URL, TestApp, eventually};

const SUBJECT: &str = "Confirm your e-mail address";
const ANN: &str = "ann@example.org";

async fn verify(client: &Http, token: &str) -> Answer {
    client.post("/auth/email/verify", json!({ "token": token })).await
}

async fn expect_bad_token(client: &Http, token: &str) {
    let answer = verify(client, token).await.expect_problem(422, "invalid");
    assert_eq!(answer.error_paths(), ["token"]);
}

async fn is_verified(client: &Http) -> bool {
    client.get("/user/profile").await.expect(200).body["emailVerified"] == true
}

#[tokio::test]
async fn the_link_of_a_sign_up_verifies_its_address_once() {
    let apps = TestApp::cluster(2).await;
    let ann = apps[0].person("ann").await;
    assert_eq!(ann.signed_up["user"]["emailVerified"], false);
    let mails = apps[0].mails(ANN, SUBJECT, 1).await;
    let token = mails[0].token();
    let link = format!("{PUBLIC_URL}/verify-email?token={token}");
    assert!(mails[0].text.lines().any(|line| line == link), "{}", mails[0].text);

    verify(&apps[1].client(), &token).await.expect(204);
    assert!(is_verified(&ann.http).await);
    expect_bad_token(&apps[0].client(), &token).await;
    assert_eq!(apps[0].audited("user.emailVerified").await, 1);
    ann.http.post("/auth/email/verify/resend", json!({})).await.expect(202);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(apps[0].mails_now(ANN, SUBJECT).len(), 1, "there is nothing left to verify");
}

#[tokio::test]
async fn another_link_is_sent_at_most_each_minute_and_kills_the_older() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let resend = async || {
        ann.http.post("/auth/email/verify/resend", json!({})).await.expect(202);
    };
    let first = app.mails(ANN, SUBJECT, 1).await[0].token();
    for _ in 0..5 {
        resend().await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(app.mails_now(ANN, SUBJECT).len(), 1);
    let sql = "update one_time_tokens set created_at = created_at - interval '61 seconds'";
    app.sql(sql, None).await;
    resend().await;
    let second = app.mails(ANN, SUBJECT, 2).await[1].token();
    expect_bad_token(&app.client(), &first).await;
    verify(&app.client(), &second).await.expect(204);
    assert!(is_verified(&ann.http).await);
    let anonymous = app.client().post("/auth/email/verify/resend", json!({})).await;
    anonymous.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_link_is_good_for_the_address_that_it_was_sent_to() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let token = app.mails(ANN, SUBJECT, 1).await[0].token();
    app.sql("update users set email = 'ann@elsewhere.org'", None).await;
    expect_bad_token(&app.client(), &token).await;
    assert!(!is_verified(&ann.http).await);
    app.sql("update users set email = 'Ann@example.org'", None).await;
    app.sql("update one_time_tokens set expires_at = now()", None).await;
    expect_bad_token(&app.client(), &token).await;
    app.sql("update one_time_tokens set expires_at = now() + interval '1 hour'", None).await;
    verify(&app.client(), &token).await.expect(204);
}

/// What strangers choose for themselves is in no mail, and breaks out of none.
#[tokio::test]
async fn a_name_cannot_carry_anything_into_a_mail() {
    let app = TestApp::start().await;
    let name = "Ann\r\nBcc: eve@example.org";
    let sign_up = |name: &str| {
        let body = json!({
            "username": "ann", "email": ANN, "password": "a horse of course", "displayName": name,
        });
        let client = app.client();
        async move { client.post("/auth/signup", body).await }
    };
    let refused = sign_up(name).await.expect_problem(422, "invalid");
    assert_eq!(refused.error_paths(), ["displayName"]);
    let visit = "Win at https://example.net";
    let ann = app.client().with_token(sign_up(visit).await.expect(201).text("/accessToken"));
    let mails = app.mails(ANN, SUBJECT, 1).await;
    assert!(!mails[0].head().contains(visit) && !mails[0].text.contains(visit));

    // However it came there.
    let sql = "update users set display_name = E'Ann\\r\\nBcc: eve@example.org'";
    app.sql(sql, None).await;
    let sql = "update one_time_tokens set created_at = created_at - interval '61 seconds'";
    app.sql(sql, None).await;
    ann.post("/auth/email/verify/resend", json!({})).await.expect(202);
    let mail = &app.mails(ANN, SUBJECT, 2).await[1];
    assert!(!mail.head().contains("eve") && !mail.text.contains("eve"));
    app.sql(sql, None).await;
    app.sql("update users set email = E'ann@example.org\\r\\nBcc: eve@example.org'", None).await;
    ann.post("/auth/email/verify/resend", json!({})).await.expect(202);
    let settled = async || app.metric("chat_mails_total").await >= 3.0;
    eventually("the letter is given up", settled).await;
    assert_eq!(app.mails_now(ANN, SUBJECT).len(), 2);
}

/// A sign-up is worth more than its mail.
#[tokio::test]
async fn without_a_way_to_send_mail_all_else_works() {
    let app = TestApp::start_with(&[("MAIL_URL", "")]).await;
    app.client().sign_up("ann").await;
    eventually("the mail is counted", async || app.metric("chat_mails_total").await >= 1.0).await;
    let away = TestApp::start_with(&[("MAIL_URL", "smtp://127.0.0.1:1")]).await;
    away.client().sign_up("ann").await;
    away.client().sign_in("ann", json!({})).await;
}
