//! The streams themselves: takeovers in order, poison, gaps.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chat_service::app::Node;
use fred::interfaces::StreamsInterface;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{
    Load, Mode, Proxy, TestApp, check_chat, environment, eventually, message, seqs,
};

async fn owned_by(app: &TestApp, node: &str) -> i64 {
    let mut db = app.database.connect().await;
    let count = sqlx::query_scalar("select count(*) from partitions where owner = $1")
        .bind(node)
        .fetch_one(&mut db)
        .await;
    count.expect("the statement runs")
}

/// A proxy before each Redis, and the setting that leads through them.
async fn proxies() -> (Vec<Proxy>, String) {
    let (mut proxies, mut through) = (Vec::new(), Vec::new());
    for url in environment("TEST_REDIS_URLS").split(',') {
        let (proxy, url) = Proxy::before(url).await;
        proxies.push(proxy);
        through.push(url);
    }
    (proxies, through.join(","))
}

fn set_all(proxies: &[Proxy], mode: Mode) {
    for proxy in proxies {
        proxy.set(mode);
    }
}

/// F2: the partitions of a node that ends go on elsewhere at once.
#[tokio::test]
async fn an_orderly_takeover_fails_no_send_and_looks_like_no_gap() {
    let mut nodes = TestApp::cluster(2).await;
    let [ann, bob] = nodes[0].people(["ann", "bob"]).await;
    eventually("both own some partitions", async || {
        owned_by(&nodes[0], "n1").await > 0 && owned_by(&nodes[0], "n2").await > 0
    })
    .await;
    let mut loads = Vec::new();
    for _ in 0..6 {
        let chat = ann.group(&[&bob]).await;
        let reader = nodes[1].connect(&bob).await.follow(&chat);
        loads.push((Load::start(&[nodes[1].address], &ann.token, &chat), reader, chat));
    }
    loads[0].0.goes_on_by(100).await;
    nodes[0].stop().await;
    for (load, reader, chat) in loads {
        load.goes_on_by(50).await;
        let outcome = load.stop().await;
        assert_eq!(outcome.failures, Vec::<String>::new());
        let last = check_chat(&nodes[1], &chat, &outcome.sent).await;
        assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    }
    assert_eq!(owned_by(&nodes[1], "n1").await, 0);
    assert!(nodes[1].metric("chat_out_gaps_total").await < 1.0);
    assert!(nodes[1].metric("chat_fence_rejected_total").await < 1.0);
}

#[tokio::test]
async fn a_node_of_another_number_of_partitions_does_not_start() {
    let app = TestApp::start().await;
    let started = Node::start(app.config_with(&[("LOG_PARTITIONS", "16")])).await;
    let refused = started.err().expect("it must not start").to_string();
    assert!(refused.contains("LOG_PARTITIONS=16"), "{refused}");
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    assert_eq!(app.connect(&ann).await.say(&chat, "undisturbed").await, 2);
}

/// F60.
#[tokio::test]
async fn poison_is_set_aside_and_the_partition_goes_on() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    assert_eq!(socket.say(&chat, "before").await, 2);
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let input = redis.keys.input(partition);
    let no_command = br#"{"id":"x","action":{"explode":{}}}"#;
    let mut framed = BytesMut::new();
    framed.put_u32_le(u32::try_from(no_command.len()).unwrap());
    framed.put_slice(no_command);
    let poison: [(&str, Bytes); 4] = [
        ("c", Bytes::from_static(b"garbage")),
        ("c", framed.freeze()),
        ("c", Bytes::from_static(&[0xff; 64])),
        ("unknown", Bytes::from_static(b"not even the field")),
    ];
    for field in poison {
        let added: String = client.xadd(&input, false, None, "*", vec![field]).await.unwrap();
        assert!(!added.is_empty());
    }
    assert_eq!(socket.say(&chat, "behind").await, 3);
    let dead: u64 = client.xlen(redis.keys.dead(partition)).await.unwrap();
    assert_eq!(dead, 3, "an entry without the field holds nothing to be kept");
    assert!((app.metric("chat_dead_letters_total").await - 3.0).abs() < 0.5);
    check_chat(&app, &chat, &[]).await;
    socket.events(&chat, 1, 3).await;
}

