//! One connection's life, from its authentication to its close.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::dispatch::{self, Taken};
use super::limits::{Place, SocketLimits, class_of};
use super::{Edge, frame};
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::fanout::connection::Connection;
use crate::fanout::outbox::Taking;
use crate::limits::{Class, Subject};
use crate::metrics::{Ending, Metrics};
use crate::model::id::UserId;
use crate::model::time::Timestamp;
use crate::protocol::close::Close;
use crate::protocol::push::{self, Notice, Ready, TokenExpiring};
use crate::protocol::request::{Authenticate, RequestKind};

/// Frames that break the protocol, before the socket is closed with 4400.
const MALFORMED: u32 = 10;

/// Bytes that go into one write, about.
const WRITE_BYTES: usize = 64 * 1024;

/// How long a close frame may take to be written, and answered.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is being written when a session ends may take this long.
const REVOKED_WRITE: Duration = Duration::from_millis(500);

/// How long before the access token ends the client is told so.
const TOKEN_NOTICE: Duration = Duration::from_mins(1);

/// The session is looked at with every so many-th heartbeat, for what is no end of a session that
/// anybody tells of: its user's suspension.
const SESSION_CHECK_EVERY: u64 = 4;

/// How a socket that never came to be a connection ends.
struct Early<'a>(Option<&'a Metrics>);

impl Drop for Early<'_> {
    fn drop(&mut self) {
        if let Some(metrics) = self.0 {
            metrics.sockets_unauthenticated.increment(1);
        }
    }
}

/// `place` is the socket's in the counts of open ones; it ends with the connection.
pub(super) async fn run(
    edge: Edge,
    mut socket: WebSocket,
    caller: Option<Caller>,
    mut place: Place,
) {
    let metrics = Arc::clone(&edge.metrics);
    let mut early = Early(Some(&metrics));
    let limits = SocketLimits::new(&edge.config.rates);
    let caller = if let Some(caller) = caller {
        caller
    } else {
        let authenticating = first_frame(&edge, &mut socket, &limits);
        match timeout(edge.config.socket.auth_timeout, authenticating).await {
            Ok(Some(caller)) => caller,
            Ok(None) => return,
            Err(_) => return close(&mut socket, Close::Unauthenticated).await,
        }
    };
    if let Err(why) = place.belongs_to(caller.user_id, edge.config.socket.per_user) {
        edge.limits.note_refusal(Class::Sockets, Subject::User(caller.user_id));
        return close(&mut socket, why).await;
    }
    let outbox_bytes = edge.config.socket.outbox_bytes;
    let connection = Arc::new(Connection::new(caller.user_id, caller.session_id, outbox_bytes));
    if let Err(error) = edge.hub.attach(&connection).await {
        tracing::warn!(%error, "a connection could not be attached");
        return close(&mut socket, Close::Restarting).await;
    }
    if edge.health.is_draining() {
        // The drain tells those that were attached when it began; this one may have come too late
        // for its list. Asked after attaching, so that nobody falls between the two.
        edge.hub.detach(&connection);
        return close(&mut socket, Close::Restarting).await;
    }
    early.0 = None;
    let attendance = edge.presence.attend(&connection);
    edge.metrics.connections.increment(1);
    edge.metrics.connections_opened.increment(1);
    connection.outbox.answer_first(ready(&edge, &connection));

    let mut life = Life {
        frames: Vec::new(),
        limits,
        edge: &edge,
        connection: &connection,
        expires_at: caller.expires_at,
    };
    let Err(ended) = life.run(&mut socket).await;
    edge.hub.detach(&connection);
    drop(attendance);
    edge.metrics.connections.decrement(1);
    edge.metrics.closes.note(ended);
    if let Ending::Server(why) = ended {
        if why == Close::TooSlow {
            edge.metrics.slow_readers.increment(1);
        }
        close(&mut socket, why).await;
    }
}

fn ready(edge: &Edge, connection: &Connection) -> Bytes {
    let heartbeat = edge.config.socket.heartbeat;
    let ready = Ready {
        connection_id: connection.id,
        user_id: connection.user,
        session_id: connection.session,
        server_time: Timestamp::now(),
        heartbeat_ms: u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX),
    };
    push::frame(Notice::Ready, ready)
}

/// Waits for `authenticate`; anything else is refused, and the client may try again until its time
/// is over.
async fn first_frame(edge: &Edge, socket: &mut WebSocket, limits: &SocketLimits) -> Option<Caller> {
    let mut malformed = 0;
    loop {
        let frame = socket.recv().await?;
        if let Err(why) = limits.frame(&edge.limits, Subject::Nobody) {
            close(socket, why).await;
            return None;
        }
        let text = match frame {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Binary(_)) => {
                close(socket, Close::Protocol).await;
                return None;
            }
            Ok(Message::Close(_)) => return None,
            Err(error) => {
                if is_too_large(&error) {
                    close(socket, Close::TooLarge).await;
                }
                return None;
            }
        };
        let (answer, caller) = match dispatch::open(text.as_str()) {
            Ok(envelope) => {
                let outcome = if envelope.event == RequestKind::Authenticate.name() {
                    authenticate(edge, envelope.data).await
                } else {
                    Err(Error::Unauthenticated("authenticate first"))
                };
                let id = envelope.id.as_deref();
                (id.map(|id| authenticated(id, &outcome)), outcome.ok())
            }
            Err(answer) => (answer, None),
        };
        if let Some(answer) = answer.and_then(|answer| Utf8Bytes::try_from(answer).ok()) {
            socket.send(Message::Text(answer)).await.ok()?;
        }
        if caller.is_some() {
            return caller;
        }
        malformed += 1;
        if malformed > MALFORMED {
            close(socket, Close::Unauthenticated).await;
            return None;
        }
    }
}

