//! What answers a message, as a list.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Http, Person, Socket, TestApp, message};

async fn say(socket: &mut Socket, chat: &str, parent: Option<&str>, body: &str) -> String {
    let mut data = message(chat, body);
    if let Some(parent) = parent {
        data["replyTo"] = json!(parent);
    }
    let sent = socket.request("sendMessage", data).await;
    sent["messageId"].as_str().expect("an id").to_owned()
}

/// The bodies of all parts of a thread, and how many parts there were.
async fn thread(reader: &Http, chat: &str, message: &str, limit: usize) -> (Vec<Value>, usize) {
    let path = format!("/chats/{chat}/messages/{message}/thread?limit={limit}");
    let (mut bodies, mut parts, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let part = reader.get(&format!("{path}{cursor}")).await.expect(200);
        parts += 1;
        assert!(part.items().len() <= limit);
        bodies.extend(part.items().iter().map(|message| message["body"].clone()));
        let Some(next) = part.body["nextCursor"].as_str() else { return (bodies, parts) };
        cursor = format!("&cursor={next}");
    }
}

/// Two branches below a root, and what has nothing to do with it between them.
struct Scene {
    app: TestApp,
    ann: Person,
    bob: Person,
    chat: String,
    root: String,
    left: String,
    right: String,
    leaf: String,
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let [ann, bob] = app.people(["ann", "bob"]).await;
        let chat = ann.group(&[&bob]).await;
        let (mut by_ann, mut by_bob) = (app.connect(&ann).await, app.connect(&bob).await);
        let root = say(&mut by_ann, &chat, None, "root").await;
        let left = say(&mut by_bob, &chat, Some(&root), "left").await;
        say(&mut by_bob, &chat, None, "aside").await;
        let right = say(&mut by_ann, &chat, Some(&root), "right").await;
        let below = say(&mut by_ann, &chat, Some(&left), "below left").await;
        say(&mut by_bob, &chat, Some(&right), "below right").await;
        let leaf = say(&mut by_bob, &chat, Some(&below), "far below left").await;
        say(&mut by_ann, &chat, Some(&left), "beside").await;
        Self { app, ann, bob, chat, root, left, right, leaf }
    }
}

#[tokio::test]
async fn a_thread_is_whatever_answers_a_message_at_any_depth() {
    let scene = Box::pin(Scene::new()).await;
    let (http, chat) = (&scene.bob.http, &scene.chat);
    let all = json!(["left", "right", "below left", "below right", "far below left", "beside"]);
    for limit in [100, 6, 5, 2, 1] {
        let (bodies, parts) = thread(http, chat, &scene.root, limit).await;
        assert_eq!((json!(bodies), parts), (all.clone(), 6_usize.div_ceil(limit)));
        let (bodies, parts) = thread(http, chat, &scene.left, limit).await;
        let expected = json!(["below left", "far below left", "beside"]);
        assert_eq!((json!(bodies), parts), (expected, 3_usize.div_ceil(limit)));
    }
    assert_eq!(thread(http, chat, &scene.right, 100).await, (vec![json!("below right")], 1));
    assert_eq!(thread(http, chat, &scene.leaf, 100).await, (vec![], 1));
    let whole = http.get(&format!("/chats/{chat}/messages/{}/thread", scene.left)).await;
    let item = whole.expect(200).items()[1].clone();
    let alone = item["id"].as_str().unwrap();
    let alone = http.get(&format!("/chats/{chat}/messages/{alone}")).await.expect(200);
    assert_eq!(item, alone.body, "each is the whole message");
    assert_eq!(item["replyTo"]["excerpt"], "below left");
}

/// What is deleted keeps its place, in the list and in the count.
#[tokio::test]
async fn deleted_answers_stay_in_their_thread() {
    let scene = Box::pin(Scene::new()).await;
    let chat = &scene.chat;
    let base = format!("/chats/{chat}/messages");
    for id in [&scene.left, &scene.root] {
        let by = if *id == scene.left { &scene.bob } else { &scene.ann };
        by.http.delete(&format!("{base}/{id}")).await.expect(204);
    }
    let (bodies, _) = thread(&scene.ann.http, chat, &scene.root, 100).await;
    let expected = json!([null, "right", "below left", "below right", "far below left", "beside"]);
    assert_eq!(json!(bodies), expected);
    assert_eq!(thread(&scene.ann.http, chat, &scene.left, 100).await.0.len(), 3);
    for (id, count) in [(&scene.root, 6), (&scene.left, 3)] {
        let message = scene.ann.http.get(&format!("{base}/{id}")).await.expect(200);
        assert_eq!(message.body["replyCount"], count, "as many as the list has");
    }
    let mut socket = scene.app.connect(&scene.ann).await;
    say(&mut socket, chat, Some(&scene.left), "late").await;
    let root = scene.ann.http.get(&format!("{base}/{}", scene.root)).await.expect(200);
    assert_eq!(root.body["replyCount"], 7);
}

