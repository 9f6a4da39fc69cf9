//! Postgres that crashes, and replies that get lost: F13, F16.

use crate::harness::{
    A_WHILE, Database, Load, PrivatePostgres, Proxy, TestApp, check_chat, message, seqs,
};

/// F13: what is down acknowledges nothing, and what was acknowledged is there afterwards.
#[tokio::test]
async fn a_crash_of_postgres_loses_nothing_that_was_acknowledged() {
    let mut postgres = PrivatePostgres::start().await;
    let database = Database::create_at(&postgres.url()).await;
    let app = TestApp::start_on(database, &[("LOG_ANSWER_TIMEOUT_MS", "3000")]).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut loads = Vec::new();
    for _ in 0..3 {
        let chat = ann.group(&[&bob]).await;
        let reader = app.connect(&bob).await.follow(&chat);
        loads.push((Load::start(&[app.address], &ann.token, &chat), reader, chat));
    }
    for _ in 0..2 {
        for (load, ..) in &loads {
            load.goes_on_by(50).await;
        }
        postgres.crash().await;
        // Answers that were under way by then are read by now.
        tokio::time::sleep(A_WHILE).await;
        let before: Vec<usize> = loads.iter().map(|(load, ..)| load.acked()).collect();
        tokio::time::sleep(A_WHILE).await;
        let after: Vec<usize> = loads.iter().map(|(load, ..)| load.acked()).collect();
        assert_eq!(before, after, "something was acknowledged without Postgres");
        postgres.start_again().await;
        for (load, ..) in &loads {
            load.goes_on_by(50).await;
        }
    }
    for (load, reader, chat) in loads {
        let outcome = load.stop().await;
        let last = check_chat(&app, &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
}

/// F16: the commit is done, the writer does not hear of it.
#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_not_done_twice() {
    let database = Database::create().await;
    let (proxy, through) = Proxy::before(&database.url).await;
    let app = TestApp::start_on(database, &[("DATABASE_URL", &through)]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    assert_eq!(socket.say(&chat, "before").await, 2);
    for round in 0..3_usize {
        let body = format!("its reply is lost: {round}");
        proxy.lose_reply_to(&body);
        let data = message(&chat, &body);
        let first = socket.request("sendMessage", data.clone()).await;
        assert_eq!(first["seq"], round + 3);
        assert_eq!(proxy.lost(), round + 1, "the fault did nothing");
        assert_eq!(socket.request("sendMessage", data).await, first);
    }
    socket.events(&chat, 1, 5).await;
    assert_eq!(check_chat(&app, &chat, &[]).await, 5);
}

/// The same for what takes a whole transaction.
#[tokio::test]
async fn an_edit_whose_reply_is_lost_is_not_done_twice() {
    let database = Database::create().await;
    let (proxy, through) = Proxy::before(&database.url).await;
    let app = TestApp::start_on(database, &[("DATABASE_URL", &through)]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let sent = socket.request("sendMessage", message(&chat, "before")).await;
    let edit = |body: &str| serde_json::json!({ "chatId": chat, "messageId": sent["messageId"], "body": body });
    socket.request("editMessage", edit("once")).await;
    proxy.lose_reply_to("COMMIT");
    assert_eq!(socket.request("editMessage", edit("twice")).await["seq"], 4);
    assert_eq!(proxy.lost(), 1, "the fault did nothing");
    let path = format!("/chats/{chat}/messages/{}/edits", sent["messageId"].as_str().unwrap());
    let versions = ann.http.get(&path).await.expect(200);
    let versions: Vec<_> = versions.items().iter().map(|edit| edit["body"].clone()).collect();
    assert_eq!(versions, ["before", "once", "twice"]);
    socket.events(&chat, 1, 4).await;
    assert_eq!(check_chat(&app, &chat, &[]).await, 4);
}
