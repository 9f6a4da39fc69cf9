//! One authenticated WebSocket: connecting, and the few frames that every command needs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::wire::{Frame, Ready, Request};

pub(crate) type Stream = WebSocketStream<TcpStream>;

/// From the first packet to `ready`. A stopped node accepts connections without ever answering.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The largest answer is a page of changes; anything above this is a fault to be seen.
const MAX_FRAME_BYTES: usize = 16 << 20;

pub(crate) struct Socket {
    pub stream: Stream,
    pub heartbeat: Duration,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    pub read_bytes: usize,
    pub write_bytes: usize,
}

impl Buffers {
    pub(crate) const BUSY: Self = Self { read_bytes: 16 << 10, write_bytes: 8 << 10 };
    pub(crate) const IDLE: Self = Self { read_bytes: 1 << 10, write_bytes: 0 };
}

/// Connects and waits for `ready`. `source` is the local address to come from: one address has
/// room for some 28,000 connections to one port.
pub(crate) async fn connect(
    url: &str,
    token: &str,
    source: Option<Ipv4Addr>,
    buffers: Buffers,
) -> Result<Socket> {
    let opening = async {
        let mut stream = open(url, token, source, buffers).await?;
        let heartbeat = await_ready(&mut stream).await?;
        Ok(Socket { stream, heartbeat })
    };
    timeout(CONNECT_WITHIN, opening).await.context("no `ready` in time")?
}

async fn open(
    url: &str,
    token: &str,
    source: Option<Ipv4Addr>,
    buffers: Buffers,
) -> Result<Stream> {
    let authority = url.strip_prefix("http://").context("only http:// nodes are supported")?;
    let mut request = format!("ws://{authority}/api/v1/ws").into_client_request()?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let address = lookup_host(authority)
        .await?
        .find(SocketAddr::is_ipv4)
        .with_context(|| format!("{authority} has no IPv4 address"))?;
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = source {
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    let tcp = socket.connect(address).await?;
    tcp.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(buffers.read_bytes)
        .write_buffer_size(buffers.write_bytes)
        .max_message_size(Some(MAX_FRAME_BYTES));
    let (stream, _) = client_async_with_config(request, tcp, Some(config)).await?;
    Ok(stream)
}

async fn await_ready(stream: &mut Stream) -> Result<Duration> {
    while let Some(message) = stream.next().await {
        match message? {
            Message::Text(text) => {
                let frame: Frame<'_> = serde_json::from_str(&text)?;
                if frame.event == Some("ready") {
                    let data = frame.data.context("`ready` without data")?;
                    let ready: Ready = serde_json::from_str(data.get())?;
                    return Ok(Duration::from_millis(ready.heartbeat_ms.max(1000)));
                }
                bail!("a frame before `ready`: {text}");
            }
            Message::Close(frame) => bail!("closed before `ready`: {frame:?}"),
            _ => {}
        }
    }
    bail!("the connection ended before `ready`")
}

impl Socket {
    /// Queues a request; [`Socket::flush`] brings it on its way.
    pub(crate) async fn feed<T: Serialize>(
        &mut self,
        id: &str,
        event: &str,
        data: T,
    ) -> Result<()> {
        let text = serde_json::to_string(&Request { id, event, data })?;
        Ok(self.stream.feed(Message::text(text)).await?)
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.stream.flush().await?)
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        Ok(self.stream.send(Message::Ping(Bytes::new())).await?)
    }

    pub(crate) async fn close(mut self) {
        // The other side may be gone or stopped; the run is over either way.
        let closing = self.stream.close(None);
        let _ = timeout(Duration::from_secs(1), closing).await;
    }
}
