//! Finding people.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{patch, query, usernames};
use crate::harness::{Answer, Person, TestApp};

async fn call(person: &Person, pairs: &[(&str, &str)]) -> Answer {
    person.http.get(&format!("/user/search?{}", query(pairs))).await
}

async fn rename(person: &Person, name: &str) {
    patch(&person.http, "/user/profile", json!({ "displayName": name })).await.expect(200);
}

#[tokio::test]
async fn beginnings_come_first_and_then_what_is_alike() {
    let app = TestApp::start().await;
    let people = app
        .people(["searcher", "annabel", "hannah", "anna", "mr.anna", "joanna", "zed", "otto"])
        .await;
    let [searcher, _, _, _, _, _, zed, otto] = &people;
    rename(zed, "Anna Zed").await;
    rename(otto, "Otto Änna").await;
    let found = searcher.finds("Anna").await;
    assert_eq!(found[..3], ["anna", "annabel", "zed"], "usernames, then names: {found:?}");
    assert_eq!(found[3], "mr.anna", "then where a word within is so: {found:?}");
    assert_eq!(searcher.finds("anabel").await, ["annabel"], "a letter is missing");
    assert_eq!(searcher.finds("annabell").await[0], "annabel", "a letter too many");
    assert_eq!(searcher.finds("annebel").await[0], "annabel", "a wrong letter");
    assert_eq!(searcher.finds("zed").await, ["zed"], "once, though both names fit");
    assert_eq!(searcher.finds("  ZED ").await, ["zed"]);
    assert_eq!(searcher.finds("z").await, ["zed"]);
    assert_eq!(searcher.finds("xylophone").await, [""; 0]);
}

#[tokio::test]
async fn names_of_any_script_are_found() {
    let app = TestApp::start().await;
    let names =
        ["Änne Müller", "Дмитрий Иванов", "王小明", "さくら", "محمد علي", "ΣΟΦΙΑ", "Ｗｉｄｅ"];
    let queries = ["änne", "дмитрий", "王", "さく", "محمد", "σοφ", "wide"];
    let searcher = app.person("searcher").await;
    for (index, name) in names.iter().enumerate() {
        rename(&app.person(&format!("user-{index}")).await, name).await;
    }
    for (index, query) in queries.iter().enumerate() {
        assert_eq!(searcher.finds(query).await, [format!("user-{index}")], "{query}");
    }
    assert_eq!(searcher.finds("Иванов").await, ["user-1"], "a later word");
    assert_eq!(searcher.finds("Дмитрй").await, ["user-1"], "a slip");
}

/// R-PR-3: who does not want to be found is not found, and nobody by their address.
#[tokio::test]
async fn only_those_who_can_be_found_are() {
    let app = TestApp::start().await;
    let people = ["seeker", "shylock", "vanished", "suspended", "overt"];
    let [seeker, shy, gone, suspended, open] = app.people(people).await;
    shy.set_privacy(json!({ "discoverable": false })).await;
    app.sql("update users set deleted_at = now() where id = $1", Some(&gone.id)).await;
    app.sql("update users set suspended_at = now() where id = $1", Some(&suspended.id)).await;
    for query in ["shy", "shylock", "shilock", "vanished", "suspended", "suspendet", "seeker"] {
        assert_eq!(seeker.finds(query).await, [""; 0], "{query}");
    }
    for query in ["example.org", "@example", "org"] {
        assert_eq!(seeker.finds(query).await, [""; 0], "{query}");
    }
    app.sql("update users set email = 'quite@elsewhere.net' where id = $1", Some(&open.id)).await;
    for query in ["quite@elsewhere.net", "quite", "elsewhere", "elsewhere.net"] {
        assert_eq!(seeker.finds(query).await, [""; 0], "{query}");
    }
    let found = call(&seeker, &[("q", "overt")]).await.expect(200);
    let mut fields: Vec<&String> = found.items()[0].as_object().unwrap().keys().collect();
    fields.sort_unstable();
    let public = ["avatarUrl", "bio", "createdAt", "displayName", "id", "username", "verified"];
    assert_eq!(fields, public);
    app.client().get("/user/search?q=overt").await.expect_problem(401, "unauthenticated");
}

