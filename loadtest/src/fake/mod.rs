//! A pretended server with two nodes, small and in memory: enough of the contract to play whole
//! runs against, and able to break each promise on purpose, so that the verdict can be tested.

mod http;
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::world::lock;

/// What goes wrong at the message with this number, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Acknowledged and pushed, but not in history.
    LoseStored(usize),
    /// Not pushed to one member.
    LosePush(usize),
    PushTwice(usize),
    /// Its push comes behind the next one's.
    PushLate(usize),
    StoreTwice(usize),
    SkipSeq(usize),
    TrimText(usize),
    ForgetReply,
    /// All sockets are cut before the answer: nothing may be lost by it.
    CutSockets(usize),
    /// Refused for now: nothing may be lost by it.
    RefuseForNow(usize),
    AnnounceAndSkip(usize),
}

struct Fake {
    state: Mutex<State>,
    fault: Fault,
}

#[derive(Default)]
struct State {
    users: HashMap<String, Uuid>,
    chats: HashMap<Uuid, Chat>,
    sockets: Vec<(Uuid, mpsc::UnboundedSender<Option<Value>>)>,
    sent: usize,
    late: Option<(Uuid, Uuid, Value)>,
}

struct Chat {
    members: Vec<Uuid>,
    seq: u64,
    history: Vec<Value>,
    acks: HashMap<(Uuid, String), Value>,
}

impl State {
    fn push(&self, user: Uuid, frame: &Value) {
        for (_, socket) in self.sockets.iter().filter(|(owner, _)| *owner == user) {
            let _ = socket.send(Some(frame.clone()));
        }
    }

