//! What operators look at: accounts and the audit log.

use serde_json::{Value, json};

use crate::harness::{Http, TestApp};

/// All items of a list, page by page, and how many pages there were.
async fn all(client: &Http, path: &str) -> (Vec<Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut next = path.to_owned();
    loop {
        let page = client.get(&next).await.expect(200);
        items.extend_from_slice(page.items());
        pages += 1;
        let Some(cursor) = page.body["nextCursor"].as_str() else { break };
        next = format!("{path}&cursor={cursor}");
    }
    (items, pages)
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["username"].as_str()).collect()
}

#[tokio::test]
async fn accounts_are_found_by_how_they_begin() {
    let app = TestApp::start().await;
    let [anna, ..] = app.people(["anna", "Annabel", "a_b", "axb", "bob"]).await;
    let operator = app.operator("olga").await;
    let find = async |query: &str| {
        let (items, _) = all(&operator.http, &format!("/admin/users?{query}")).await;
        names(&items).join(" ")
    };
    assert_eq!(find("q=ANN").await, "Annabel anna");
    assert_eq!(find("q=annabel%40example").await, "Annabel", "by address");
    assert_eq!(find(&format!("q={}", anna.id)).await, "anna");
    assert_eq!(find("q=nna").await, "");
    // F53: what is a wildcard elsewhere is a character here.
    assert_eq!(find("q=a_b").await, "a_b");
    assert_eq!(find("q=%25").await, "");
    assert_eq!(find("q=%5C").await, "");
    app.sql("update users set suspended_at = now() where username = 'bob'", None).await;
    assert_eq!(find("suspended=true").await, "bob");
    assert_eq!(find("suspended=true&q=ann").await, "");

    let (items, pages) = all(&operator.http, "/admin/users?limit=2").await;
    assert_eq!((names(&items).join(" ").as_str(), pages), ("olga bob axb a_b Annabel anna", 3));
    assert!(!items.iter().any(|item| item.to_string().contains("argon2")), "no hash is shown");

    let long = format!("q={}", "x".repeat(255));
    for odd in ["q=a%00b", &long, "limit=0", "limit=101", "cursor=x", "role=admin", "suspended=1"] {
        let answer = operator.http.get(&format!("/admin/users?{odd}")).await;
        answer.expect_problem(422, "invalid");
    }
}

/// R-AD-5.
#[tokio::test]
async fn the_audit_log_is_filtered_and_paged() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let operator = app.operator("olga").await;
    for _ in 0..3 {
        app.client().sign_in("ann", json!({})).await;
    }
    let wrong = json!({ "login": "ann", "password": "not the password" });
    app.client().post("/auth/signin", wrong).await.expect(401);
    let path = format!("/admin/users/{}/suspend", bob.id);
    operator.http.post(&path, json!({})).await.expect(200);

    let count = async |query: &str| {
        let (items, _) = all(&operator.http, &format!("/admin/audit?{query}")).await;
        items.len()
    };
    assert_eq!(count("limit=100").await, 8);
    assert_eq!(count(&format!("actor={}", ann.id)).await, 4);
    assert_eq!(count("action=user.signIn").await, 3);
    assert_eq!(count(&format!("actor={}&action=user.signIn", bob.id)).await, 0);
    assert_eq!(count(&format!("subject={}", bob.id)).await, 2);
    assert_eq!(count("action=user.signInRefused").await, 1);
    assert_eq!(count("after=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("before=2100-01-01T00:00:00Z").await, 8);

    // Rows of one moment are told apart by their ids.
    app.sql("update audit_log set at = '2026-01-01T00:00:00.123456Z'", None).await;
    let (items, pages) = all(&operator.http, "/admin/audit?limit=3").await;
    assert_eq!(pages, 3);
    let mut ids: Vec<&str> = items.iter().filter_map(|item| item["id"].as_str()).collect();
    assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 8);

    for odd in ["actor=x", "after=yesterday", "limit=x", "cursor=x", "q=1", "action=a%00b"] {
        let answer = operator.http.get(&format!("/admin/audit?{odd}")).await;
        answer.expect_problem(422, "invalid");
    }
}
