//! A client that sends as long as it is told to, until all of it is acknowledged: what fails is
//! sent again under the same client id, on the next node where the socket has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{PATIENCE, Socket, eventually};

/// Messages under way at once.
const WINDOW: usize = 10;
const PACE: Duration = Duration::from_millis(4);
const RETRY: Duration = Duration::from_millis(50);

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicUsize>,
    task: JoinHandle<Outcome>,
}

/// What a load came to.
pub(crate) struct Outcome {
    /// All that was acknowledged, which is all that was sent.
    pub(crate) sent: Vec<Sent>,
    /// Codes of the answers that were not `ok`; `closed` for each socket that ended.
    pub(crate) failures: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) client_id: Uuid,
    pub(crate) body: String,
    pub(crate) message_id: String,
    pub(crate) seq: i64,
}

struct Sender {
    addresses: Vec<SocketAddr>,
    token: String,
    chat: String,
    socket: Option<Socket>,
    next_address: usize,
    failures: Vec<String>,
}

impl Load {
    pub(crate) fn start(addresses: &[SocketAddr], token: &str, chat: &str) -> Self {
        let (stop, acked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let sender = Sender {
            addresses: addresses.to_vec(),
            token: token.to_owned(),
            chat: chat.to_owned(),
            socket: None,
            next_address: 0,
            failures: Vec::new(),
        };
        let task = tokio::spawn(sender.run(Arc::clone(&stop), Arc::clone(&acked)));
        Self { stop, acked, task }
    }

    pub(crate) fn acked(&self) -> usize {
        self.acked.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages are acknowledged than are now.
    pub(crate) async fn goes_on_by(&self, count: usize) {
        let target = self.acked() + count;
        eventually("sends are acknowledged", async || {
            assert!(!self.task.is_finished(), "the load has ended");
            self.acked() >= target
        })
        .await;
    }

    /// Ends when what is under way is acknowledged.
    pub(crate) async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the sender does not panic")
    }
}

impl Sender {
    async fn run(mut self, stop: Arc<AtomicBool>, acked: Arc<AtomicUsize>) -> Outcome {
        let mut sent = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let round = sent.len();
            let mut left: Vec<(Uuid, String)> =
                (0..WINDOW).map(|n| (Uuid::now_v7(), format!("message {}", round + n))).collect();
            let deadline = Instant::now() + PATIENCE * 2;
            loop {
                left = self.round(left, &mut sent).await;
                acked.store(sent.len(), Ordering::Relaxed);
                if left.is_empty() {
                    break;
                }
                assert!(Instant::now() < deadline, "never acknowledged: {:?}", self.failures);
                tokio::time::sleep(RETRY).await;
            }
            tokio::time::sleep(PACE).await;
        }
        Outcome { sent, failures: self.failures }
    }

    /// Sends all of these once, and returns those to be sent again.
    async fn round(
        &mut self,
        messages: Vec<(Uuid, String)>,
        sent: &mut Vec<Sent>,
    ) -> Vec<(Uuid, String)> {
        let Some(mut socket) = self.socket().await else { return messages };
        let mut ids = Vec::with_capacity(messages.len());
        for (client_id, body) in &messages {
            let data = json!({ "chatId": self.chat, "clientId": client_id, "body": body });
            ids.push(socket.ask("sendMessage", data).await);
        }
        let (mut left, mut ended) = (Vec::new(), false);
        for (id, (client_id, body)) in ids.iter().zip(messages) {
            match socket.try_answer(id).await {
                Some(answer) if answer["ok"] == true => {
                    sent.push(acked(&answer["data"], client_id, body));
                }
                Some(answer) => {
                    let code = answer["error"]["code"].as_str().unwrap_or_default();
                    // Anything else would never be different.
                    assert!(["unavailable", "timeout"].contains(&code), "{answer:#}");
                    self.failures.push(code.to_owned());
                    left.push((client_id, body));
                }
                None => {
                    ended = true;
                    left.push((client_id, body));
                }
            }
        }
        socket.take_pushes();
        if ended {
            self.failures.push("closed".to_owned());
        } else {
            self.socket = Some(socket);
        }
        left
    }

    async fn socket(&mut self) -> Option<Socket> {
        if let Some(socket) = self.socket.take() {
            return Some(socket);
        }
        let address = self.addresses[self.next_address % self.addresses.len()];
        self.next_address += 1;
        Socket::try_connect(address, &self.token).await
    }
}

fn acked(data: &Value, client_id: Uuid, body: String) -> Sent {
    let message_id = data["messageId"].as_str().expect("an answer names the message").to_owned();
    let seq = data["seq"].as_i64().expect("an answer has the seq");
    Sent { client_id, body, message_id, seq }
}
