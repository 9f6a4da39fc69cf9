//! The list of one's chats.

use crate::harness::TestApp;

/// What does not move while the list is read comes once, whatever else does.
#[tokio::test]
async fn the_list_is_read_in_parts_while_others_write() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let mut chats = Vec::new();
    for _ in 0..9 {
        chats.push(ann.group(&[&bob]).await);
    }
    let mut by_bob = app.connect(&bob).await;
    let (mut found, mut path) = (Vec::new(), "/chats?limit=2".to_owned());
    let mut moved = 0;
    loop {
        let part = ann.http.get(&path).await.expect(200);
        for chat in part.items() {
            found.push(chat["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = part.body["nextCursor"].as_str() else { break };
        path = format!("/chats?limit=2&cursor={next}");
        // Of those that were shown, and one that was not.
        by_bob.say(&found[0], "up again").await;
        if moved == 0 {
            by_bob.say(&chats[0], "to the front").await;
            moved = 1;
        }
    }
    let unmoved: Vec<_> = chats[1..].iter().rev().cloned().collect();
    assert_eq!(found, unmoved, "each once, in order");
    let first = ann.http.get("/chats?limit=1").await.expect(200);
    let shown = &first.items()[0];
    assert_eq!(shown["lastMessage"]["body"], "up again");
    assert!(shown["unreadCount"].as_i64().unwrap() >= 1, "{shown:#}");
}
