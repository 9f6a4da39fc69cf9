//! The page of metrics: what is on it, and who cannot get at it.

use std::collections::BTreeMap;

use chat_service::metrics::{Declared, Metrics};
use serde_json::json;

use crate::harness::{Socket, TestApp, eventually, message};

/// Metrics that ordinary traffic does not move, with what would.
const UNMOVED: &[(&str, &str)] = &[
    ("chat_append_failed_total", "Redis away"),
    ("chat_catch_up_events_total", "events missed"),
    ("chat_catch_up_seconds", "events missed"),
    ("chat_catch_ups_total", "events missed"),
    ("chat_commands_waiting", "a moment's state"),
    ("chat_commit_failed_total", "Postgres away"),
    ("chat_dead_letters_total", "a command that cannot be read"),
    ("chat_draining", "a node that is shut down"),
    ("chat_ephemera_dropped_total", "a slow reader"),
    ("chat_fence_rejected_total", "a stale owner"),
    ("chat_hashing_refused_total", "a storm of sign-ins"),
    ("chat_hashing_waiting", "a moment's state"),
    ("chat_http_in_flight", "a moment's state"),
    ("chat_job_late_seconds", "a job that is late"),
    ("chat_job_last_success_timestamp_seconds", "the role `jobs`"),
    ("chat_job_rows_total", "old rows"),
    ("chat_jobs_done_total", "the role `jobs`"),
    ("chat_jobs_failed_total", "Postgres away"),
    ("chat_last_seen_dropped_total", "Postgres away for long"),
    ("chat_limits_alone_total", "Redis away"),
    ("chat_out_gaps_total", "events missed"),
    ("chat_partitions_backlogged", "a writer far behind"),
    ("chat_postgres_errors_total", "Postgres away"),
    ("chat_presence_rewrites_total", "Redis back without its data"),
    ("chat_publish_failed_total", "Redis away"),
    ("chat_rate_limited_total", "somebody who asks too much"),
    ("chat_receipt_lag_seconds", "a moment's state"),
    ("chat_redis_commands_queued", "a moment's state"),
    ("chat_redis_errors_total", "Redis away"),
    ("chat_resyncs_total", "thousands of events missed"),
    ("chat_runtime_queued_tasks", "a moment's state"),
    ("chat_search_failures_total", "Postgres away"),
    ("chat_search_lag_messages", "a moment's state"),
    ("chat_search_lag_seconds", "a moment's state"),
    ("chat_slow_readers_total", "a slow reader"),
    ("chat_storage_errors_total", "a store of files"),
    ("chat_storage_seconds", "a store of files"),
    ("chat_writer_lag_entries", "a moment's state"),
    ("chat_writer_lag_seconds", "a moment's state"),
];

/// A page: by name the kind, and the sum of the values (of a histogram: of its counts).
#[derive(Default)]
struct Page(BTreeMap<String, (String, f64)>);

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').expect("a name and a kind");
                let before = page.0.insert(name.to_owned(), (kind.to_owned(), 0.0));
                assert!(before.is_none(), "{name} stands twice on the page");
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let name = series.split('{').next().unwrap_or(series);
            let is_part = |suffix| name.ends_with(suffix) && !page.0.contains_key(name);
            if is_part("_bucket") || is_part("_sum") {
                continue;
            }
            let name = if is_part("_count") { name.trim_end_matches("_count") } else { name };
            let known = page.0.get_mut(name).unwrap_or_else(|| panic!("{name} has no type"));
            known.1 += value.parse::<f64>().expect("a number");
        }
        page
    }

    fn value(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |(_, value)| *value)
    }
}