/// A command that Postgres refuses takes none of its batch with it: the text has a NUL, which edges
/// never let through.
#[tokio::test]
async fn a_command_that_cannot_be_stored_is_set_aside_alone() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let command = |body: &str| {
        let draft = json!({ "message_id": Uuid::now_v7(), "body": body });
        let command = json!({
            "id": Uuid::now_v7(), "chat": chat, "actor": ann.id,
            "answer_to": { "node": 1, "request": 1 }, "action": { "send": draft },
        });
        command.to_string().into_bytes()
    };
    let mut packed = BytesMut::new();
    for command in [command("one"), command("a\u{0}b"), command("two")] {
        packed.put_u32_le(u32::try_from(command.len()).unwrap());
        packed.put_slice(&command);
    }
    let client = &redis.of(partition).client;
    let field = vec![("c", packed.freeze())];
    let _: String =
        client.xadd(redis.keys.input(partition), false, None, "*", field).await.unwrap();
    let events = socket.events(&chat, 1, 3).await;
    let texts = events.iter().map(|event| event["data"]["message"]["body"].as_str().unwrap());
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(socket.say(&chat, "behind").await, 4);
    assert!((app.metric("chat_dead_letters_total").await - 1.0).abs() < 0.5);
}

/// What a newer version publishes is no reason to fall over.
#[tokio::test]
async fn events_of_an_unknown_kind_and_garbage_in_out_are_survived() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    let chat = ann.group(&[]).await;
    let mut reader = nodes[1].connect(&ann).await;
    let mut writer = nodes[0].connect(&ann).await;
    assert_eq!(writer.say(&chat, "before").await, 2);
    let (redis, partition) = (nodes[0].redis().await, nodes[0].partition_of(&chat));
    let client = &redis.of(partition).client;
    let output = redis.keys.output(partition);
    let mut unknown = BytesMut::new();
    unknown.put_slice(chat.parse::<Uuid>().unwrap().as_bytes());
    unknown.put_i64_le(3);
    unknown.put_u8(200);
    unknown.put_slice(ann.id.parse::<Uuid>().unwrap().as_bytes());
    unknown.put_u32_le(2);
    unknown.put_u32_le(0);
    unknown.put_slice(b"{}");
    for field in [
        ("e", unknown.freeze()),
        ("e", Bytes::from_static(&[0xff; 100])),
        ("a", Bytes::from_static(&[0xff; 100])),
        ("z", Bytes::new()),
    ] {
        // The next id of the present term: its owner's own entry is refused then.
        let tail: Vec<(String, Vec<(String, Bytes)>)> =
            client.xrevrange(&output, "+", "-", Some(1)).await.unwrap();
        let (fence, n) = tail[0].0.split_once('-').unwrap();
        let next = format!("{fence}-{}", n.parse::<u64>().unwrap() + 1);
        let _: String = client.xadd(&output, false, None, next, vec![field]).await.unwrap();
    }
    let load = Load::start(&[nodes[0].address], &ann.token, &chat);
    load.goes_on_by(50).await;
    let outcome = load.stop().await;
    let last = check_chat(&nodes[0], &chat, &outcome.sent).await;
    reader.events(&chat, 1, last).await;
}

/// A follower that was held back until `out` was trimmed fills the gap from Postgres.
#[tokio::test]
async fn a_follower_that_comes_too_late_for_the_stream_catches_up() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (proxies, through) = proxies().await;
    let settings = [("REDIS_URL", through.as_str()), ("NODE_ROLES", "edge")];
    let behind = app.join_with(&settings).await;
    let chat = ann.group(&[&bob]).await;
    let reader = behind.connect(&bob).await.follow(&chat);
    let mut writer = app.connect(&ann).await;
    assert_eq!(writer.say(&chat, "before").await, 2);

    set_all(&proxies, Mode::Stall);
    for n in 0..50 {
        writer.say(&chat, &n.to_string()).await;
    }
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let output = redis.keys.output(partition);
    let trimmed: u64 = client.xtrim(output, ("MAXLEN", "=", 1)).await.unwrap();
    assert!(trimmed > 10, "{trimmed}");
    set_all(&proxies, Mode::Pass);
    let last = writer.say(&chat, "behind").await;
    assert_eq!(seqs(&reader.up_to(last).await), (2..=last).collect::<Vec<_>>());
    assert!(behind.metric("chat_out_gaps_total").await >= 1.0, "there was a gap indeed");
}

/// The same for a chat that was made meanwhile.
#[tokio::test]
async fn a_follower_that_comes_too_late_learns_of_new_chats() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (proxies, through) = proxies().await;
    let settings = [("REDIS_URL", through.as_str()), ("NODE_ROLES", "edge")];
    let behind = app.join_with(&settings).await;
    let mut reader = behind.connect(&bob).await;
    set_all(&proxies, Mode::Stall);
    let chat = ann.group(&[&bob]).await;
    let mut writer = app.connect(&ann).await;
    for n in 0..5 {
        writer.say(&chat, &n.to_string()).await;
    }
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let _: u64 = client.xtrim(redis.keys.output(partition), ("MAXLEN", "=", 1)).await.unwrap();
    set_all(&proxies, Mode::Pass);
    let last = writer.say(&chat, "behind").await;
    let events = reader.events(&chat, 0, last).await;
    assert_eq!(events[0]["event"], "chatCreated");
}

