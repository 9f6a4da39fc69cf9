//! What the jobs end and delete, and what they leave alone.

use chat_service::jobs::Job;
use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::runner;
use crate::harness::TestApp;

async fn run(app: &TestApp) -> Vec<Job> {
    let jobs = runner(app, "cleaner").await;
    // A week ahead of the last run: every job is due again.
    app.sql("update jobs set last_due = '2020-01-01'", None).await;
    let now = OffsetDateTime::now_utc();
    jobs.run_due(now, &CancellationToken::new()).await.expect("Postgres answers")
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    let mut db = app.database.connect().await;
    sqlx::query_scalar(sql).fetch_one(&mut db).await.expect("the statement runs")
}

#[tokio::test]
async fn expired_tokens_go_and_live_ones_stay() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    // More than a batch of them.
    app.sql(
        "insert into refresh_tokens (id, session_id, token_hash, expires_at)
         select gen_random_uuid(), s.id, decode(md5(n::text) || md5(n::text), 'hex'),
                now() - interval '1 second'
         from sessions s, generate_series(1, 2500) n
         where s.user_id = $1",
        Some(&ann.id),
    )
    .await;
    assert_eq!(run(&app).await.len(), Job::ALL.len());
    assert_eq!(count(&app, "select count(*) from refresh_tokens").await, 2);
    let rows = "select rows from jobs where name = 'expiredRefreshTokens'";
    assert_eq!(count(&app, rows).await, 2_500);
    for person in [&ann, &bob] {
        let body = json!({ "refreshToken": person.signed_up["refreshToken"] });
        app.client().post("/auth/refresh", body).await.expect(200);
    }
}

/// An expired token that was deleted is refused like any other that is unknown.
#[tokio::test]
async fn a_deleted_token_is_not_valid() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    app.sql("update refresh_tokens set expires_at = now() - interval '1 second'", None).await;
    run(&app).await;
    let body = json!({ "refreshToken": ann.signed_up["refreshToken"] });
    app.client().post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");
    // Its access token is still good, so the session is.
    ann.http.get("/user/profile").await.expect(200);
}

#[tokio::test]
async fn sessions_that_nobody_can_use_are_ended_and_in_time_deleted() {
    let app = TestApp::start().await;
    let [live, idle, old, over] = app.people(["live", "idle", "old", "over"]).await;
    let ago = "update sessions set last_seen_at = now() - interval '2 hours'";
    app.sql(ago, None).await;
    // Idle: no token that could be used. Old: it has one, but has reached its age.
    app.sql(
        "update refresh_tokens set expires_at = now() - interval '1 second'
         where session_id in (select id from sessions where user_id = $1)",
        Some(&idle.id),
    )
    .await;
    let aged = "update sessions set expires_at = now() - interval '1 second' where user_id = $1";
    app.sql(aged, Some(&old.id)).await;
    app.sql(
        "update sessions set ended_at = now() - interval '31 days', end_reason = 'logout'
         where user_id = $1",
        Some(&over.id),
    )
    .await;
    run(&app).await;

    live.http.get("/user/profile").await.expect(200);
    let body = json!({ "refreshToken": live.signed_up["refreshToken"] });
    app.client().post("/auth/refresh", body).await.expect(200);
    let ended = "select count(*) from sessions where end_reason = 'expired' and ended_at <= now()";
    assert_eq!(count(&app, ended).await, 2);
    assert_eq!(count(&app, "select count(*) from sessions").await, 3, "one was forgotten");

    app.sql(
        "update sessions set ended_at = now() - interval '31 days' where ended_at is not null",
        None,
    )
    .await;
    run(&app).await;
    assert_eq!(count(&app, "select count(*) from sessions").await, 1);
    let tokens = "select count(*) from refresh_tokens t
                  where not exists (select from sessions s where s.id = t.session_id)";
    assert_eq!(count(&app, tokens).await, 0);
}

/// Whose session was in use within the life of an access token is not signed out by a job.
#[tokio::test]
async fn a_session_in_use_is_left_alone() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    app.sql("delete from refresh_tokens", None).await;
    run(&app).await;
    ann.http.get("/user/profile").await.expect(200);
    assert_eq!(count(&app, "select count(*) from sessions where ended_at is null").await, 1);
}

#[tokio::test]
async fn revoked_tokens_and_audit_rows_are_kept_a_while() {
    let app = TestApp::start_with(&[("AUDIT_KEEP", "10d")]).await;
    let ann = app.person("ann").await;
    ann.http.post("/auth/logout", json!({})).await.expect(204);
    run(&app).await;
    assert_eq!(count(&app, "select count(*) from refresh_tokens").await, 1);
    assert_eq!(count(&app, "select count(*) from audit_log").await, 2);

    app.sql("update refresh_tokens set revoked_at = now() - interval '8 days'", None).await;
    app.sql(
        "update audit_log set at = now() - interval '11 days' where action = 'user.signUp'",
        None,
    )
    .await;
    run(&app).await;
    assert_eq!(count(&app, "select count(*) from refresh_tokens").await, 0);
    let left = "select count(*) from audit_log where action = 'session.end'";
    assert_eq!(
        (count(&app, left).await, count(&app, "select count(*) from audit_log").await),
        (1, 1)
    );
}

/// Pages of sessions: more than one statement looks at.
#[tokio::test]
async fn every_session_is_looked_at() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    app.sql(
        "insert into sessions (id, user_id, expires_at, ended_at, end_reason)
         select gen_random_uuid(), $1, now(), now() - interval '40 days', 'logout'
         from generate_series(1, 450)",
        Some(&ann.id),
    )
    .await;
    run(&app).await;
    assert_eq!(count(&app, "select count(*) from sessions").await, 1);
    ann.http.get("/user/profile").await.expect(200);
}
