//! What is found, and how it is shown.

use std::collections::BTreeSet;

use serde_json::json;

use super::{bodies, is_indexed, marked};
use crate::harness::TestApp;

#[tokio::test]
async fn words_of_any_script_are_found() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let texts = [
        "The quick brown fox",
        "un CAFÉ crème, s'il vous plaît",
        "Привет, как дела?",
        "私は東京大学の学生です",
        "我们明天去北京吧",
        "เขาพูดว่าสวัสดีครับ",
        "오늘 학교에서 만나요",
        "हिन्दी भाषा में लिखो",
        "مُحَمَّد هنا",
        "Ｗｉｄｅ ｶﾞｰﾄﾞ",
        "see example.com/a_b or foo::bar",
    ];
    for text in texts {
        ann.says(&chat, text).await;
    }
    is_indexed(&app).await;
    for (query, at) in [
        ("fox", 0),
        ("BROWN qui", 0),
        ("cafe", 1),
        ("creme café", 1),
        ("привет дел", 2),
        ("東京", 3),
        ("東京大学", 3),
        ("学", 3),
        ("京大", 3),
        ("北京", 4),
        ("明天 北京", 4),
        ("สวัสดี", 5),
        ("학교", 6),
        ("भाषा", 7),
        ("محمد", 8),
        ("wide ガード", 9),
        ("example.com", 10),
        ("foo bar", 10),
    ] {
        assert_eq!(ann.looks_for(query).await, [texts[at]], "{query}");
    }
    for query in ["foxes", "qui brown", "東大", "大京", "स", "nothing here"] {
        assert_eq!(ann.looks_for(query).await, [""; 0], "{query}");
    }
}

#[tokio::test]
async fn quotes_hold_words_together_and_hits_are_marked() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    let one = ann.says(&chat, "the lazy dog <b>sleeps</b>").await;
    ann.says(&chat, "the dog is not lazy").await;
    ann.says(&chat, "東京、大学").await;
    ann.says(&chat, &format!("{} needle in a haystack", "straw ".repeat(300))).await;
    // More than Postgres keeps the places of.
    ann.says(&chat, &format!("{}lazy dog", "lazy cat ".repeat(300))).await;
    is_indexed(&app).await;
    let found = ann.search(&[("q", "\"lazy dog\"")]).await.expect(200);
    assert_eq!(found.items().len(), 2);
    assert_eq!(found.items()[1]["message"]["id"], json!(one));
    assert_eq!(marked(&found.items()[1]), ["lazy dog"]);
    let whole = json!({
        "parts": [
            { "text": "the ", "hit": false },
            { "text": "lazy dog", "hit": true },
            { "text": " <b>sleeps</b>", "hit": false },
        ],
        "cutBefore": false,
        "cutAfter": false,
    });
    assert_eq!(found.items()[1]["highlight"], whole);
    assert_eq!(found.items()[1]["chat"]["id"], json!(chat));
    assert_eq!(found.items()[1]["chat"]["role"], "owner");
    assert_eq!(ann.looks_for("lazy dog").await.len(), 3);
    assert_eq!(ann.looks_for("\"東京 大学\"").await, ["東京、大学"]);
    assert_eq!(ann.looks_for("東京大学").await, [""; 0]);
    let found = ann.search(&[("q", "haystack")]).await.expect(200);
    let highlight = &found.items()[0]["highlight"];
    assert_eq!((&highlight["cutBefore"], &highlight["cutAfter"]), (&json!(true), &json!(false)));
    assert_eq!(marked(&found.items()[0]), ["haystack"]);
    assert!(highlight.to_string().len() < 400, "{highlight}");
}

#[tokio::test]
async fn filters_hold_together() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let (one, two) = (ann.group(&[&bob]).await, ann.group(&[&bob]).await);
    ann.says(&one, "apple by ann in one").await;
    bob.says(&one, "apple by bob in one").await;
    ann.says(&two, "apple by ann in two").await;
    bob.says(&two, "apple by bob in two").await;
    is_indexed(&app).await;
    let all = ann.search(&[("q", "apple")]).await.expect(200);
    let texts = bodies(&all);
    assert_eq!(texts.len(), 4);
    assert_eq!(
        (texts[0].as_str(), texts[3].as_str()),
        ("apple by bob in two", "apple by ann in one")
    );
    let by_bob = ann.looks_with(&[("q", "apple"), ("from", &bob.id)]).await;
    assert_eq!(by_bob, ["apple by bob in two", "apple by bob in one"]);
    let in_one = ann.looks_with(&[("q", "apple"), ("chatId", &one)]).await;
    assert_eq!(in_one, ["apple by bob in one", "apple by ann in one"]);
    let both = [("q", "apple"), ("chatId", one.as_str()), ("from", bob.id.as_str())];
    assert_eq!(ann.looks_with(&both).await, ["apple by bob in one"]);
    let time = |index: usize| all.items()[index]["message"]["createdAt"].as_str().unwrap();
    let between = [("q", "apple"), ("before", time(0)), ("after", time(3))];
    assert_eq!(ann.looks_with(&between).await, texts[1..3]);
    assert_eq!(ann.looks_with(&[("q", "apple"), ("before", time(3))]).await, [""; 0]);
    assert_eq!(ann.looks_with(&[("q", "apple"), ("after", time(0))]).await, [""; 0]);
    let later = [("q", "apple"), ("after", "2000-01-01T00:00:00+01:00")];
    assert_eq!(ann.looks_with(&later).await.len(), 4);
    // Nothing has a file yet.
    assert_eq!(ann.looks_with(&[("q", "apple"), ("has", "file")]).await, [""; 0]);
}

