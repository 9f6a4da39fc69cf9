//! Many who come at once.

use std::sync::Arc;
use std::time::Instant;

use chat_service::fanout::connection::Connection;
use chat_service::model::id::{SessionId, UserId};

use super::{all_say, change, follow};
use crate::harness::{Load, TestApp, check_chat, eventually};

const USERS: usize = 10_000;

/// They are written in rounds, and messages go on between these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_come_at_once_are_all_written_and_messages_go_on() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut follower = nodes[1].connect(&ann).await;
    follow(&mut follower, &bob).await;
    let load = Load::start(&[nodes[0].address], &ann.token, &chat);
    load.goes_on_by(10).await;
    let presence = nodes[0].presence();
    let changes = "chat_presence_changes_total";
    let (before, began) = (nodes[0].metric(changes).await, Instant::now());
    let there: Vec<_> = (0..USERS)
        .map(|_| {
            let connection = Connection::new(UserId::new(), SessionId::new(), 1_000);
            presence.attend(&Arc::new(connection))
        })
        .collect();
    let all = before + f64::from(u32::try_from(USERS).expect("it is small"));
    eventually("all are written", async || nodes[0].metric(changes).await >= all).await;
    println!("{USERS} users written after {:?}", began.elapsed());
    load.goes_on_by(10).await;
    // Whoever comes behind them is not held up by them any more.
    let of_bob = nodes[0].connect(&bob).await;
    assert_eq!(change(&mut follower, &bob).await["online"], true);
    let went = Instant::now();
    drop((there, of_bob));
    assert_eq!(change(&mut follower, &bob).await["online"], false);
    eventually("nobody is left", async || nodes[0].metric("chat_presence_online").await < 1.5)
        .await;
    println!("and gone after {:?}", went.elapsed());
    all_say(&[&nodes[0], &nodes[1]], &ann, &ann, true).await;
    load.goes_on_by(10).await;
    let outcome = load.stop().await;
    check_chat(&nodes[0], &chat, &outcome.sent).await;
}
