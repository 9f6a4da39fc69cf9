//! Whole runs, from the command line to the verdict, against a server that keeps its promises and
//! against one that breaks them.

use std::path::Path;

use clap::Parser;
use serde_json::Value;

use super::{Fake, Fault};
use crate::{Cli, execute};

/// Runs a command against a fresh fake; returns the exit code and the figures.
async fn play(fault: Fault, words: &[&str]) -> (u8, Value) {
    let cluster = Fake::start(fault).await;
    let json = cluster.with_extension("figures");
    let files = ["--cluster", text(&cluster), "--json", text(&json)];
    let cli = Cli::parse_from([&["loadtest"], words, &files].concat());
    let code = execute(cli.command).await.expect("comes to a verdict");
    let figures = std::fs::read_to_string(&json).expect("was written");
    for file in [&cluster, &json] {
        std::fs::remove_file(file).expect("is there");
    }
    (code, serde_json::from_str(&figures).expect("is JSON"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("is text")
}

const RUN: [&str; 11] =
    ["run", "--rooms", "3", "--members", "4", "--rate", "300", "--seconds", "1", "--warmup", "1"];

async fn run(fault: Fault) -> (u8, Value) {
    play(fault, &RUN).await
}

#[tokio::test]
async fn a_server_that_keeps_its_promises_is_ok() {
    let (code, figures) = run(Fault::Nothing).await;
    assert_eq!(code, 0, "{figures:#}");
    let sent = figures["sent"].as_u64().expect("a number");
    assert!((590..=610).contains(&sent), "{sent}");
    assert_eq!(figures["acked"], sent);
    assert_eq!(figures["delivered"], sent * 3);
    assert!(figures["measured"]["messages"].as_u64().expect("a number") > 200);
    assert!(figures["delivery"]["count"].as_u64().expect("a number") > 600);
}

#[tokio::test]
async fn a_closed_loop_and_shared_accounts_are_ok() {
    let words = ["run", "--rooms", "4", "--members", "3", "--connections", "5", "--rate", "0"];
    let more = ["--seconds", "1", "--warmup", "1", "--in-flight", "4"];
    let (code, figures) = play(Fault::Nothing, &[&words[..], &more].concat()).await;
    assert_eq!(code, 0, "{figures:#}");
    assert_eq!(figures["connections"], 5);
}

#[tokio::test]
async fn cut_sockets_and_passing_refusals_lose_nothing() {
    let (code, figures) = run(Fault::CutSockets(200)).await;
    assert_eq!(code, 0, "{figures:#}");
    assert_eq!(figures["generator"]["reconnects"], 12);
    assert!(figures["retried"].as_u64().expect("a number") > 0);
    assert_eq!(figures["sent"], figures["acked"]);
    let (code, figures) = run(Fault::RefuseForNow(100)).await;
    assert_eq!((code, &figures["retried"]), (0, &Value::from(1)), "{figures:#}");
    let (code, figures) = run(Fault::AnnounceAndSkip(100)).await;
    assert_eq!(code, 0, "{figures:#}");
    assert_eq!(figures["generator"]["resyncs"], 4);
}

#[tokio::test]
async fn every_broken_promise_is_caught() {
    let planted = [
        (Fault::LoseStored(100), "lost"),
        // The last message of a member has no push behind it that would show the hole.
        (Fault::LosePush(600), "lost"),
        (Fault::LosePush(100), "silent_jumps"),
        (Fault::PushTwice(100), "duplicated"),
        (Fault::PushLate(100), "reordered"),
        (Fault::StoreTwice(100), "duplicated"),
        (Fault::SkipSeq(100), "gaps"),
        (Fault::TrimText(100), "corrupt"),
    ];
    // Side by side, since each of them has its quiet time at the end.
    let runs = planted.map(|(fault, kind)| async move { (fault, kind, run(fault).await) });
    for (fault, kind, (code, figures)) in futures_util::future::join_all(runs).await {
        assert_eq!(code, 1, "{fault:?}: {figures:#}");
        assert!(figures["violations"][kind].as_u64() >= Some(1), "{fault:?}: {figures:#}");
    }
}

#[tokio::test]
async fn a_day_is_replayed_with_its_replies() {
    let folder = std::env::temp_dir().join(format!("days-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).expect("creates");
    let lines: Vec<String> =
        (0..200).map(|n| format!("[10:{:02}] <nick{}> line {n} \n", n / 10, n % 7)).collect();
    let answers: Vec<String> = (0..200).map(|n| format!("{} {n} -\n", n / 2)).collect();
    for day in ["a", "b"] {
        std::fs::write(folder.join(format!("{day}.raw.txt")), lines.concat()).expect("writes");
        std::fs::write(folder.join(format!("{day}.annotation.txt")), answers.concat())
            .expect("writes");
    }
    let words = ["replay", text(&folder)];
    let (code, figures) = play(Fault::Nothing, &words).await;
    assert_eq!(code, 0, "{figures:#}");
    assert_eq!((&figures["sent"], &figures["connections"]), (&400.into(), &7.into()));
    let (code, figures) = play(Fault::CutSockets(150), &words).await;
    assert_eq!(code, 0, "{figures:#}");
    let (code, figures) = play(Fault::ForgetReply, &words).await;
    assert_eq!(code, 1);
    assert_eq!(figures["violations"]["wrong_reply"], 398);
    std::fs::remove_dir_all(folder).expect("is there");
}
