//! The pretended server's doors: a few REST calls and the socket.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Chat, Fake, describe};

type Door = State<Arc<Fake>>;

pub(super) fn router(fake: Arc<Fake>) -> Router {
    let api = Router::new()
        .route("/auth/signup", post(sign_up))
        .route("/chats", post(create_chat))
        .route("/chats/{id}", get(chat))
        .route("/chats/{id}/messages", get(messages))
        .route("/ws", get(upgrade));
    Router::new().nest("/api/v1", api).with_state(fake)
}

async fn sign_up(State(fake): Door, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let (token, user) = (Uuid::new_v4().to_string(), Uuid::now_v7());
    fake.state().users.insert(token.clone(), user);
    let user = json!({"id": user, "username": body["username"]});
    (StatusCode::CREATED, Json(json!({"user": user, "accessToken": token})))
}

fn caller(fake: &Fake, headers: &HeaderMap) -> Uuid {
    let bearer = headers["authorization"].to_str().expect("is text");
    fake.state().users[bearer.trim_start_matches("Bearer ")]
}

async fn create_chat(
    State(fake): Door,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut members = vec![caller(&fake, &headers)];
    let others = body["memberIds"].as_array().into_iter().flatten();
    members.extend(others.filter_map(|id| id.as_str()?.parse::<Uuid>().ok()));
    let id = Uuid::now_v7();
    let chat =
        Chat { members, seq: 1, history: Vec::new(), acks: std::collections::HashMap::new() };
    let shape = describe(id, &chat);
    let mut state = fake.state();
    let data = json!({"chatId": id, "seq": 1, "chat": shape});
    for &member in &chat.members {
        state.push(member, &json!({"event": "chatCreated", "data": data}));
    }
    state.chats.insert(id, chat);
    (StatusCode::CREATED, Json(shape))
}

async fn chat(State(fake): Door, Path(id): Path<Uuid>) -> Json<Value> {
    Json(describe(id, &fake.state().chats[&id]))
}

#[derive(Deserialize)]
struct PageOf {
    after: u64,
    limit: usize,
}

async fn messages(
    State(fake): Door,
    Path(id): Path<Uuid>,
    Query(page): Query<PageOf>,
) -> Json<Value> {
    let state = fake.state();
    let is_behind = |m: &&Value| m["seq"].as_u64().unwrap_or(0) > page.after;
    let all: Vec<&Value> = state.chats[&id].history.iter().filter(is_behind).collect();
    let items = &all[..page.limit.min(all.len())];
    let has_after = all.len() > items.len();
    Json(json!({"items": items, "hasBefore": page.after > 0, "hasAfter": has_after}))
}

async fn upgrade(State(fake): Door, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let user = caller(&fake, &headers);
    upgrade.on_upgrade(move |socket| serve(fake, user, socket))
}

async fn serve(fake: Arc<Fake>, user: Uuid, mut socket: WebSocket) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let ready = json!({"event": "ready", "data": {"userId": user, "heartbeatMs": 25_000}});
    let _ = sender.send(Some(ready));
    fake.state().sockets.push((user, sender.clone()));
    loop {
        tokio::select! {
            frame = frames.recv() => {
                // Cut off, without a goodbye.
                let Some(Some(frame)) = frame else { return };
                if socket.send(Message::text(frame.to_string())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(answer) = fake.request(user, &frame) {
                        let _ = sender.send(Some(answer));
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            }
        }
    }
}
