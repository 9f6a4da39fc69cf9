//! A WebSocket client whose answers and pushes can be asserted in one line.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use super::PATIENCE;
use super::contract::check_frame;

pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    answers: HashMap<String, Value>,
    /// What each request asked, by its id.
    asked: HashMap<String, String>,
    /// Read, and not asked for yet.
    pushes: VecDeque<Value>,
    /// What the server answered to our offer of subprotocols.
    pub(crate) protocol: Option<String>,
    /// The code of the close frame; 0 where the socket ended without one.
    closed: Option<u16>,
    requests: u32,
}

impl Socket {
    /// A socket that is authenticated by its header and has got `ready`.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        Self::try_connect(address, token).await.expect("the node takes a socket")
    }

    /// The same; none where the node does not take it, or gives it up before it is ready.
    pub(crate) async fn try_connect(address: SocketAddr, token: &str) -> Option<Self> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let opening = Self::open(address, &headers);
        let mut socket = timeout(PATIENCE, opening).await.ok()?.ok()?;
        while let Some(frame) = socket.read().await {
            if frame["event"] == "ready" {
                return Some(socket);
            }
            socket.keep(frame);
        }
        None
    }

    /// Opens a socket with these headers; an error is the status that refused it, or 0.
    pub(crate) async fn open(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.map_err(|_| 0_u16)?;
        Self::over(stream, &url(address), headers).await
    }

    pub(crate) async fn open_with_query(address: SocketAddr, query: &str) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.map_err(|_| 0_u16)?;
        Self::over(stream, &format!("{}?{query}", url(address)), &[]).await
    }

    /// A socket whose kernel takes as little as it can before it is read.
    pub(crate) async fn connect_narrow(address: SocketAddr, token: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.set_recv_buffer_size(4_096).expect("it can be small");
        let stream = socket.connect(address).await.expect("the node listens");
        let bearer = format!("Bearer {token}");
        let mut socket = Self::over(stream, &url(address), &[("authorization", &bearer)])
            .await
            .expect("it opens");
        socket.push("ready").await;
        socket
    }

    async fn over(stream: TcpStream, url: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = url.into_client_request().expect("it is a URL");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        stream.set_nodelay(true).expect("it can be set");
        let (stream, response) =
            client_async(request, stream).await.map_err(|error| match error {
                tungstenite::Error::Http(response) => response.status().as_u16(),
                _ => 0,
            })?;
        let protocol = response.headers().get("sec-websocket-protocol");
        Ok(Self {
            protocol: protocol.and_then(|name| name.to_str().ok()).map(str::to_owned),
            stream,
            answers: HashMap::new(),
            asked: HashMap::new(),
            pushes: VecDeque::new(),
            closed: None,
            requests: 0,
        })
    }

    /// Sends any frame; one that cannot be sent is noticed by reading.
    pub(crate) async fn send_raw(&mut self, frame: impl Into<Message>) {
        self.stream.send(frame.into()).await.ok();
    }

    /// Sends a request without waiting, and returns its id.
    pub(crate) async fn ask(&mut self, event: &str, data: Value) -> String {
        self.requests += 1;
        let id = self.requests.to_string();
        self.asked.insert(id.clone(), event.to_owned());
        let frame = json!({ "id": id, "event": event, "data": data });
        self.send_raw(frame.to_string()).await;
        id
    }

    /// The answer to a request; none where the socket has ended.
    pub(crate) async fn try_answer(&mut self, id: &str) -> Option<Value> {
        loop {
            if let Some(answer) = self.answers.remove(id) {
                return Some(answer);
            }
            let frame = self.read().await?;
            self.keep(frame);
        }
    }

    pub(crate) async fn answer(&mut self, id: &str) -> Value {
        let answer = self.try_answer(id).await;
        answer.unwrap_or_else(|| panic!("closed with {:?} before it answered", self.closed))
    }

    /// Asks for something that is done, and returns its data.
    pub(crate) async fn request(&mut self, event: &str, data: Value) -> Value {
        let id = self.ask(event, data).await;
        let mut answer = self.answer(&id).await;
        assert_eq!(answer["ok"], true, "{event}: {answer:#}");
        answer["data"].take()
    }

    /// Asks for something that is refused, and returns the code.
    pub(crate) async fn refused(&mut self, event: &str, data: Value) -> String {
        let id = self.ask(event, data).await;
        let answer = self.answer(&id).await;
        assert_eq!(answer["ok"], false, "{event}: {answer:#}");
        assert!(answer["error"]["message"].is_string(), "{answer:#}");
        answer["error"]["code"].as_str().expect("an error has a code").to_owned()
    }

    /// Sends a message and returns its seq.
    pub(crate) async fn say(&mut self, chat: &str, body: &str) -> i64 {
        let sent = self.request("sendMessage", message(chat, body)).await;
        sent["seq"].as_i64().expect("a message has a seq")
    }

    /// The next push of this name, its data; others stay for later.
    pub(crate) async fn push(&mut self, name: &str) -> Value {
        loop {
            if let Some(index) = self.pushes.iter().position(|push| push["event"] == name) {
                return self.pushes.remove(index).expect("it is there")["data"].take();
            }
            let Some(frame) = self.read().await else {
                panic!("closed with {:?} instead of {name}", self.closed)
            };
            self.keep(frame);
        }
    }

    /// All pushes that were read and not asked for.
    pub(crate) fn take_pushes(&mut self) -> Vec<Value> {
        self.pushes.drain(..).collect()
    }

    /// The durable events of a chat up to a seq, which must come without a gap behind `after`.
    pub(crate) async fn events(&mut self, chat: &str, after: i64, to: i64) -> Vec<Value> {
        let mut events = Vec::new();
        let mut last = after;
        while last < to {
            let index = self.pushes.iter().position(|push| is_durable(push, chat));
            let Some(index) = index else {
                let Some(frame) = self.read().await else {
                    panic!("closed with {:?} at {last} of {to}", self.closed)
                };
                self.keep(frame);
                continue;
            };
            let event = self.pushes.remove(index).expect("it is there");
            assert_eq!(event["data"]["seq"], last + 1, "{event:#}");
            last += 1;
            events.push(event);
        }
        events
    }

    /// Nothing of this name comes within a while, and nothing of it has come.
    pub(crate) async fn expect_silence(&mut self, name: &str, during: Duration) {
        let reading = async {
            while let Some(frame) = self.read().await {
                self.keep(frame);
            }
        };
        timeout(during, reading).await.ok();
        let heard = self.pushes.iter().find(|push| push["event"] == name);
        assert!(heard.is_none(), "{heard:#?}");
    }

    /// Reads until the socket is closed, and returns the code; 0 where there was none.
    pub(crate) async fn closed(&mut self) -> u16 {
        while let Some(frame) = self.read().await {
            self.keep(frame);
        }
        self.closed.unwrap_or(0)
    }

    /// Reads the durable events of a chat beside the test.
    pub(crate) fn follow(mut self, chat: &str) -> Follower {
        let (target, mut wanted) = watch::channel(i64::MAX);
        let chat = chat.to_owned();
        let task = tokio::spawn(async move {
            let mut events: Vec<Value> = Vec::new();
            loop {
                let last = events.last().and_then(|event| event["data"]["seq"].as_i64());
                if last.unwrap_or(0) >= *wanted.borrow_and_update() {
                    return events;
                }
                tokio::select! {
                    frame = self.stream.next() => match frame {
                        Some(Ok(Message::Text(text))) => {
                            let frame = serde_json::from_str(&text).expect("frames are JSON");
                            if is_durable(&frame, &chat) {
                                events.push(frame);
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return events,
                        Some(Ok(_)) => {}
                    },
                    changed = wanted.changed() => if changed.is_err() { return events },
                }
            }
        });
        Follower { target, task }
    }

    /// The next text frame; none where the socket has ended.
    async fn read(&mut self) -> Option<Value> {
        loop {
            let frame = timeout(PATIENCE, self.stream.next()).await;
            match frame.expect("the node says something, or pings") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    let asked = frame["id"].as_str().and_then(|id| self.asked.remove(id));
                    check_frame(&frame, asked.as_deref());
                    return Some(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    self.closed.get_or_insert(frame.map_or(0, |frame| frame.code.into()));
                    return None;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed.get_or_insert(0);
                    return None;
                }
            }
        }
    }

    fn keep(&mut self, frame: Value) {
        match frame["id"].as_str() {
            Some(id) => drop(self.answers.insert(id.to_owned(), frame)),
            None => self.pushes.push_back(frame),
        }
    }
}

/// A socket that is read by a task of its own.
pub(crate) struct Follower {
    target: watch::Sender<i64>,
    task: JoinHandle<Vec<Value>>,
}

impl Follower {
    /// The events that came, when that one has.
    pub(crate) async fn up_to(self, seq: i64) -> Vec<Value> {
        self.target.send_replace(seq);
        let events = timeout(PATIENCE, self.task).await.expect("the last event comes");
        events.expect("the reader does not panic")
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/api/v1/ws")
}

/// Data of a `sendMessage` under a new client id.
pub(crate) fn message(chat: &str, body: &str) -> Value {
    json!({ "chatId": chat, "clientId": Uuid::now_v7(), "body": body })
}

fn is_durable(push: &Value, chat: &str) -> bool {
    push["event"].is_string() && push["data"]["seq"].is_i64() && push["data"]["chatId"] == chat
}
