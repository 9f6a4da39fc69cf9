//! Whose presence is shown to whom: R-PR-2, R-PR-4, R-AZ-5.

use serde_json::Value;

use super::{all_say, change, follow, hidden, presence};
use crate::harness::{Database, Mode, Person, Proxy, TestApp};

const NOBODY: &str = "update users set privacy_last_seen = 'nobody' where id = $1";
const CONTACTS: &str = "update users set privacy_last_seen = 'contacts' where id = $1";
const EVERYONE: &str = "update users set privacy_last_seen = 'everyone' where id = $1";
/// The other user is named ann.
const BLOCKS_ANN: &str = "insert into user_blocks (blocker_id, blocked_id)
                          select $1, id from users where username = 'ann'";
const BLOCKED_BY_ANN: &str = "insert into user_blocks (blocker_id, blocked_id)
                              select id, $1 from users where username = 'ann'";
const NO_BLOCKS: &str = "delete from user_blocks where $1 in (blocker_id, blocked_id)";

/// Everything that shows somebody's presence, as text: REST, a subscription, the profile.
async fn all_shown(app: &TestApp, viewer: &Person, user: &Person) -> (Value, Value, Value) {
    let asked = presence(&viewer.http, &user.id).await.expect("Redis is there");
    let mut socket = app.connect(viewer).await;
    let followed = follow(&mut socket, user).await;
    let profile = viewer.http.get(&format!("/user/{}", user.id)).await.expect(200).body;
    (asked, followed, profile)
}

async fn assert_shown(app: &TestApp, viewer: &Person, user: &Person, is_shown: bool) {
    let (asked, followed, profile) = all_shown(app, viewer, user).await;
    assert_eq!(asked, followed);
    if is_shown {
        assert_eq!(asked["online"], true, "{asked:#}");
        assert_eq!(profile["online"], true, "{profile:#}");
    } else {
        assert_eq!(asked, hidden(&user.id));
        assert_eq!((profile.get("online"), profile.get("lastSeenAt")), (None, None));
    }
}

/// R-PR-4.
#[tokio::test]
async fn last_seen_privacy_governs_who_sees_presence() {
    let app = TestApp::start().await;
    let [ann, bob, cat] = app.people(["ann", "bob", "cat"]).await;
    let _of_bob = app.connect(&bob).await;
    all_say(&[&app], &ann, &bob, true).await;
    assert_shown(&app, &ann, &bob, true).await;
    app.sql(NOBODY, Some(&bob.id)).await;
    assert_shown(&app, &ann, &bob, false).await;
    assert_shown(&app, &bob, &bob, true).await;
    app.sql(CONTACTS, Some(&bob.id)).await;
    assert_shown(&app, &ann, &bob, false).await;
    ann.direct(&bob).await.expect(201);
    ann.group(&[&bob, &cat]).await;
    assert_shown(&app, &ann, &bob, true).await;
    assert_shown(&app, &cat, &bob, false).await;
    app.sql(EVERYONE, Some(&bob.id)).await;
    assert_shown(&app, &cat, &bob, true).await;
}

/// R-PR-2: a block looks like privacy, and like somebody who was never here.
#[tokio::test]
async fn a_block_either_way_looks_like_privacy() {
    let app = TestApp::start().await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let _of_bob = app.connect(&bob).await;
    all_say(&[&app], &ann, &bob, true).await;
    app.sql(NOBODY, Some(&bob.id)).await;
    let by_privacy = all_shown(&app, &ann, &bob).await;
    app.sql(EVERYONE, Some(&bob.id)).await;
    for block in [BLOCKS_ANN, BLOCKED_BY_ANN] {
        app.sql(block, Some(&bob.id)).await;
        assert_shown(&app, &ann, &bob, false).await;
        assert_eq!(all_shown(&app, &ann, &bob).await, by_privacy);
        app.sql(NO_BLOCKS, Some(&bob.id)).await;
        assert_shown(&app, &ann, &bob, true).await;
    }
}

/// R-AZ-5: on live subscriptions, on every node.
#[tokio::test]
async fn a_change_of_who_may_see_whom_reaches_live_subscriptions() {
    let nodes = TestApp::cluster(2).await;
    let [ann, bob, cat] = nodes[0].people(["ann", "bob", "cat"]).await;
    let mut of_ann = [nodes[0].connect(&ann).await, nodes[1].connect(&ann).await];
    let mut of_cat = nodes[1].connect(&cat).await;
    let of_bob = nodes[1].connect(&bob).await;
    all_say(&[&nodes[0], &nodes[1]], &ann, &bob, true).await;
    for socket in of_ann.iter_mut().chain([&mut of_cat]) {
        assert_eq!(follow(socket, &bob).await["online"], true);
    }
    let bob_id = bob.id.parse().expect("an id");
    let set = async |sql| {
        nodes[0].sql(sql, Some(&bob.id)).await;
        for node in &nodes {
            node.presence().visibility_changed(&[bob_id]);
        }
    };
    set(BLOCKS_ANN).await;
    for socket in &mut of_ann {
        assert_eq!(change(socket, &bob).await, hidden(&bob.id));
    }
    drop(of_bob);
    assert_eq!(change(&mut of_cat, &bob).await["online"], false, "she may see it still");
    let _of_bob = nodes[1].connect(&bob).await;
    assert_eq!(change(&mut of_cat, &bob).await["online"], true);
    set(NO_BLOCKS).await;
    for socket in &mut of_ann {
        let shown = change(socket, &bob).await;
        assert_eq!(shown["online"], true, "the first since the block: {shown:#}");
    }
    // The viewer's own id is as good.
    nodes[0].sql(NOBODY, Some(&bob.id)).await;
    nodes[1].presence().visibility_changed(&[ann.id.parse().expect("an id")]);
    assert_eq!(change(&mut of_ann[1], &bob).await, hidden(&bob.id));
    nodes[1].presence().recheck_all();
    assert_eq!(change(&mut of_cat, &bob).await, hidden(&bob.id));
}

/// Who may see whom cannot be asked: nothing is shown until it can.
#[tokio::test]
async fn without_postgres_what_is_in_question_is_hidden() {
    let database = Database::create().await;
    let (proxy, url) = Proxy::before(&database.url).await;
    let app = TestApp::start_on(database, &[("DATABASE_URL", &url)]).await;
    let [ann, bob] = app.people(["ann", "bob"]).await;
    let _of_bob = app.connect(&bob).await;
    all_say(&[&app], &ann, &bob, true).await;
    let mut socket = app.connect(&ann).await;
    assert_eq!(follow(&mut socket, &bob).await["online"], true);
    proxy.set(Mode::Cut);
    app.presence().visibility_changed(&[bob.id.parse().expect("an id")]);
    assert_eq!(change(&mut socket, &bob).await, hidden(&bob.id));
    // What a cut connection comes to is not presence's to say; it must only not be an answer.
    socket.refused("subscribePresence", serde_json::json!({ "userIds": [bob.id] })).await;
    proxy.set(Mode::Pass);
    assert_eq!(change(&mut socket, &bob).await["online"], true);
}