async fn authenticate(edge: &Edge, data: Option<&serde_json::value::RawValue>) -> Result<Caller> {
    let data = data.map_or("{}", serde_json::value::RawValue::get);
    let Authenticate { token } = serde_json::from_str(data)
        .map_err(|_| Error::invalid("data.token", "an access token is required"))?;
    edge.accounts.authenticate(&token).await
}

/// The answer to `authenticate`.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authenticated {
    user_id: UserId,
    expires_at: Timestamp,
}

fn authenticated(id: &str, outcome: &Result<Caller>) -> Bytes {
    match outcome {
        Ok(caller) => {
            let (user_id, expires_at) = (caller.user_id, caller.expires_at);
            frame::done(id, Authenticated { user_id, expires_at })
        }
        Err(error) => frame::failed(id, error),
    }
}

/// Frames on their way from the outbox to the socket; kept, since every write needs it.
const FRAMES_KEPT: usize = 16;

struct Life<'a> {
    frames: Vec<Bytes>,
    limits: SocketLimits,
    edge: &'a Edge,
    connection: &'a Arc<Connection>,
    /// The access token's end; a new one can be brought meanwhile.
    expires_at: Timestamp,
}

impl Life<'_> {
    async fn run(&mut self, socket: &mut WebSocket) -> Result<Infallible, Ending> {
        let heartbeat = self.edge.config.socket.heartbeat;
        let start = tokio::time::Instant::now() + heartbeat;
        let mut beats = interval_at(start, heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut beat, mut malformed) = (0_u64, 0);
        let mut heard = Instant::now();
        loop {
            let may_read = self.connection.outbox.unanswered() < self.edge.config.socket.in_flight;
            tokio::select! {
                frame = socket.recv(), if may_read => {
                    heard = Instant::now();
                    match frame {
                        Some(Err(error)) if is_too_large(&error) => {
                            return Err(Ending::Server(Close::TooLarge));
                        }
                        Some(Ok(Message::Close(frame))) => {
                            return Err(Ending::Client(frame.map(|frame| frame.code)));
                        }
                        None | Some(Err(_)) => return Err(Ending::Lost),
                        Some(Ok(message)) => malformed += self.take_unless_revoked(message).await?,
                    }
                    if malformed > MALFORMED {
                        return Err(Ending::Server(Close::Protocol));
                    }
                }
                () = self.connection.outbox.changed() => {}
                _ = beats.tick() => {
                    beat += 1;
                    self.beat(socket, beat, heard).await?;
                }
            }
            self.write(socket).await?;
        }
    }

    /// Takes a frame, but does not let it hold up the end of its session: what it asks for may
    /// wait for a store that is away.
    async fn take_unless_revoked(&mut self, message: Message) -> Result<u32, Ending> {
        let connection = Arc::clone(self.connection);
        let taking = self.take(message);
        tokio::pin!(taking);
        loop {
            tokio::select! {
                biased;
                taken = &mut taking => return taken,
                () = connection.outbox.changed() => {
                    if connection.outbox.closing() == Some(Close::SessionRevoked) {
                        return Ok(0);
                    }
                }
            }
        }
    }

    /// Takes a frame; 1 where it broke the protocol.
    async fn take(&mut self, message: Message) -> Result<u32, Ending> {
        let (user, metrics) = (self.connection.user, &self.edge.metrics);
        self.limits.frame(&self.edge.limits, Subject::User(user)).map_err(Ending::Server)?;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Ok(1),
            // tungstenite answers pings by itself.
            _ => return Ok(0),
        };
        metrics.frames_in.increment(1);
        metrics.bytes_in.increment(text.len() as u64);
        let envelope = match dispatch::open(&text) {
            Ok(envelope) => envelope,
            Err(answer) => {
                metrics.requests.refused(None, &Error::Malformed(String::new()));
                if let Some(answer) = answer {
                    self.connection.outbox.answer(answer);
                }
                return Ok(1);
            }
        };
        let Some(kind) = RequestKind::from_name(&envelope.event) else {
            let error = dispatch::unknown(&envelope.event);
            metrics.requests.refused(None, &error);
            dispatch::refuse(self.connection, envelope.id.as_deref(), &error);
            return Ok(0);
        };
        if kind == RequestKind::Authenticate {
            return Box::pin(self.renew(&envelope)).await;
        }
        let (limits, rates) = (&self.edge.limits, &self.edge.config.rates);
        let counted = self.limits.request(limits, rates, user, class_of(kind)).await;
        if let Err(error) = counted.map_err(Ending::Server)? {
            metrics.requests.refused(Some(kind), &error);
            dispatch::refuse(self.connection, envelope.id.as_deref(), &error);
            return Ok(0);
        }
        match dispatch::take(self.edge, self.connection, kind, &envelope).await {
            Taken::Well => Ok(0),
            Taken::Malformed => Ok(1),
        }
    }

    /// A new token for the same user prolongs the connection.
    async fn renew(
        &mut self,
        envelope: &crate::protocol::request::Envelope<'_>,
    ) -> Result<u32, Ending> {
        let began = Instant::now();
        let mut outcome = authenticate(self.edge, envelope.data).await;
        let own = (self.connection.user, self.connection.session);
        if outcome.as_ref().is_ok_and(|caller| (caller.user_id, caller.session_id) != own) {
            outcome = Err(Error::Forbidden("the token is of another session"));
        }
        if let Ok(caller) = &outcome {
            self.expires_at = caller.expires_at;
        }
        let requests = &self.edge.metrics.requests;
        let told = outcome.as_ref().map(drop);
        requests.answered(RequestKind::Authenticate, told, began.elapsed());
        if let Some(id) = envelope.id.as_deref() {
            self.connection.outbox.answer(authenticated(id, &outcome));
        }
        Ok(0)
    }

    /// Pings, and ends a connection that is silent, or whose token or session has ended.
    async fn beat(&self, socket: &mut WebSocket, beat: u64, heard: Instant) -> Result<(), Ending> {
        let heartbeat = self.edge.config.socket.heartbeat;
        if heard.elapsed() > heartbeat * 2 {
            return Err(Ending::Silent);
        }
        let now = Timestamp::now();
        if now >= self.expires_at {
            return Err(Ending::Server(Close::Unauthenticated));
        }
        let notice = i64::try_from(TOKEN_NOTICE.max(heartbeat * 2).as_millis()).unwrap_or(i64::MAX);
        if self.expires_at.unix_millis() - now.unix_millis() <= notice {
            let expiring = TokenExpiring { expires_at: self.expires_at };
            self.connection.outbox.answer(push::frame(Notice::TokenExpiring, expiring));
        }
        if beat.is_multiple_of(SESSION_CHECK_EVERY) {
            let (session, user) = (self.connection.session, self.connection.user);
            let alive = Box::pin(self.edge.accounts.is_session_alive(session, user)).await;
            if matches!(alive, Ok(false)) {
                return Err(Ending::Server(Close::SessionRevoked));
            }
        }
        let ping = timeout(heartbeat, socket.send(Message::Ping(Bytes::new()))).await;
        ping.map_err(|_| Ending::Silent)?.map_err(|_| Ending::Lost)
    }

    /// Writes what waits, many frames at once.
    async fn write(&mut self, socket: &mut WebSocket) -> Result<(), Ending> {
        let outbox = &self.connection.outbox;
        let frames = &mut self.frames;
        loop {
            let Taking { closing, waiting_since } = outbox.take(WRITE_BYTES, frames);
            if let Some(why) = closing {
                return Err(Ending::Server(why));
            }
            if frames.is_empty() {
                frames.shrink_to(FRAMES_KEPT);
                return Ok(());
            }
            self.edge.metrics.frames_out.increment(frames.len() as u64);
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            self.edge.metrics.bytes_out.increment(bytes as u64);
            self.edge.metrics.flushes.increment(1);
            let writing = async {
                for frame in frames.drain(..) {
                    let text = Utf8Bytes::try_from(frame).map_err(axum::Error::new)?;
                    socket.feed(Message::Text(text)).await?;
                }
                socket.flush().await
            };
            // A reader may be so slow that its outbox overflows while we write.
            tokio::pin!(writing);
            loop {
                tokio::select! {
                    written = &mut writing => {
                        written.map_err(|_| Ending::Lost)?;
                        break;
                    }
                    () = outbox.changed() => {
                        match outbox.closing() {
                            Some(Close::TooSlow) => return Err(Ending::Server(Close::TooSlow)),
                            // A reader that stands still must not keep the socket of an ended
                            // session open.
                            Some(Close::SessionRevoked) => {
                                let written = timeout(REVOKED_WRITE, &mut writing).await;
                                let revoked = Ending::Server(Close::SessionRevoked);
                                written.map_err(|_| revoked)?.map_err(|_| Ending::Lost)?;
                                break;
                            }
                            _ => {}
                        }
                    }
                }
            }
            if let Some(since) = waiting_since {
                self.edge.metrics.delivery_seconds.record(since.elapsed());
            }
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|cause| cause.to_string().contains("too long"))
}

/// Says why, and gives the client a moment to read it.
///
/// What the client has sent meanwhile is read and thrown away: TCP resets a connection that is
/// closed over unread bytes, and the client might lose the frame with it.
async fn close(socket: &mut WebSocket, why: Close) {
    let frame = CloseFrame { code: why.code(), reason: why.reason().into() };
    let closing = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    timeout(CLOSE_TIMEOUT, closing).await.ok();
}
