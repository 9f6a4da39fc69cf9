//! Partitions over two Redis servers.

use std::time::Duration;

use crate::harness::{A_WHILE, Person, PrivateRedis, Socket, TestApp, message};

/// Makes groups until there is one on each of the two shards.
async fn one_chat_each(app: &TestApp, person: &Person) -> [String; 2] {
    let redis = app.redis().await;
    let mut found = [None, None];
    for _ in 0..64 {
        let chat = person.group(&[]).await;
        let shard = redis.of(app.partition_of(&chat)).index;
        found[shard] = Some(chat);
        if let [Some(one), Some(other)] = &found {
            return [one.clone(), other.clone()];
        }
    }
    panic!("64 chats are all on one shard");
}

#[tokio::test]
async fn chats_on_both_shards_work_alike() {
    let nodes = TestApp::cluster(2).await;
    let ann = nodes[0].person("ann").await;
    for chat in one_chat_each(&nodes[0], &ann).await {
        let (mut here, mut there) = (nodes[0].connect(&ann).await, nodes[1].connect(&ann).await);
        here.say(&chat, "here").await;
        there.say(&chat, "there").await;
        here.events(&chat, 1, 3).await;
        there.events(&chat, 1, 3).await;
    }
}

/// Asks until it is done: a while after a fault it is refused.
async fn say_at_last(socket: &mut Socket, chat: &str, body: &str) -> i64 {
    let data = message(chat, body);
    for _ in 0..100 {
        let id = socket.ask("sendMessage", data.clone()).await;
        let answer = socket.answer(&id).await;
        if answer["ok"] == true {
            return answer["data"]["seq"].as_i64().expect("as the contract says");
        }
        let code = answer["error"]["code"].as_str().expect("as the contract says");
        assert!(["unavailable", "timeout"].contains(&code), "{answer:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is never done");
}

#[tokio::test]
async fn one_shard_away_leaves_the_chats_of_the_other_working() {
    let (steady, mut lost) = (PrivateRedis::start(true).await, PrivateRedis::start(true).await);
    let urls = format!("{},{}", steady.url(), lost.url());
    let settings = [("REDIS_URL", urls.as_str()), ("LOG_ANSWER_TIMEOUT_MS", "2000")];
    let first = TestApp::start_with(&settings).await;
    let second = first.join().await;
    let ann = first.person("ann").await;
    let [here, there] = one_chat_each(&first, &ann).await;
    let (mut writer, mut reader) = (first.connect(&ann).await, second.connect(&ann).await);
    assert_eq!(writer.say(&here, "before").await, 2);
    assert_eq!(writer.say(&there, "before").await, 2);

    lost.stop().await;
    let code = writer.refused("sendMessage", message(&there, "not now")).await;
    assert!(["unavailable", "timeout"].contains(&code.as_str()), "{code}");
    for n in 0..20 {
        assert_eq!(writer.say(&here, "goes on").await, n + 3, "at once, on the other shard");
    }
    reader.events(&here, 1, 22).await;
    let mut new = second.connect(&ann).await;
    new.request("joinChat", serde_json::json!({ "chatId": there, "afterSeq": 1 })).await;
    let history = ann.http.get(&format!("/chats/{there}/messages")).await.expect(200);
    assert_eq!(history.items().len(), 1, "history is read without Redis");
    assert_eq!(first.probe("live").await, Some(200));
    // Sessions end on every node by the shard that is left.
    let other = first.client().sign_in("ann", serde_json::json!({})).await;
    let mut ends = Socket::connect(second.address, &other.text("/accessToken")).await;
    let ended = first.client().with_token(other.text("/accessToken"));
    ended.post("/auth/logout", serde_json::json!({})).await.expect(204);
    assert_eq!(ends.closed().await, 4403);
    reader.expect_silence("resyncRequired", A_WHILE).await;

    lost.start_again().await;
    let seq = say_at_last(&mut writer, &there, "behind").await;
    reader.events(&there, 1, seq).await;
}
