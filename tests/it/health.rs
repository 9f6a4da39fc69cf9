//! Probes, and the end of a node in order: F2.

use serde_json::json;

use crate::harness::{Load, Socket, TestApp, check_chat, eventually, probe};

#[tokio::test]
async fn a_node_tells_how_it_is_without_a_token() {
    let app = TestApp::start().await;
    let answer = reqwest::get(format!("http://{}/api/health", app.address)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let report: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(report["status"], "ok", "{report:#}");
    assert!(report["version"].is_string());
    assert_eq!(report["checks"], json!({ "database": "ok", "redis": "ok" }));
    assert_eq!(app.probe("live").await, Some(200));
    assert_eq!(app.probe("ready").await, Some(200));
}

/// What images and `helm test` run.
#[tokio::test]
async fn the_command_line_asks_a_node_how_it_is() {
    let mut app = TestApp::start_with(&[("APP_TOKEN", "of the app")]).await;
    let address = app.address.to_string();
    let url = format!("http://{address}");
    let here = [("HTTP_ADDR", address.as_str())];
    for arguments in [&["health"][..], &["health", "--ready"][..]] {
        let (well, printed) = app.run_with_only(&[], &here, arguments).await;
        assert!(well && printed.is_empty(), "{arguments:?}: {printed}");
    }
    let (well, printed) =
        app.run_with_only(&[], &[("APP_TOKEN", "of the app")], &["probe", "--url", &url]).await;
    assert!(well, "{printed}");
    assert!(printed.contains(r#""database":"ok""#), "{printed}");
    assert!(printed.ends_with("/api/v1/ws: open, and asks for a token\n"), "{printed}");
    // A proxy that lets no socket through, or a service that lets nobody in, is found.
    let (well, printed) = app.run_with_only(&[], &[], &["probe", "--url", &url]).await;
    assert!(!well && printed.contains("the socket: "), "{printed}");

    app.stop().await;
    for arguments in [&["health"][..], &["health", "--ready"], &["probe", "--url", &url]] {
        let (well, printed) = app.run_with_only(&[], &here, arguments).await;
        assert!(!well && printed.contains("Connection refused"), "{arguments:?}: {printed}");
    }
}

/// A Job that migrates is given one secret, not all of them.
#[tokio::test]
async fn migrations_need_nothing_but_the_database() {
    let app = TestApp::start().await;
    let (well, printed) = app.run_with_only(&["DATABASE_URL"], &[], &["migrate"]).await;
    assert!(well, "{printed}");
    // The step of a later version: whoever goes back to this one finds it.
    let later = "insert into _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 values (999999, 'later', true, '', 0)";
    app.sql(later, None).await;
    let (well, printed) = app.run_with_only(&["DATABASE_URL"], &[], &["migrate"]).await;
    assert!(well, "{printed}");
    let (well, printed) = app.run_with_only(&[], &[], &["migrate"]).await;
    assert!(!well && printed.contains("DATABASE_URL: required"), "{printed}");
}

/// The probe must be answered while the node drains: whoever asks would otherwise take it for dead
/// rather than for leaving.
#[tokio::test]
async fn a_draining_node_is_alive_but_not_ready() {
    let mut app = TestApp::start_with(&[("DRAIN_WINDOW_MS", "3000")]).await;
    let ann = app.person("ann").await;
    // Enough sockets for the drain to take a while.
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(app.connect(&ann).await);
    }
    let (address, node) = (app.address, app.take_node());
    let stopping = tokio::spawn(node.stop());
    // Not asked behind a goodbye: the goodbye that one waits for may be the drain's last, and
    // behind it nobody listens any more.
    eventually("it is not ready", async || probe(address, "ready").await == Some(503)).await;
    assert_eq!(probe(address, "live").await, Some(200));
    for socket in &mut sockets {
        socket.push("goingAway").await;
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn sockets_of_a_node_that_ends_are_sent_elsewhere() {
    let mut nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut leaving = nodes[0].connect(&ann).await;
    let mut staying = nodes[1].connect(&bob).await;
    leaving.say(&chat, "before").await;
    nodes[0].stop().await;
    let away = leaving.push("goingAway").await;
    assert!(away["reconnectAfterMs"].as_u64().unwrap() <= 1_000);
    assert_eq!(leaving.closed().await, 1012);
    eventually("nobody listens there any more", async || {
        Socket::open(nodes[0].address, &[]).await.err() == Some(0)
    })
    .await;

    let mut back = nodes[1].connect(&ann).await;
    assert_eq!(back.say(&chat, "behind").await, 3);
    staying.events(&chat, 1, 3).await;
}

/// A rolling restart under load: no send is refused, none is lost.
#[tokio::test]
async fn all_nodes_are_replaced_in_turn_and_no_send_is_refused() {
    let mut nodes = TestApp::cluster(2).await;
    let steady = nodes[0].join_with(&[("NODE_ROLES", "edge")]).await;
    let ann = nodes[0].person("ann").await;
    let mut loads = Vec::new();
    for _ in 0..4 {
        let chat = ann.group(&[]).await;
        loads.push((Load::start(&[steady.address], &ann.token, &chat), chat));
    }
    for index in 0..nodes.len() {
        loads[0].0.goes_on_by(100).await;
        nodes[index].stop().await;
        let next = steady.join().await;
        loads[1].0.goes_on_by(100).await;
        nodes.push(next);
    }
    for (load, chat) in loads {
        load.goes_on_by(20).await;
        let outcome = load.stop().await;
        assert_eq!(outcome.failures, Vec::<String>::new());
        check_chat(&steady, &chat, &outcome.sent).await;
    }
    assert!(steady.metric("chat_out_gaps_total").await < 1.0, "readers took nothing for a gap");
}
