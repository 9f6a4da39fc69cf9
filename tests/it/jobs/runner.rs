//! Who runs what, and when: each slot once, whatever happens to its runner.

use std::time::Duration;

use chat_service::jobs::Job;
use futures_util::future::join_all;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

use super::runner;
use crate::harness::{TestApp, eventually};

const DAY: Duration = Duration::from_hours(24);
/// A Monday.
const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn names(jobs: &[Job]) -> Vec<&'static str> {
    let mut names: Vec<_> = jobs.iter().map(|job| job.name()).collect();
    names.sort_unstable();
    names
}

async fn outcome(app: &TestApp, job: Job) -> (Option<String>, bool) {
    let mut db = app.database.connect().await;
    sqlx::query_as("select outcome, last_due is not null from jobs where name = $1")
        .bind(job.name())
        .fetch_one(&mut db)
        .await
        .expect("the job has a row")
}

#[tokio::test]
async fn three_nodes_do_each_slot_once() {
    let app = TestApp::start().await;
    let nodes = [runner(&app, "a").await, runner(&app, "b").await, runner(&app, "c").await];
    let run_all = async |now: OffsetDateTime| {
        let stop = CancellationToken::new();
        let all = join_all(nodes.iter().map(|node| node.run_due(now, &stop))).await;
        let done: Vec<Job> = all.into_iter().flat_map(|d| d.expect("Postgres answers")).collect();
        names(&done)
    };
    let mut daily = names(&Job::ALL);
    assert_eq!(run_all(NOW).await, daily, "none has ever run");
    assert!(run_all(NOW).await.is_empty());
    assert!(run_all(NOW + DAY / 2).await.is_empty(), "midnight is nothing");

    daily.retain(|name| *name != Job::RevokedRefreshTokens.name());
    assert_eq!(run_all(NOW + DAY).await, daily);
    assert!(run_all(NOW + DAY).await.is_empty());
    // Ten days without any node: each once, and not once for each missed slot.
    assert_eq!(run_all(NOW + 11 * DAY).await, names(&Job::ALL));
    assert!(run_all(NOW + 11 * DAY).await.is_empty());
    assert!(run_all(NOW).await.is_empty(), "a clock that was set back undoes nothing");
}

#[tokio::test]
async fn a_runner_that_died_is_replaced() {
    let app = TestApp::start().await;
    let stop = CancellationToken::new();
    let jobs = runner(&app, "a").await;
    let lost = Job::ExpiredRefreshTokens;
    app.sql(
        "insert into jobs (name, node, run_id, outcome, claimed_until)
         values ('expiredRefreshTokens', 'dead', gen_random_uuid(), 'running',
                 now() + interval '1 hour')",
        None,
    )
    .await;
    let done = jobs.run_due(NOW, &stop).await.unwrap();
    assert!(!done.contains(&lost) && done.len() == Job::ALL.len() - 1, "{done:?}");

    app.sql("update jobs set claimed_until = now() where name = 'expiredRefreshTokens'", None)
        .await;
    assert_eq!(jobs.run_due(NOW, &stop).await.unwrap(), [lost]);
    let status = jobs.status().await.unwrap();
    assert!(status.iter().all(|job| job.node.as_deref() == Some("a")), "{status:?}");
}

/// A runner that was paused until another took its job finds that it may do nothing more.
#[tokio::test]
async fn a_runner_without_its_claim_changes_nothing() {
    let app = TestApp::start().await;
    endless(&app).await;
    let jobs = runner(&app, "a").await;
    let stop = CancellationToken::new();
    let work = jobs.run_due(NOW, &stop);
    let take_away = async {
        let started = async || rows_so_far(&app).await > 0;
        eventually("a batch is done", started).await;
        app.sql(
            "update jobs set run_id = gen_random_uuid() where name = 'expiredRefreshTokens'",
            None,
        )
        .await;
    };
    // It would go on for ever, if it did not notice.
    let (done, ()) = tokio::join!(work, take_away);
    let done = done.unwrap();
    assert!(!done.contains(&Job::ExpiredRefreshTokens) && done.contains(&Job::InactiveSessions));
    // The row is the other run's: this one neither finished nor gave up in its name.
    assert_eq!(outcome(&app, Job::ExpiredRefreshTokens).await, (Some("running".into()), false));
}

