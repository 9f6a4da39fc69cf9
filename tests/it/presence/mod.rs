//! Who is online, on all nodes and to whom: I12 (2 s after a clean change and 45 s after a crash all
//! observers agree with the open sockets), and R-PR-2, R-PR-4, R-AZ-5 as far as presence goes.

mod asking;
mod faults;
mod following;
mod privacy;
mod storm;

use serde_json::{Value, json};

use crate::harness::{Http, Person, Socket, TestApp, eventually};

/// What `viewer` is shown of somebody at a node; none while it is unavailable.
async fn presence(viewer: &Http, user: &str) -> Option<Value> {
    let answer = viewer.get(&format!("/user/presence?ids={user}")).await;
    if answer.status == 503 {
        return None;
    }
    Some(answer.expect(200).items()[0].clone())
}

async fn is_online(viewer: &Http, user: &str) -> bool {
    presence(viewer, user).await.is_some_and(|shown| shown["online"] == true)
}

/// Every node comes to say of somebody that they are online, or not.
async fn all_say(nodes: &[&TestApp], viewer: &Person, user: &Person, online: bool) {
    for node in nodes {
        let viewer = viewer.at(node);
        eventually("the node agrees", async || {
            presence(&viewer, &user.id).await.is_some_and(|shown| shown["online"] == online)
        })
        .await;
    }
}

/// Follows somebody, and returns what is shown of them.
async fn follow(socket: &mut Socket, user: &Person) -> Value {
    let answer = socket.request("subscribePresence", json!({ "userIds": [user.id] })).await;
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(1), "{answer:#}");
    answer["items"][0].clone()
}

/// The next push of presence, which must be about this user.
async fn change(socket: &mut Socket, user: &Person) -> Value {
    let push = socket.push("presenceChanged").await;
    assert_eq!(push["userId"], user.id, "{push:#}");
    push
}

fn hidden(user: &str) -> Value {
    json!({ "userId": user, "online": false, "lastSeenAt": null })
}