#[tokio::test]
async fn threads_are_shown_to_members_alone() {
    let scene = Box::pin(Scene::new()).await;
    let eve = scene.app.person("eve").await;
    let path = |message: &str| format!("/chats/{}/messages/{message}/thread", scene.chat);
    eve.http.get(&path(&scene.root)).await.expect_problem(404, "notFound");
    let missing = Uuid::now_v7().to_string();
    scene.ann.http.get(&path(&missing)).await.expect_problem(404, "notFound");
    let elsewhere = format!("/chats/{}/messages/{}/thread", scene.ann.group(&[]).await, scene.root);
    scene.ann.http.get(&elsewhere).await.expect_problem(404, "notFound");
    for bad in ["?limit=0", "?limit=101", "?cursor=%25", "?cursor=YWJj", "?before=1"] {
        let path = format!("{}{bad}", path(&scene.root));
        scene.ann.http.get(&path).await.expect_problem(422, "invalid");
    }
}

/// What was answered, and the first of the thread, come again with their new counts; and a part that
/// is full does not part what one event changed.
#[tokio::test]
async fn catching_up_tells_how_often_something_was_answered() {
    let scene = Box::pin(Scene::new()).await;
    let chat = &scene.chat;
    let (mut by_ann, mut by_bob) =
        (scene.app.connect(&scene.ann).await, scene.app.connect(&scene.bob).await);
    let answer = say(&mut by_ann, chat, Some(&scene.leaf), "far away").await;
    let pushed = by_bob.events(chat, 9, 10).await.remove(0);
    assert_eq!(pushed["data"]["message"]["id"], answer);
    let seq = 10;
    for limit in ["", "&limit=1"] {
        let path = format!("/chats/{chat}/changes?afterSeq={}{limit}", seq - 1);
        let changes = scene.bob.http.get(&path).await.expect(200).body;
        assert_eq!((&changes["toSeq"], &changes["complete"]), (&json!(seq), &json!(true)));
        let mut counts: Vec<(String, i64)> = Vec::new();
        for message in changes["messages"].as_array().unwrap() {
            let id = message["id"].as_str().unwrap().to_owned();
            counts.push((id, message["replyCount"].as_i64().unwrap()));
        }
        counts.sort();
        let mut expected =
            vec![(scene.root.clone(), 7), (scene.leaf.clone(), 1), (answer.clone(), 0)];
        expected.sort();
        assert_eq!(counts, expected);
    }
    // Part by part nothing is lost.
    let (mut after, mut seen) = (0, std::collections::BTreeSet::new());
    loop {
        let path = format!("/chats/{chat}/changes?afterSeq={after}&limit=1");
        let changes = scene.bob.http.get(&path).await.expect(200).body;
        let messages = changes["messages"].as_array().unwrap();
        assert!(messages.len() <= 3, "{changes:#}");
        seen.extend(messages.iter().map(|message| message["seq"].as_i64().unwrap()));
        after = changes["toSeq"].as_i64().unwrap();
        if changes["complete"] == true {
            break;
        }
    }
    assert_eq!(seen, (2..=10).collect());
}

/// A part ends where its texts are long, as history does.
#[tokio::test]
async fn a_part_of_a_thread_is_bounded_by_its_texts() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let root = say(&mut socket, &chat, None, "root").await;
    let long = "\u{1F642}".repeat(8_000);
    for _ in 0..20 {
        say(&mut socket, &chat, Some(&root), &long).await;
    }
    let (bodies, parts) = thread(&ann.http, &chat, &root, 100).await;
    assert_eq!((bodies.len(), parts), (20, 3), "256 KiB hold eight texts of 32 kB");
}
