//! What is no reaction, and how many there may be.

use serde_json::json;

use super::{HEART, THUMB};
use crate::harness::TestApp;

/// F45 aside: what people send instead of an emoji.
#[tokio::test]
async fn what_is_not_one_emoji_is_refused() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    let long = THUMB.repeat(1_024);
    let hostile = [
        "a",
        "7",
        "LIKE",
        "like ",
        "%",
        "%2525",
        "%F0%9F%91%8D",
        "../like",
        "<script>",
        "'; drop table messages; --",
        "\u{0}",
        "\u{1F44D}\u{0}",
        "\u{1F44D}\u{1F44D}",
        "\u{1F44D} ",
        // A joiner, a selector, a tone and half a flag alone; two emoji that do not join; the text
        // form asked for; what turns the direction of writing.
        "\u{200D}",
        "\u{FE0F}",
        "\u{1F3FD}",
        "\u{1F1FA}",
        "\u{1F680}\u{200D}\u{1F680}",
        "\u{2764}\u{FE0E}",
        "\u{202E}\u{1F44D}",
        &long,
    ];
    for emoji in hostile {
        for event in ["addReaction", "removeReaction"] {
            let data = json!({ "chatId": chat, "messageId": id, "emoji": emoji });
            assert_eq!(socket.refused(event, data).await, "invalid", "{emoji:?}");
        }
        let refused = ann.http.react(&chat, &id, emoji).await.expect_problem(422, "invalid");
        assert_eq!(refused.error_paths(), ["emoji"], "{emoji:?}");
        ann.http.unreact(&chat, &id, emoji).await.expect_problem(422, "invalid");
    }
    let data = json!({ "chatId": chat, "messageId": id, "emoji": "" });
    assert_eq!(socket.refused("addReaction", data).await, "invalid");
    // What is no text at all: bytes that are no UTF-8, half of a surrogate pair, a number.
    let broken = format!("/chats/{chat}/messages/{id}/reactions/%FF%FE");
    ann.http.delete(&broken).await.expect_problem(422, "invalid");
    for (number, emoji) in [r#""\ud83d""#, r#""\udc4d""#, "7", "null", "[]"].iter().enumerate() {
        let frame = format!(
            r#"{{"id":"raw{number}","event":"addReaction","data":{{"chatId":"{chat}","messageId":"{id}","emoji":{emoji}}}}}"#
        );
        socket.send_raw(frame).await;
        let answer = socket.answer(&format!("raw{number}")).await;
        assert_eq!(answer["error"]["code"], "invalid", "{emoji}");
    }
    assert_eq!(socket.say(&chat, "nothing was done").await, 3);
}

#[tokio::test]
async fn words_and_bare_forms_are_stored_as_the_emoji() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    let asked = ["like", "dislike", "love", "laugh", "wow", "sad", "angry", "7\u{20E3}"];
    for emoji in asked {
        ann.http.react(&chat, &id, emoji).await.expect(204);
    }
    let list = format!("/chats/{chat}/messages/{id}/reactions");
    let list = ann.http.get(&list).await.expect(200);
    let stored = list.items().iter().map(|reaction| reaction["emoji"].as_str().unwrap());
    let expected = [
        THUMB,
        "\u{1F44E}",
        HEART,
        "\u{1F602}",
        "\u{1F62E}",
        "\u{1F622}",
        "\u{1F621}",
        "7\u{FE0F}\u{20E3}",
    ];
    assert_eq!(stored.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_message_has_a_bounded_number_of_different_reactions() {
    let app = TestApp::start().await;
    let people = app.people(["ann", "bob", "cid"]).await;
    let [ann, bob, cid] = &people;
    let chat = ann.group(&[bob, cid]).await;
    let mut socket = app.connect(ann).await;
    let id = socket.send(&chat, "text").await;
    // Twenty-one flags; ten are as many as one user has.
    let flags: Vec<String> = ["AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS"]
        .iter()
        .chain(&["BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL"])
        .map(|code| {
            let letter = |byte: u8| char::from_u32(0x1F1E6 + u32::from(byte - b'A')).unwrap();
            code.bytes().map(letter).collect()
        })
        .collect();
    for flag in &flags[..10] {
        ann.http.react(&chat, &id, flag).await.expect(204);
    }
    let own = ann.http.react(&chat, &id, &flags[10]).await.expect_problem(409, "conflict");
    assert_eq!(own.body["detail"], "you have reacted to the message as often as one can");
    for flag in &flags[10..20] {
        bob.http.react(&chat, &id, flag).await.expect(204);
    }
    let full = cid.http.react(&chat, &id, &flags[20]).await.expect_problem(409, "conflict");
    let said = "the message has all the different reactions that it can have";
    assert_eq!(full.body["detail"], said);
    let mut by_cid = app.connect(cid).await;
    let data = json!({ "chatId": chat, "messageId": id, "emoji": flags[20] });
    assert_eq!(by_cid.refused("addReaction", data.clone()).await, "conflict");
    // What is there already can be joined, and what goes makes room.
    assert_eq!(by_cid.react(&chat, &id, &flags[0]).await, 23);
    ann.http.unreact(&chat, &id, &flags[1]).await.expect(204);
    by_cid.request("addReaction", data).await;
    let message = ann.http.get(&format!("/chats/{chat}/messages/{id}")).await.expect(200);
    assert_eq!(message.body["reactions"].as_array().unwrap().len(), 20);
    assert_eq!(message.body["reactions"][0]["count"], 2);
}

/// A class of its own: who may not react any more may still write.
#[tokio::test]
async fn reactions_are_limited_by_themselves() {
    let app = TestApp::start_with(&[("RATE_REACTION", "2/1h")]).await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let mut socket = app.connect(&ann).await;
    let id = socket.send(&chat, "text").await;
    socket.react(&chat, &id, "like").await;
    ann.http.react(&chat, &id, "love").await.expect(204);
    ann.http.unreact(&chat, &id, "love").await.expect_problem(429, "rateLimited");
    let data = json!({ "chatId": chat, "messageId": id, "emoji": "sad" });
    assert_eq!(socket.refused("addReaction", data).await, "rateLimited");
    assert_eq!(socket.say(&chat, "still").await, 5);
}