#[tokio::test]
async fn a_node_that_ends_leaves_its_job_to_others() {
    let app = TestApp::start().await;
    endless(&app).await;
    let (jobs, stop) = (runner(&app, "a").await, CancellationToken::new());
    let work = jobs.run_due(NOW, &stop);
    let end = async {
        eventually("a batch is done", async || rows_so_far(&app).await > 0).await;
        stop.cancel();
    };
    let (done, ()) = tokio::join!(work, end);
    assert!(done.unwrap().is_empty());
    assert_eq!(outcome(&app, Job::ExpiredRefreshTokens).await, (Some("stopped".into()), false));

    app.sql("drop trigger again on refresh_tokens", None).await;
    let other = runner(&app, "b").await;
    let done = other.run_due(NOW, &CancellationToken::new()).await.unwrap();
    assert_eq!(names(&done), names(&Job::ALL));
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_later_and_stops_no_other() {
    let app = TestApp::start().await;
    app.person("ann").await;
    app.sql("update audit_log set at = '2020-01-01'", None).await;
    app.sql(
        "create function refuse() returns trigger language plpgsql
         as $$ begin raise exception 'not today'; end $$",
        None,
    )
    .await;
    app.sql(
        "create trigger refuse before delete on audit_log
         for each statement execute function refuse()",
        None,
    )
    .await;
    let (jobs, stop) = (runner(&app, "a").await, CancellationToken::new());
    let done = jobs.run_due(NOW, &stop).await.unwrap();
    assert!(!done.contains(&Job::OldAuditRows) && done.len() == Job::ALL.len() - 1, "{done:?}");
    assert_eq!(outcome(&app, Job::OldAuditRows).await, (Some("failed".into()), false));
    assert!(jobs.run_due(NOW, &stop).await.unwrap().is_empty(), "not at once");

    app.sql("drop trigger refuse on audit_log", None).await;
    app.sql("update jobs set claimed_until = now() where outcome = 'failed'", None).await;
    assert_eq!(jobs.run_due(NOW, &stop).await.unwrap(), [Job::OldAuditRows]);
    assert_eq!(outcome(&app, Job::OldAuditRows).await, (Some("done".into()), true));
}

/// What was missed while no node ran is done at the start; and only once by all three.
#[tokio::test]
async fn nodes_do_what_is_due_when_they_start() {
    let first = TestApp::start_with(&[("NODE_ROLES", "edge,writer,jobs")]).await;
    let nodes = [first.join().await, first.join().await];
    let operator = first.operator("olga").await;
    let done = async || {
        let list = operator.http.get("/admin/jobs").await.expect(200);
        assert_eq!(list.items().len(), Job::ALL.len());
        list.items().iter().all(|job| job["outcome"] == "done")
    };
    eventually("all jobs are done", done).await;
    let runs = async || {
        let mut runs = 0.0;
        for node in [&first, &nodes[0], &nodes[1]] {
            runs += node.metric("chat_jobs_done_total").await;
        }
        runs
    };
    eventually("each job was counted", async || runs().await > 3.5).await;
    let runs = runs().await;
    assert!(runs < 4.5, "{runs} runs of 4 jobs");
    let list = operator.http.get("/admin/jobs").await.expect(200);
    let tokens = &list.items()[0];
    assert_eq!(tokens["name"], "expiredRefreshTokens");
    assert_eq!(tokens["timetable"], "daily at 02:00 UTC");
    assert!(tokens["node"].as_str().is_some_and(|node| node.starts_with('n')));
    assert_ne!(tokens["nextDueAt"], Value::Null);
}

/// Makes the first job find something to delete for ever.
async fn endless(app: &TestApp) {
    app.person("ann").await;
    app.sql(
        "create function again() returns trigger language plpgsql as $$
         begin
             insert into refresh_tokens (id, session_id, token_hash, expires_at)
             select gen_random_uuid(), s.id,
                    decode(md5(random()::text || n) || md5(random()::text), 'hex'), '2020-01-01'
             from sessions s, generate_series(1, 1000) n;
             return null;
         end $$",
        None,
    )
    .await;
    app.sql(
        "create trigger again after delete or update on refresh_tokens
         for each statement execute function again()",
        None,
    )
    .await;
    app.sql("update refresh_tokens set expires_at = '2020-01-01'", None).await;
}

async fn rows_so_far(app: &TestApp) -> i64 {
    let mut db = app.database.connect().await;
    let rows: Option<i64> =
        sqlx::query_scalar("select rows from jobs where name = 'expiredRefreshTokens'")
            .fetch_optional(&mut db)
            .await
            .expect("the statement runs");
    rows.unwrap_or_default()
}