/// The same for those who came into a chat meanwhile, and those who left it.
#[tokio::test]
async fn a_follower_that_comes_too_late_learns_who_came_and_who_left() {
    let app = TestApp::start().await;
    let [ann, bob, eve, joe] = app.people(["ann", "bob", "eve", "joe"]).await;
    let (proxies, through) = proxies().await;
    let settings = [("REDIS_URL", through.as_str()), ("NODE_ROLES", "edge")];
    let behind = app.join_with(&settings).await;
    let chat = ann.group(&[&bob, &joe]).await;
    let mut gone = behind.connect(&bob).await;
    let mut come = behind.connect(&eve).await;
    let mut stayed = behind.connect(&joe).await;
    set_all(&proxies, Mode::Stall);
    let member = format!("/chats/{chat}/members/{}", bob.id);
    ann.http.delete(&member).await.expect(204);
    let body = json!({ "userIds": [eve.id] });
    ann.http.post(&format!("/chats/{chat}/members"), body).await.expect(200);
    let mut writer = app.connect(&ann).await;
    for n in 0..5 {
        writer.say(&chat, &n.to_string()).await;
    }
    let (redis, partition) = (app.redis().await, app.partition_of(&chat));
    let client = &redis.of(partition).client;
    let _: u64 = client.xtrim(redis.keys.output(partition), ("MAXLEN", "=", 1)).await.unwrap();
    set_all(&proxies, Mode::Pass);
    let last = writer.say(&chat, "behind").await;

    assert_eq!(stayed.events(&chat, 1, last).await.len(), 8);
    let events = come.events(&chat, 2, last).await;
    assert_eq!(events[0]["event"], "memberJoined");
    assert_eq!(events[0]["data"]["chat"]["id"], chat);
    let events = gone.events(&chat, 1, 2).await;
    assert_eq!(events[0]["event"], "memberLeft");
    gone.expect_silence("messageCreated", Duration::from_millis(200)).await;
}

/// "A push that a `sync` answer already covered is not sent again after it": also where two of them
/// come before the pushes do.
#[tokio::test]
async fn a_sync_ahead_of_the_pushes_keeps_them_away_and_so_does_a_second() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (proxies, through) = proxies().await;
    let settings = [("REDIS_URL", through.as_str()), ("NODE_ROLES", "edge")];
    let behind = app.join_with(&settings).await;
    let mut reader = behind.connect(&bob).await;
    let chat = ann.group(&[&bob]).await;
    // From here on the node has nothing of the chat before it.
    reader.push("chatCreated").await;
    let mut writer = app.connect(&ann).await;
    set_all(&proxies, Mode::Stall);
    for n in 0..3 {
        writer.say(&chat, &n.to_string()).await;
    }
    let known = |after: i64| json!({ "chats": [{ "chatId": chat, "afterSeq": after }] });
    let synced = reader.request("sync", known(1)).await;
    assert_eq!(synced["chats"][0]["toSeq"], 4);
    let synced = reader.request("sync", known(4)).await;
    assert_eq!(synced["chats"], json!([]), "nothing has changed since");
    set_all(&proxies, Mode::Pass);
    let last = writer.say(&chat, "behind").await;
    reader.events(&chat, 4, last).await;
}

/// F11: slow is not broken.
#[tokio::test]
async fn a_slow_redis_makes_sends_slow_and_nothing_else() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let (proxies, through) = proxies().await;
    let slow = app.join_with(&[("REDIS_URL", &through)]).await;
    let chats = [ann.group(&[]).await, ann.group(&[]).await, ann.group(&[]).await];
    set_all(&proxies, Mode::Delay(std::time::Duration::from_millis(50)));
    for chat in chats {
        let load = Load::start(&[slow.address], &ann.token, &chat);
        load.goes_on_by(50).await;
        let outcome = load.stop().await;
        assert_eq!(outcome.failures, Vec::<String>::new());
        check_chat(&app, &chat, &outcome.sent).await;
    }
    let mut socket = slow.connect(&ann).await;
    let chat = ann.group(&[]).await;
    socket.request("sendMessage", message(&chat, "text")).await;
}
