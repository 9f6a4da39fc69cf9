//! `chat-service admin`.

use serde_json::{Value, json};

use crate::harness::{TestApp, eventually};

const CREATE: [&str; 6] = ["admin", "create", "--login", "olga", "--email", "olga@example.org"];

/// R-AU-8: there is no account until somebody makes the first one, once.
#[tokio::test]
async fn the_first_operator_is_made_by_a_command() {
    let app = TestApp::start().await;
    let (is_done, said) = app.run(&CREATE, "").await;
    assert!(is_done, "{said}");
    let password = said.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    let password = password.split(' ').next().unwrap();
    let body = json!({ "login": "olga", "password": password });
    let answer = app.client().post("/auth/signin", body).await.expect(200);
    assert_eq!(answer.body["user"]["role"], "admin");
    let operator = app.client().with_token(answer.text("/accessToken"));
    let rows = operator.get("/admin/audit?action=operator.create").await.expect(200);
    assert_eq!(rows.items().len(), 1);
    assert_eq!(rows.items()[0]["actorId"], Value::Null);
    assert!(rows.items()[0]["detail"]["commandLineUser"].is_string());

    let otto = ["admin", "create", "--login", "otto", "--email", "otto@example.org"];
    let (is_done, said) = app.run(&otto, "").await;
    assert!(!is_done && said.contains("--another"), "{said}");
    let (is_done, said) = app.run(&[&otto[..], &["--if-none"]].concat(), "").await;
    assert!(is_done && !said.contains("password"), "{said}");
    let another = [&otto[..], &["--another", "--password-stdin"]].concat();
    let (is_done, said) = app.run(&another, "battery staple\n").await;
    assert!(is_done && !said.contains("battery"), "{said}");
    let body = json!({ "login": "otto", "password": "battery staple" });
    app.client().post("/auth/signin", body).await.expect(200);
}

/// Of many that are run at once, one makes the first operator.
#[tokio::test]
async fn there_is_one_first_operator() {
    let app = TestApp::start().await;
    let make = async |name: &str| {
        let email = format!("{name}@example.org");
        let (is_done, said) =
            app.run(&["admin", "create", "--login", name, "--email", &email], "").await;
        assert!(is_done || said.contains("there is an operator already"), "{said}");
        is_done
    };
    let (one, two, three) = tokio::join!(make("olga"), make("otto"), make("oona"));
    assert_eq!([one, two, three].iter().filter(|is_done| **is_done).count(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_made() {
    let app = TestApp::start().await;
    app.person("olga").await;
    let stdin = [&CREATE[..], &["--password-stdin"]].concat();
    let odd = ["admin", "create", "--login", "a b", "--email", "nowhere", "--password-stdin"];
    for (arguments, input, reason) in [
        (&stdin[..], "password\n", "password"),
        (&stdin[..], "", "no password"),
        (&stdin[..], "battery staple", "the username is taken"),
        (&odd[..], "battery staple", "login"),
        (&["admin", "verify", "nobody"][..], "", "user not found"),
    ] {
        let (is_done, said) = app.run(arguments, input).await;
        assert!(!is_done && said.contains(reason), "{arguments:?}: {said}");
        assert!(!said.contains("battery"), "{said}");
    }
    let mut db = app.database.connect().await;
    let operators: i64 = sqlx::query_scalar("select count(*) from users where role = 'admin'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(operators, 0);
}

#[tokio::test]
async fn acts_at_the_command_line_take_effect_at_the_nodes() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let operator = app.operator("olga").await;
    let (is_done, said) = app.run(&["admin", "verify", "ann@example.org"], "").await;
    assert!(is_done && said.contains(": verified"), "{said}");
    let seen = operator.http.get(&format!("/user/{}", ann.id)).await.expect(200);
    assert_eq!(seen.body["verified"], true);

    let (is_done, said) = app.run(&["admin", "suspend", &ann.id, "--reason", "spam"], "").await;
    assert!(is_done && said.contains("suspended since"), "{said}");
    // Nobody announces it, so the nodes find out by themselves.
    eventually("the token is refused", async || ann.http.get("/user/profile").await.status == 401)
        .await;
    let (is_done, said) = app.run(&["admin", "unsuspend", "ANN"], "").await;
    assert!(is_done && !said.contains("suspended"), "{said}");
    app.client().sign_in("ann", json!({})).await;

    let (is_done, said) = app.run(&["admin", "audit", "--subject", "ann"], "").await;
    let actions = ["user.unsuspend", "user.suspend", "user.verify", "user.signUp"];
    let found: Vec<&str> = said.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert!(is_done);
    assert_eq!(found, actions, "{said}");
    let (is_done, said) = app.run(&["admin", "jobs"], "").await;
    assert!(is_done && said.contains("expiredRefreshTokens: daily at 02:00 UTC"), "{said}");
}

/// An operator can be suspended here and nowhere else; the last one cannot.
#[tokio::test]
async fn the_last_operator_stays() {
    let app = TestApp::start().await;
    let olga = app.operator("olga").await;
    app.operator("otto").await;
    let (is_done, said) = app.run(&["admin", "suspend", "otto"], "").await;
    assert!(is_done, "{said}");
    let (is_done, said) = app.run(&["admin", "suspend", "olga"], "").await;
    assert!(!is_done && said.contains("the last operator"), "{said}");
    olga.http.get("/admin/jobs").await.expect(200);
    let body = json!({ "password": crate::harness::PASSWORD });
    olga.http.delete_with("/user", body).await.expect_problem(409, "conflict");
}
