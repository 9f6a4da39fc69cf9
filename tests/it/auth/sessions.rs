//! Sessions and their ends.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Http, TestApp};

/// Waits until a token is refused, and says how long that took.
async fn refused_after(client: &Http) -> Duration {
    let began = Instant::now();
    while client.get("/user/profile").await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(5), "the token outlives its session");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// R-SE-10.
#[tokio::test]
async fn an_access_token_dies_with_its_session_on_every_node() {
    let app = TestApp::start().await;
    let other = app.join().await;
    let answer = app.client().sign_up("ann").await;
    let here = app.client().with_token(answer.text("/accessToken"));
    let there = here.at(other.address);
    there.get("/user/profile").await.expect(200);
    here.get("/user/profile").await.expect(200);

    here.post("/auth/logout", json!({})).await.expect(204);
    here.get("/user/profile").await.expect_problem(401, "unauthenticated");
    let took = refused_after(&there).await;
    assert!(took < Duration::from_secs(2), "it took {took:?} on the other node");
    let body = json!({ "refreshToken": answer.text("/refreshToken") });
    here.post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn logout_all_ends_every_session_of_the_user_alone() {
    let app = TestApp::start().await;
    let client = app.client();
    let one = client.sign_up("ann").await;
    let two = client.sign_in("ann", json!({})).await;
    let bob = client.sign_up("bob").await;
    let [one, two, bob] =
        [one, two, bob].map(|answer| client.with_token(answer.text("/accessToken")));
    one.post("/auth/logout-all", json!({})).await.expect(204);
    for ended in [one, two] {
        ended.get("/user/profile").await.expect_problem(401, "unauthenticated");
    }
    bob.get("/user/profile").await.expect(200);
}

#[tokio::test]
async fn a_suspended_user_is_out() {
    let app = TestApp::start().await;
    let answer = app.client().sign_up("ann").await;
    let ann = app.client().with_token(answer.text("/accessToken"));
    ann.get("/user/profile").await.expect(200);
    let mut db = app.database.connect().await;
    sqlx::query("update users set suspended_at = now()").execute(&mut db).await.unwrap();
    assert!(refused_after(&ann).await < Duration::from_secs(2));
    let body = json!({ "refreshToken": answer.text("/refreshToken") });
    ann.post("/auth/refresh", body).await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let client = app.client();
    let phone = client.sign_up("ann").await;
    let laptop = client.sign_in("ann", json!({ "id": "l", "name": "laptop" })).await;
    let ann = client.with_token(phone.text("/accessToken"));
    let list = ann.get("/auth/sessions").await.expect(200);
    assert_eq!(list.body["nextCursor"], json!(null));
    let [newest, oldest] = list.items() else { panic!("{:#}", list.body) };
    assert_eq!((&newest["device"]["name"], &newest["current"]), (&json!("laptop"), &json!(false)));
    assert_eq!((&oldest["id"], &oldest["current"]), (&phone.body["session"]["id"], &json!(true)));
    assert_eq!(oldest["userAgent"], "test/1");
    assert_eq!(oldest["ip"], "127.0.0.1");
    assert!(oldest["createdAt"].as_str() <= oldest["lastSeenAt"].as_str());
    assert_eq!(
        (&newest["device"]["id"], &newest["device"]["platform"]),
        (&json!("l"), &json!(null))
    );

    let path = format!("/auth/sessions/{}", laptop.text("/session/id"));
    ann.delete(&path).await.expect(204);
    ann.delete(&path).await.expect_problem(404, "notFound");
    client
        .with_token(laptop.text("/accessToken"))
        .get("/user/profile")
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(ann.get("/auth/sessions").await.expect(200).items().len(), 1);
}

#[tokio::test]
async fn anothers_session_is_not_found() {
    let app = TestApp::start().await;
    let client = app.client();
    let ann = client.sign_up("ann").await;
    let bob = client.sign_up("bob").await;
    let path = format!("/auth/sessions/{}", ann.text("/session/id"));
    let bob = client.with_token(bob.text("/accessToken"));
    bob.delete(&path).await.expect_problem(404, "notFound");
    client.with_token(ann.text("/accessToken")).get("/user/profile").await.expect(200);
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let app = TestApp::start().await;
    let client = app.client();
    let ann = client.with_token(client.sign_up("ann").await.text("/accessToken"));
    for _ in 0..4 {
        client.sign_in("ann", json!({})).await;
    }
    let mut path = "/auth/sessions?limit=2".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = ann.get(&path).await.expect(200);
        sizes.push(page.items().len());
        let Some(cursor) = page.body["nextCursor"].as_str() else { break };
        path = format!("/auth/sessions?limit=2&cursor={cursor}");
    }
    assert_eq!(sizes, [2, 2, 1]);
    for odd in ["limit=0", "limit=101", "limit=x", "cursor=x", "page=2"] {
        let answer = ann.get(&format!("/auth/sessions?{odd}")).await;
        answer.expect_problem(422, "invalid");
    }
}
