//! What hashing passwords costs, and who pays.

use serde_json::json;

use crate::harness::{PASSWORD, TestApp};

async fn password_hash(app: &TestApp) -> String {
    let mut db = app.database.connect().await;
    let query = sqlx::query_scalar("select password_hash from users where username = 'ann'");
    query.fetch_one(&mut db).await.expect("ann is there")
}

/// R-AU-1: from one release to the next the cost is raised, node by node.
#[tokio::test]
async fn a_raised_cost_reaches_each_password_with_its_next_sign_in() {
    let app = TestApp::start().await;
    let dearer = app.join_with(&[("HASH_MEMORY_KIB", "24576"), ("HASH_PASSES", "3")]).await;
    app.client().sign_up("ann").await;
    let first = password_hash(&app).await;
    assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");

    dearer.client().sign_in("ann", json!({})).await;
    let second = password_hash(&app).await;
    assert!(second.starts_with("$argon2id$v=19$m=24576,t=3,p=1$"), "{second}");
    app.client().sign_in("ann", json!({})).await;
    assert_eq!(password_hash(&app).await, second, "a node with the old cost does not undo it");
    dearer.client().sign_in("ann", json!({})).await;
    assert_eq!(password_hash(&app).await, second, "and it is done once");
}

/// R-AU-4: a storm of sign-ins costs sign-ins, not messages.
#[tokio::test]
async fn a_full_pool_refuses_sign_ins_and_lets_messages_through() {
    let slow = [
        ("HASH_SLOTS", "1"),
        ("HASH_QUEUE", "1"),
        ("HASH_MEMORY_KIB", "131072"),
        ("HASH_PASSES", "4"),
    ];
    let app = TestApp::start_with(&slow).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;

    let client = app.client();
    let storm = (0..24)
        .map(|_| client.post("/auth/signin", json!({ "login": "ann", "password": PASSWORD })));
    let storm = futures_util::future::join_all(storm);
    let talk = async {
        for number in 0..20 {
            socket.say(&chat, &number.to_string()).await;
        }
    };
    let (answers, ()) = tokio::join!(storm, talk);
    let (done, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty() && !refused.is_empty(), "{} of 24 were refused", refused.len());
    for answer in refused {
        let answer = answer.expect_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    client.sign_in("ann", json!({})).await;
}