    fn changes(&self, user: Uuid, asked: &Value) -> Value {
        let named: Vec<Uuid> = asked["chats"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|chat| chat["chatId"].as_str()?.parse().ok())
            .collect();
        let mut chats = Vec::new();
        for from in asked["chats"].as_array().into_iter().flatten() {
            let id: Uuid = from["chatId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            let after = from["afterSeq"].as_u64().expect("a number");
            let chat = &self.chats[&id];
            // Short pages, so that clients have to ask again.
            let to = chat.seq.min(after + 40);
            let range = after + 1..=to;
            let is_in = |m: &&Value| range.contains(&m["seq"].as_u64().unwrap_or(0));
            let messages: Vec<&Value> = chat.history.iter().filter(is_in).collect();
            chats.push(json!({"chatId": id, "fromSeq": after, "toSeq": to, "members": [],
                "complete": to == chat.seq, "messages": messages, "left": []}));
        }
        let is_new =
            |(id, chat): &(&Uuid, &Chat)| chat.members.contains(&user) && !named.contains(id);
        let added: Vec<Value> =
            self.chats.iter().filter(is_new).map(|(id, chat)| describe(*id, chat)).collect();
        json!({"chats": chats, "removed": [], "added": added})
    }
}

fn describe(id: Uuid, chat: &Chat) -> Value {
    json!({"id": id, "kind": "group", "lastSeq": chat.seq})
}

impl Fake {
    /// Starts both nodes and returns the path of a cluster file that names them.
    async fn start(fault: Fault) -> PathBuf {
        let fake = Arc::new(Self { state: Mutex::default(), fault });
        let mut nodes = Vec::new();
        for name in ["n1", "n2"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("is bound");
            let router = http::router(Arc::clone(&fake));
            tokio::spawn(async move { axum::serve(listener, router).await });
            let pid = std::process::id();
            nodes.push(json!({"name": name, "url": format!("http://{address}"), "pid": pid}));
        }
        let file = std::env::temp_dir().join(format!("fake-cluster-{}.json", Uuid::new_v4()));
        std::fs::write(&file, json!({ "nodes": nodes }).to_string()).expect("writes");
        file
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Answers a request of a socket; `None` leaves it without an answer.
    fn request(&self, user: Uuid, frame: &Value) -> Option<Value> {
        let (id, data) = (&frame["id"], &frame["data"]);
        match frame["event"].as_str() {
            Some("sync") => {
                let changes = self.state().changes(user, data);
                Some(json!({"id": id, "ok": true, "data": changes}))
            }
            Some("sendMessage") => self.send(user, id, data),
            _ => Some(json!({"id": id, "ok": false, "error": {"code": "invalid", "message": ""}})),
        }
    }

    fn send(&self, user: Uuid, id: &Value, data: &Value) -> Option<Value> {
        let mut state = self.state();
        let chat_id: Uuid = data["chatId"].as_str()?.parse().ok()?;
        let client = data["clientId"].as_str()?.to_owned();
        if let Some(ack) = state.chats[&chat_id].acks.get(&(user, client.clone())) {
            return Some(json!({"id": id, "ok": true, "data": ack}));
        }
        state.sent += 1;
        let number = state.sent;
        if self.fault == Fault::RefuseForNow(number) {
            let error = json!({"code": "unavailable", "message": "", "retryAfterMs": 50});
            return Some(json!({"id": id, "ok": false, "error": error}));
        }
        let ack = self.store(&mut state, chat_id, user, data, number);
        if self.fault == Fault::CutSockets(number) {
            for (_, socket) in state.sockets.drain(..) {
                let _ = socket.send(None);
            }
            return None;
        }
        Some(json!({"id": id, "ok": true, "data": ack}))
    }

    fn store(
        &self,
        state: &mut State,
        chat_id: Uuid,
        user: Uuid,
        data: &Value,
        number: usize,
    ) -> Value {
        let chat = state.chats.get_mut(&chat_id).expect("the chat exists");
        chat.seq += if self.fault == Fault::SkipSeq(number) { 2 } else { 1 };
        let mut body = data["body"].as_str().expect("a text");
        if self.fault == Fault::TrimText(number) {
            body = &body[1..];
        }
        let reply = data["replyTo"].as_str().filter(|_| self.fault != Fault::ForgetReply);
        let client = data["clientId"].as_str().expect("an id");
        let message = json!({"id": Uuid::now_v7(), "chatId": chat_id, "seq": chat.seq,
            "senderId": user, "clientId": client, "body": body,
            "replyTo": reply.map(|id| json!({"messageId": id, "seq": 1, "excerpt": ""}))});
        let ack = json!({"messageId": message["id"], "seq": chat.seq, "createdAt": ""});
        chat.acks.insert((user, client.to_owned()), ack.clone());
        if self.fault != Fault::LoseStored(number) {
            chat.history.push(message.clone());
        }
        self.publish(state, chat_id, &message, number);
        if self.fault == Fault::StoreTwice(number) {
            let chat = state.chats.get_mut(&chat_id).expect("the chat exists");
            chat.seq += 1;
            let mut again = message;
            again["id"] = json!(Uuid::now_v7());
            again["seq"] = json!(chat.seq);
            chat.history.push(again.clone());
            self.publish(state, chat_id, &again, 0);
        }
        ack
    }

    fn publish(&self, state: &mut State, chat_id: Uuid, message: &Value, number: usize) {
        let data = json!({"chatId": chat_id, "seq": message["seq"], "message": message});
        let frame = json!({"event": "messageCreated", "data": data});
        let members = state.chats[&chat_id].members.clone();
        let last = members[members.len() - 1];
        for &member in &members {
            match self.fault {
                Fault::LosePush(n) if n == number && member == last => continue,
                Fault::AnnounceAndSkip(n) if n == number => {
                    let data = json!({"chatIds": [chat_id]});
                    state.push(member, &json!({"event": "resyncRequired", "data": data}));
                    continue;
                }
                Fault::PushLate(n) if n == number && member == last => {
                    state.late = Some((chat_id, member, frame.clone()));
                    continue;
                }
                Fault::PushTwice(n) if n == number => state.push(member, &frame),
                _ => {}
            }
            state.push(member, &frame);
        }
        if !matches!(self.fault, Fault::PushLate(n) if n == number)
            && let Some((_, member, frame)) = state.late.take_if(|(chat, ..)| *chat == chat_id)
        {
            state.push(member, &frame);
        }
    }
}
