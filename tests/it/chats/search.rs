//! Finding one's own chats, by what they are called and by who is in them.

use serde_json::json;

use super::ids;
use crate::harness::{Person, TestApp};

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"))
}

async fn finds(person: &Person, what: &str, query: &str) -> Vec<String> {
    let path = format!("/chats/{what}?q={}", escaped(query));
    let found = person.http.get(&path).await.expect(200);
    ids(&found)
}

async fn group(person: &Person, title: &str, description: &str, others: &[&Person]) -> String {
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    let body = json!({ "title": title, "description": description, "memberIds": ids });
    person.http.post("/chats", body).await.expect(201).text("/id")
}

async fn rename(person: &Person, name: &str) {
    let body = json!({ "displayName": name });
    person.http.patch("/user/profile", body).await.expect(200);
}

#[tokio::test]
async fn groups_are_found_by_the_words_of_title_and_description() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let old = group(&ann, "Alpine climbing", "ropes and ice", &[&bob]).await;
    let new = group(&ann, "Climbing in town", "every Tuesday", &[]).await;
    let other = group(&ann, "Cooking", "after climbing", &[]).await;
    let strange = group(&bob, "Climbing without ann", "", &[]).await;
    let by = async |query: &str| finds(&ann, "search", query).await;
    assert_eq!(by("CLIMB").await, [&*new, &*old, &*other], "by how it fits");
    assert_eq!(by(" climbing  ice ").await, [&*old], "all of the words, over both");
    assert_eq!(by("tuesday").await, [&*new]);
    assert_eq!(by("nowhere").await, [""; 0]);
    assert_eq!(finds(&bob, "search", "climbing").await, [&*strange, &*old]);
    // Plain text, whatever it looks like.
    let odd = group(&ann, "100% _sure_ \\ *", "a.b", &[]).await;
    for query in ["%", "100%", "_sure", "\\", "*"] {
        assert_eq!(by(query).await, [&*odd], "{query}");
    }
    for query in ["a_b", ".*", "%%", "' or 1=1 --"] {
        assert_eq!(by(query).await, [""; 0], "{query}");
    }
    // What a group is called now.
    let path = format!("/chats/{old}");
    ann.http.patch(&path, json!({ "title": "Ｗｉｄｅ Ärger" })).await.expect(200);
    assert_eq!(by("wide").await, [&*old]);
    assert_eq!(by("äRGER").await, [&*old]);
    assert_eq!(by("alpine").await, [""; 0]);
    bob.http.delete(&format!("/chats/{old}/leave")).await.expect(204);
    assert_eq!(finds(&bob, "search", "wide").await, [""; 0]);
    ann.http.delete(&path).await.expect(204);
    assert_eq!(by("wide").await, [""; 0]);
}

#[tokio::test]
async fn chats_of_any_script_are_found_in_parts() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let titles = ["Путешествия летом", "東京旅行", "การเดินทาง", "رحلة", "Reise nach Köln"];
    let queries = ["летом", "京旅", "เดิน", "رحل", "köln"];
    for (title, query) in titles.iter().zip(queries) {
        let chat = group(&ann, title, "", &[]).await;
        assert_eq!(finds(&ann, "search", query).await, [&*chat], "{query}");
    }
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(group(&ann, &format!("part {n}"), "", &[]).await);
    }
    let (mut found, mut path) = (Vec::new(), "/chats/search?q=part&limit=2".to_owned());
    loop {
        let part = ann.http.get(&path).await.expect(200);
        assert!(part.items().len() <= 2);
        found.extend(part.items().iter().map(|chat| chat["id"].as_str().unwrap().to_owned()));
        let Some(next) = part.body["nextCursor"].as_str() else { break };
        path = format!("/chats/search?q=part&limit=2&cursor={next}");
    }
    all.reverse();
    assert_eq!(found, all, "the newest first");
    for bad in ["", "%20", "a%00b", &"x".repeat(65)] {
        for what in ["search", "search/users"] {
            let path = format!("/chats/{what}?q={bad}");
            ann.http.get(&path).await.expect_problem(422, "invalid");
        }
    }
}

#[tokio::test]
async fn chats_are_found_by_who_is_in_them() {
    let app = TestApp::start().await;
    let [ann, bob, eve, zoe] = app.people(["ann", "bobby", "eve", "zoe"]).await;
    rename(&eve, "Eva Дмитриева").await;
    let with_bob = group(&ann, "one", "", &[&bob]).await;
    let direct = ann.direct(&bob).await.expect(201).text("/id");
    let with_eve = group(&ann, "two", "", &[&eve, &zoe]).await;
    let without_ann = group(&zoe, "three", "", &[&bob]).await;
    let by = async |query: &str| finds(&ann, "search/users", query).await;
    assert_eq!(by("bob").await, [&*direct, &*with_bob]);
    assert_eq!(by("bobbi").await, [&*direct, &*with_bob], "a slip");
    assert_eq!(by("дмитр").await, [&*with_eve], "a word within");
    assert_eq!(by("EVA").await, [&*with_eve]);
    assert_eq!(by("ann").await, [""; 0], "oneself is everywhere");
    assert_eq!(by("two").await, [""; 0], "a title is no person");
    assert_eq!(by("b%").await, [""; 0]);
    assert_eq!(finds(&bob, "search/users", "zoe").await, [&*without_ann]);
    // Who does not want to be found by strangers is no stranger here.
    let hidden = json!({ "privacy": { "discoverable": false } });
    eve.http.patch("/user/profile", hidden).await.expect(200);
    assert_eq!(by("eva").await, [&*with_eve]);
    // Large groups are not looked into.
    let size = "update chats set member_count = 201 where id = $1";
    app.sql(size, Some(&with_eve)).await;
    assert_eq!(by("eva").await, [""; 0]);
    app.sql("update chats set member_count = 3 where id = $1", Some(&with_eve)).await;
    // Who has left is not in it.
    eve.http.delete(&format!("/chats/{with_eve}/leave")).await.expect(204);
    assert_eq!(by("eva").await, [""; 0]);
}

/// A search among one's chats does not find over a block either way, as that of all users.
#[tokio::test]
async fn a_block_hides_from_the_search_by_people_either_way() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bobby", "eve"]).await;
    let chat = group(&eve, "a group", "", &[&ann, &bob]).await;
    assert_eq!(finds(&ann, "search/users", "bobby").await, [&*chat]);
    ann.http.post(&format!("/user/block/{}", bob.id), json!({})).await.expect(204);
    assert_eq!(finds(&ann, "search/users", "bobby").await, [""; 0]);
    assert_eq!(finds(&bob, "search/users", "ann").await, [""; 0]);
    assert_eq!(finds(&bob, "search/users", "eve").await, [&*chat]);
    assert_eq!(finds(&bob, "search", "group").await, [&*chat], "the chat itself is theirs");
}
