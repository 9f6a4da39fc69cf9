//! How long a session outlives its end: at a socket on another node, amid a flow of messages, and
//! over REST on a third.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::api::{Api, Login, Run};
use super::{Figures, quantile};
use crate::client::socket::{Buffers, Socket, connect};

/// Messages flow at this pace.
const PACE: Duration = Duration::from_millis(10);
/// Events that a socket must have got before its session is ended: it is in the flow.
const EVENTS_BEFORE: usize = 5;
/// How often REST is asked.
const POLL: Duration = Duration::from_millis(5);
/// Longer than this, and it does not end.
const WITHIN: Duration = Duration::from_secs(20);
/// What the contract allows.
const ALLOWED_MS: f64 = 2_000.0;

#[derive(Default)]
struct Ends {
    /// From asking for the end to the last event that came, to the close, and to the first 401.
    last_event_ms: Vec<f64>,
    closed_ms: Vec<f64>,
    rest_ms: Vec<f64>,
    events_behind: u64,
    unusual_closes: u64,
}

pub(super) async fn measure(nodes: &[Api], count: usize, figures: &mut Figures) -> Result<()> {
    let run = Run::new();
    let sender = nodes[0].sign_up(&run, 0).await?;
    let reader = nodes[0].sign_up(&run, 1).await?;
    let chat = nodes[0].group(&sender.access, &[&reader.user_id]).await?;
    let (stop, stopped) = watch::channel(false);
    let flow = tokio::spawn(flow(nodes[0].url.clone(), sender.access, chat, stopped));
    let mut ends = Ends::default();
    for _ in 0..count {
        ensure!(!flow.is_finished(), "the flow of messages has ended");
        end_one(nodes, &run, &reader, &mut ends).await?;
    }
    stop.send_replace(true);
    let sent = flow.await??;
    figures.count("revocations", count as u64);
    figures.count("revocation_messages_sent", sent);
    for (name, values) in [
        ("last_event", &mut ends.last_event_ms),
        ("closed", &mut ends.closed_ms),
        ("rest_401", &mut ends.rest_ms),
    ] {
        figures.measure(&format!("revocation_{name}_p50_ms"), quantile(values, 0.5));
        figures.measure(&format!("revocation_{name}_p99_ms"), quantile(values, 0.99));
        let most = quantile(values, 1.0);
        figures.must(most <= ALLOWED_MS, &format!("revocation: {name} came after 2 s"));
    }
    figures.count("revocation_events_behind", ends.events_behind);
    figures.must(ends.events_behind == 0, "events came behind sessionRevoked");
    figures.must(ends.unusual_closes == 0, "a socket was closed with another code than 4403");
    Ok(())
}

/// Ends a session from the first node; its socket is on the second, its requests go to the third.
async fn end_one(nodes: &[Api], run: &Run, owner: &Login, ends: &mut Ends) -> Result<()> {
    let session = nodes[0].session(run, &owner.name).await?;
    let mut socket = connect(&nodes[1].url, &session.access, None, Buffers::BUSY).await?;
    for _ in 0..EVENTS_BEFORE {
        next_event(&mut socket).await?.context("closed before its end")?;
    }
    let answer = nodes[2].call(Method::GET, "/user/profile", Some(&session.access), None).await?;
    ensure!(answer.status == 200, "not signed in: {}", answer.status);
    let path = format!("/auth/sessions/{}", session.session_id);
    let began = Instant::now();
    let (ended, heard, refused) = tokio::join!(
        nodes[0].call(Method::DELETE, &path, Some(&owner.access), None),
        hear(socket, began, ends.unusual_closes),
        refused(&nodes[2], &session.access, began),
    );
    ensure!(ended?.status == 204, "the session could not be ended");
    let heard = heard?;
    ends.last_event_ms.push(heard.last_event_ms);
    ends.closed_ms.push(heard.closed_ms);
    ends.events_behind += heard.events_behind;
    ends.unusual_closes = heard.unusual_closes;
    ends.rest_ms.push(refused?);
    Ok(())
}

struct Heard {
    last_event_ms: f64,
    closed_ms: f64,
    events_behind: u64,
    unusual_closes: u64,
}

async fn hear(mut socket: Socket, began: Instant, unusual_before: u64) -> Result<Heard> {
    let since = || began.elapsed().as_secs_f64() * 1000.0;
    let (mut last_event_ms, mut events_behind, mut is_told) = (0.0, 0, false);
    loop {
        let next = timeout(WITHIN, socket.stream.next()).await.context("it is never closed")?;
        match next {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text)?;
                if frame["event"] == "sessionRevoked" {
                    is_told = true;
                } else if frame["event"].is_string() {
                    last_event_ms = since();
                    events_behind += u64::from(is_told);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let is_usual = frame.is_some_and(|frame| u16::from(frame.code) == 4403);
                let unusual_closes = unusual_before + u64::from(!is_usual || !is_told);
                return Ok(Heard {
                    last_event_ms,
                    closed_ms: since(),
                    events_behind,
                    unusual_closes,
                });
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the socket ended without a close frame"),
        }
    }
}

async fn refused(node: &Api, token: &str, began: Instant) -> Result<f64> {
    while began.elapsed() < WITHIN {
        let answer = node.call(Method::GET, "/user/profile", Some(token), None).await?;
        if answer.status == 401 {
            return Ok(began.elapsed().as_secs_f64() * 1000.0);
        }
        sleep(POLL).await;
    }
    bail!("the access token outlives its session")
}

/// The next event; none where the socket was closed.
async fn next_event(socket: &mut Socket) -> Result<Option<Value>> {
    loop {
        match timeout(WITHIN, socket.stream.next()).await.context("no event comes")? {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text)?;
                if frame["event"].is_string() {
                    return Ok(Some(frame));
                }
            }
            Some(Ok(Message::Close(_))) | None => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Sends until it is told to stop; returns how many were sent.
async fn flow(
    url: String,
    token: String,
    chat: String,
    mut stopped: watch::Receiver<bool>,
) -> Result<u64> {
    let mut socket = connect(&url, &token, None, Buffers::BUSY).await?;
    let mut ticks = interval(PACE);
    let mut sent = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => {
                socket.close().await;
                return Ok(sent);
            }
            _ = ticks.tick() => {
                let data = json!({"chatId": chat, "clientId": Uuid::new_v4(), "body": "flow"});
                socket.feed("1", "sendMessage", data).await?;
                socket.flush().await?;
                sent += 1;
            }
            frame = socket.stream.next() => {
                frame.context("the sender's socket ended")??;
            }
        }
    }
}