/// R-PR-1, F45.
#[tokio::test]
async fn a_block_hides_from_search_either_way() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = app.people(["ann", "bob", "eve"]).await;
    ann.block(&bob).await;
    assert_eq!(bob.finds("ann").await, [""; 0]);
    assert_eq!(ann.finds("bob").await, [""; 0]);
    rename(&ann, "Somebody").await;
    assert_eq!(bob.finds("somebody").await, [""; 0]);
    assert_eq!(bob.finds("sommebody").await, [""; 0]);
    assert_eq!(eve.finds("somebody").await, ["ann"]);
    ann.unblock(&bob).await;
    assert_eq!(bob.finds("ann").await, ["ann"]);
}

/// Pages go on where the last one ended, whatever comes between.
#[tokio::test]
async fn pages_hold_everybody_once() {
    let app = TestApp::start().await;
    let searcher = app.person("searcher").await;
    let many = "insert into users (id, username, email, display_name, password_hash)
         select gen_random_uuid(),
                case n % 3 when 0 then 'marie.' || n when 1 then 'user' || n else 'x-marie-' || n end,
                n || '@example.org',
                case n % 3 when 1 then 'Marie ' || n else 'M' end, 'none'
         from generate_series(1, 90) n";
    app.sql(many, None).await;
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut pairs = vec![("q", "marie"), ("limit", "7")];
        pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = call(&searcher, &pairs).await.expect(200);
        all.extend(usernames(&page));
        // Somebody who comes in meanwhile, before the place, moves nothing.
        app.client().sign_up(&format!("marie.0{}", all.len())).await;
        let Some(next) = page.body["nextCursor"].as_str() else { break };
        cursor = Some(next.to_owned());
        assert!(all.len() < 200, "it ends");
    }
    let there: Vec<&String> = all.iter().filter(|name| !name.starts_with("marie.0")).collect();
    let once: HashSet<&&String> = there.iter().collect();
    assert_eq!((there.len(), once.len()), (90, 90), "{all:?}");
    let kind = |name: &str| match name.as_bytes()[0] {
        b'm' => 0,
        b'u' => 1,
        _ => 2,
    };
    assert!(there.is_sorted_by_key(|name| kind(name)), "{there:?}");
}

/// F53: what is searched for is text, whatever it looks like.
#[tokio::test]
async fn no_character_has_a_meaning_of_its_own() {
    let app = TestApp::start().await;
    let [searcher, _ann, under] = app.people(["searcher", "ann", "a_n"]).await;
    rename(&under, "100% \\ 'q' [a-z]* (x|y) & !z <-> $1 ; -- ?").await;
    for query in
        ["%", "_", "%%", "a%", "a_n_", "__", "\\", "\\\\", "'", "\"", "''; drop table users; --"]
    {
        let found = call(&searcher, &[("q", query)]).await.expect(200);
        assert!(!usernames(&found).contains(&"ann".to_owned()), "{query}");
    }
    assert_eq!(searcher.finds("a_n").await[0], "a_n");
    assert_eq!(searcher.finds("100%").await, ["a_n"]);
    for query in [
        "(((((",
        "a & b | !c",
        "<->",
        ":*",
        "*",
        ".*",
        "^a",
        "$$",
        "$1",
        "{}",
        "\u{202e}",
        "🙂",
        "a\u{301}",
    ] {
        call(&searcher, &[("q", query)]).await.expect(200);
    }
    let long = "a".repeat(65);
    let ten_kib = "a".repeat(10 * 1024);
    for query in ["", "   ", "a\u{0}b", "a\nb", &long, &ten_kib] {
        let refused = call(&searcher, &[("q", query)]).await.expect_problem(422, "invalid");
        assert_eq!(refused.error_paths(), ["q"], "{query:?}");
    }
    call(&searcher, &[]).await.expect_problem(422, "invalid");
    call(&searcher, &[("q", "a"), ("sort", "email")]).await.expect_problem(422, "invalid");
    for limit in ["0", "101", "-1", "x"] {
        call(&searcher, &[("q", "a"), ("limit", limit)]).await.expect_problem(422, "invalid");
    }
    for cursor in ["x", "%", "dSxhAGI", "bixhLGI"] {
        call(&searcher, &[("q", "a"), ("cursor", cursor)]).await.expect_problem(422, "invalid");
    }
    let all = call(&searcher, &[("q", "ann")]).await.expect(200);
    assert_eq!(all.items()[0]["username"], Value::from("ann"), "the table is still there");
}
