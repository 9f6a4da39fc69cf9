//! Asks a node how it is, from outside. Both commands change nothing, and need no account.
//!
//! - `health` asks the node on this machine, as an image's health check does: no `curl` is needed.
//! - `probe` asks through whatever lies in between, a Service or a proxy. It also opens a socket, since
//!   that is what proxies break most: one request without a token must be answered by name.
//!
//! Only plain HTTP is spoken, inside a cluster or on one machine. Each step has [`STEP_TIMEOUT`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::config::Config;

/// A node answers within two, also where a store hangs.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// More is no answer of a node.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, clap::Args)]
pub struct HealthOptions {
    /// Whether clients may be sent to it, not only whether it answers
    #[arg(long)]
    ready: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub struct ProbeOptions {
    /// Where the service is, http://HOST[:PORT]
    #[arg(long)]
    url: Uri,
    /// What clients send in X-App-Token
    #[arg(long, env = "APP_TOKEN", hide_env_values = true)]
    app_token: Option<String>,
}

impl HealthOptions {
    /// Asks the node that listens on `HTTP_ADDR`.
    pub async fn execute(&self) -> anyhow::Result<()> {
        let address = within_reach(Config::http_addr_from_env()?);
        let path = if self.ready { "/api/health/ready" } else { "/api/health/live" };
        let (status, _) = step(path, get(&address.to_string(), path)).await?;
        ensure!(status == StatusCode::OK, "{path}: {status}");
        Ok(())
    }
}

impl ProbeOptions {
    pub async fn execute(&self) -> anyhow::Result<()> {
        let host = host(&self.url)?;
        for path in ["/api/health/ready", "/api/health"] {
            let (status, body) = step(path, get(&host, path)).await?;
            let body = String::from_utf8_lossy(&body);
            ensure!(status == StatusCode::OK, "{path}: {status} {body}");
            println!("{path}: {body}");
        }
        let code = step("the socket", self.ask_socket(&host)).await?;
        ensure!(code == "unauthenticated", "the socket answered {code:?}");
        println!("/api/v1/ws: open, and asks for a token");
        Ok(())
    }

    /// The code with which a socket refuses somebody without a token.
    async fn ask_socket(&self, host: &str) -> anyhow::Result<String> {
        let mut request = format!("ws://{host}/api/v1/ws").into_client_request()?;
        if let Some(token) = self.app_token.as_deref().filter(|token| !token.is_empty()) {
            request.headers_mut().insert("x-app-token", token.parse()?);
        }
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
        socket.send(Message::text(r#"{"id":"probe","event":"sync","data":{}}"#)).await?;
        while let Some(frame) = socket.next().await {
            let Message::Text(text) = frame? else { continue };
            socket.close(None).await.ok();
            let answer: serde_json::Value = serde_json::from_str(&text)?;
            let code = answer["error"]["code"].as_str();
            return code.map(str::to_owned).with_context(|| format!("not an answer: {text}"));
        }
        bail!("it was closed without an answer")
    }
}

async fn step<T>(what: &str, asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let outcome = tokio::time::timeout(STEP_TIMEOUT, asking).await;
    outcome
        .with_context(|| format!("{what}: no answer within {STEP_TIMEOUT:?}"))?
        .context(what.to_owned())
}

/// An address to ask, of one to listen on: that may stand for all addresses of the machine.
fn within_reach(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// `HOST:PORT` of a URL.
fn host(url: &Uri) -> anyhow::Result<String> {
    ensure!(url.scheme_str() == Some("http"), "--url: http://HOST[:PORT]; TLS is not spoken");
    ensure!(matches!(url.path(), "" | "/"), "--url: without a path");
    let host = url.host().context("--url: it names no host")?;
    Ok(format!("{host}:{}", url.port_u16().unwrap_or(80)))
}

async fn get(host: &str, path: &str) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let stream = TcpStream::connect(host).await.with_context(|| host.to_owned())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, String>(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, host).header(header::CONNECTION, "close");
    let asking = async {
        let answer = sender.send_request(request.body(String::new())?).await?;
        let status = answer.status();
        anyhow::Ok((status, read(answer.into_body()).await?))
    };
    // The answer comes only while the connection is driven.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

async fn read(mut body: Incoming) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = frame(&mut body).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        ensure!(bytes.len() <= MAX_ANSWER_BYTES, "the answer is too long");
    }
    Ok(bytes)
}

async fn frame(body: &mut Incoming) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_whole_machine_is_asked_at_home() {
        let asked = |listening: &str| within_reach(listening.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:4001"), "127.0.0.1:4001");
        assert_eq!(asked("[::]:4001"), "[::1]:4001");
        assert_eq!(asked("192.0.2.7:80"), "192.0.2.7:80");
    }

    #[test]
    fn a_url_is_plain_http_without_a_path() {
        let host = |url: &str| host(&url.parse().unwrap()).ok();
        assert_eq!(host("http://chat.stores").as_deref(), Some("chat.stores:80"));
        assert_eq!(host("http://[::1]:4001/").as_deref(), Some("[::1]:4001"));
        assert_eq!(host("https://chat.stores"), None);
        assert_eq!(host("http://chat.stores/api"), None);
        assert_eq!(host("/api"), None);
    }
}