/// R-AD-1.
#[tokio::test]
async fn the_public_port_has_no_metrics() {
    let app = TestApp::start().await;
    for path in ["/metrics", "/api/metrics", "/api/v1/metrics", "/docs/metrics"] {
        let answer = reqwest::get(format!("http://{}{path}", app.address)).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert!(app.page_of_metrics().await.contains("chat_build_info{"));
}

#[tokio::test]
async fn every_metric_is_on_the_page_and_moved_by_what_it_counts() {
    let nodes = TestApp::cluster(2).await;
    let _open = use_it(&nodes).await;
    let mut missing = Vec::new();
    eventually("all metrics that traffic moves have moved", async || {
        let mut pages = Vec::new();
        for node in &nodes {
            pages.push(Page::read(&node.page_of_metrics().await));
        }
        missing.clear();
        for Declared { name, kind, .. } in Metrics::declared() {
            for page in &pages {
                if let Some((found, _)) = page.0.get(name) {
                    assert_eq!(found, kind, "{name}");
                }
            }
            let is_there = pages.iter().any(|page| page.0.contains_key(name));
            let has_moved = pages.iter().any(|page| page.value(name) > 0.0);
            let is_unmoved = UNMOVED.iter().any(|(unmoved, _)| *unmoved == name);
            if !is_there || (!has_moved && !is_unmoved) {
                missing.push(name);
            }
        }
        let declared = Metrics::declared();
        for name in pages.iter().flat_map(|page| page.0.keys()) {
            let is_declared = declared.iter().any(|known| known.name == name);
            assert!(is_declared, "{name} is on the page and in no list");
        }
        if !missing.is_empty() {
            println!("still to come: {missing:?}");
        }
        missing.is_empty()
    })
    .await;
}

/// Something of everything; the sockets that it leaves open.
async fn use_it(nodes: &[TestApp]) -> [Socket; 2] {
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    let chat = ann.group(&[&bob]).await;
    let mut here = nodes[0].connect(&ann).await;
    let mut there = nodes[1].connect(&bob).await;
    there.request("subscribePresence", json!({ "userIds": [ann.id] })).await;
    let sent = here.request("sendMessage", message(&chat, "hello")).await;
    there.push("messageCreated").await;
    let edit = json!({ "chatId": chat, "messageId": sent["messageId"], "body": "hi" });
    here.request("editMessage", edit).await;
    there.push("messageEdited").await;
    for socket in [&mut here, &mut there] {
        socket.request("joinChat", json!({ "chatId": chat })).await;
    }
    here.request("typing", json!({ "chatId": chat, "typing": true })).await;
    there.request("markRead", json!({ "chatId": chat, "seq": 3 })).await;
    let known = json!({ "chats": [{ "chatId": chat, "afterSeq": 0 }] });
    there.request("sync", known).await;
    here.request("getMessages", json!({ "chatId": chat })).await;
    assert_eq!(here.refused("getMessages", json!({})).await, "invalid");
    ann.http.get(&format!("/chats/{chat}/messages")).await.expect(200);

    let refused = Socket::open(nodes[0].address, &[("authorization", "Bearer no.good.token")]);
    assert_eq!(refused.await.err(), Some(401));
    drop(Socket::open(nodes[0].address, &[]).await);
    drop(nodes[0].connect(&bob).await);
    [here, there]
}

#[tokio::test]
async fn the_unmoved_are_metrics_and_have_a_reason() {
    let declared = Metrics::declared();
    for (name, moved_by) in UNMOVED {
        assert!(declared.iter().any(|known| known.name == *name), "there is no {name}");
        assert!(!moved_by.is_empty());
    }
}

#[tokio::test]
async fn requests_are_told_apart_by_route_and_by_outcome() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    ann.http.get(&format!("/chats/{chat}")).await.expect(200);
    let nobody = "/chats/01890000-0000-7000-8000-000000000000";
    ann.http.get(nobody).await.expect(404);
    ann.http.get("/no/such/route").await.expect(404);
    let mut socket = app.connect(&ann).await;
    socket.say(&chat, "hello").await;
    let stranger = message("01890000-0000-7000-8000-000000000000", "hello");
    assert_eq!(socket.refused("sendMessage", stranger).await, "notFound");
    assert_eq!(socket.refused("dance", json!({})).await, "invalid");
    drop(socket);
    let lines = [
        r#"chat_http_requests_total{node="n1",method="GET",route="/api/v1/chats/{chatId}",status="2xx"} 1"#,
        r#"chat_http_requests_total{node="n1",method="GET",route="/api/v1/chats/{chatId}",status="4xx"} 1"#,
        r#"chat_http_requests_total{node="n1",method="GET",route="/api/v1/ws",status="1xx"} 1"#,
        r#"chat_socket_requests_total{node="n1",event="sendMessage",code="ok"} 1"#,
        r#"chat_socket_requests_total{node="n1",event="sendMessage",code="notFound"} 1"#,
        r#"chat_socket_requests_total{node="n1",event="other",code="invalid"} 1"#,
        r#"chat_socket_request_seconds_count{node="n1",event="sendMessage"} 2"#,
        r#"chat_connections_closed_total{node="n1",initiator="client",code="1006"} 1"#,
        r#"chat_dependency_up{node="n1",dependency="postgres"} 1"#,
        r#"chat_ready{node="n1"} 1"#,
    ];
    let mut page = String::new();
    eventually("the page says all of it", async || {
        page = app.page_of_metrics().await;
        let missing = lines.iter().find(|line| !page.contains(&format!("{line}\n")));
        missing.inspect(|line| println!("not yet: {line}")).is_none()
    })
    .await;
    let of_nothing = page.lines().find(|line| line.contains(r#"route="other""#));
    assert!(of_nothing.is_some(), "what no route matches has a place");
    assert!(!page.contains(&chat) && !page.contains(&ann.id), "no id is a label");
}

/// A partition's lag goes with its owner, and stands at the next one.
#[tokio::test]
async fn partitions_are_on_the_page_of_their_owner_alone() {
    let nodes = TestApp::cluster(2).await;
    eventually("each partition is on one page", async || {
        let mut owned = Vec::new();
        for node in &nodes {
            let page = node.page_of_metrics().await;
            let lines = page.lines().filter_map(|line| line.split_once("partition=\""));
            let lags = lines.filter(|(name, _)| name.starts_with("chat_writer_lag_seconds{"));
            let numbers = lags.filter_map(|(_, rest)| rest.split('"').next()?.parse::<u16>().ok());
            owned.push(numbers.collect::<Vec<_>>());
        }
        let mut all = owned.concat();
        all.sort_unstable();
        !owned.iter().any(Vec::is_empty) && all == (0..8).collect::<Vec<_>>()
    })
    .await;
}