/// Pages go on where the last one ended, by both roads, whatever comes between.
#[tokio::test]
async fn pages_hold_every_message_once() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let mut expected = BTreeSet::new();
    let mut chats = Vec::new();
    for n in 0..5 {
        chats.push(ann.group(&[]).await);
        for m in 0..12 {
            let rare = if m % 4 == 0 { " rare" } else { "" };
            let text = format!("common{rare} {n} {m}");
            ann.says(&chats[n], &text).await;
            expected.insert(text);
        }
    }
    is_indexed(&app).await;
    // One moment for many, as batches have it.
    app.sql("update messages set created_at = date_trunc('minute', created_at)", None).await;
    app.sql("delete from message_search", None).await;
    app.sql("delete from search_progress", None).await;
    for chat in &chats {
        ann.says(chat, "a last word").await;
    }
    is_indexed(&app).await;
    for (word, count) in [("common", 60), ("rare", 15)] {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut pairs = vec![("q", word), ("limit", "7")];
            pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = ann.search(&pairs).await.expect(200);
            all.extend(bodies(&page));
            let Some(next) = page.body["nextCursor"].as_str() else { break };
            cursor = Some(next.to_owned());
            assert!(all.len() < 100, "it ends");
        }
        let once: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), once.len()), (count, count), "{word}: {all:?}");
        assert!(all.iter().all(|text| expected.contains(text)));
    }
}

/// F53: what is searched for is text, whatever it looks like.
#[tokio::test]
async fn no_character_has_a_meaning_of_its_own() {
    let app = TestApp::start().await;
    let ann = app.person("ann").await;
    let chat = ann.group(&[]).await;
    ann.says(&chat, "plain words a b c").await;
    ann.says(&chat, "100% a_n \\ 'q' [a-z]* (x|y) & !z <-> $1 ; -- ?").await;
    is_indexed(&app).await;
    for query in [
        "pla%",
        "%lain",
        "p_ain",
        "*ain",
        "pl.in",
        "plain & missing",
        "missing | wrds",
        "plain:B",
        "!missing",
        "plain <2> a",
        "missing':*",
        "wo\\rds x",
        "' or 1=1",
        "$1 $2",
        "plain AND missing",
    ] {
        let found = ann.search(&[("q", query)]).await.expect(200);
        let odd = bodies(&found).iter().any(|text| text.starts_with("plain"));
        assert_eq!(odd, query == "pla%", "{query}");
    }
    assert_eq!(ann.looks_for("a & b | c").await.len(), 1, "the signs are nothing");
    assert_eq!(ann.looks_for("100%").await.len(), 1);
    for query in ["''; drop table messages; --", "{}", "a\u{301}", "a\u{202e}", "\"", "x':A"] {
        let answer = ann.search(&[("q", query)]).await;
        assert!([200, 422].contains(&answer.status), "{query}: {:?}", answer.body);
    }
    let (long, many) = ("a".repeat(201), "a ".repeat(25));
    let ten_kib = "a".repeat(10 * 1024);
    for query in ["", "   ", "%", "(((((", "🙂", "a\u{0}b", &long, &many, &ten_kib] {
        let refused = ann.search(&[("q", query)]).await.expect_problem(422, "invalid");
        assert_eq!(refused.error_paths(), ["q"], "{query:?}");
    }
    ann.search(&[]).await.expect_problem(422, "invalid");
    for odd in [
        ("sort", "seq"),
        ("has", "wings"),
        ("chatId", "x"),
        ("from", "' or 1"),
        ("before", "yesterday"),
        ("after", "0"),
        ("limit", "0"),
        ("limit", "101"),
        ("cursor", "x"),
        ("cursor", "MSwyLDM"),
    ] {
        ann.search(&[("q", "a"), odd]).await.expect_problem(422, "invalid");
    }
    // At the ends of what can be written.
    for pair in [("before", "9999-12-31T23:59:59Z"), ("after", "0001-01-01T00:00:00Z")] {
        assert_eq!(ann.search(&[("q", "plain"), pair]).await.expect(200).items().len(), 1);
    }
    app.client().get("/messages/search?q=a").await.expect_problem(401, "unauthenticated");
}
