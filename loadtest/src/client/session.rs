//! One connection's life, from `ready` to its end: reading, sending, syncing, and noticing
//! that the other side has fallen silent.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::inbox::{Inbox, request_id};
use super::outbox::Outbox;
use super::socket::Socket;
use crate::wire::{SendMessage, SyncRequest};
use crate::world::{SendKey, World, bump};

/// Frames handled before sends get a turn again.
const FRAMES_PER_TURN: usize = 64;
/// A send that goes out later than this after its intended time is reported.
const LATE_US: u64 = 10_000;

/// The server reads nothing any more.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

type Item = Option<Result<Message, WsError>>;

pub(crate) enum End {
    Stopped,
    GoingAway,
    Lost(String),
}

pub(crate) struct Session<'w> {
    world: &'w World,
    socket: Socket,
    inbox: Inbox<'w>,
    last_read: Instant,
    pinged: bool,
}

impl<'w> Session<'w> {
    pub(crate) fn new(world: &'w World, seat: u32, socket: Socket, is_first: bool) -> Self {
        let inbox = Inbox::new(world, seat, is_first);
        Self { world, socket, inbox, last_read: Instant::now(), pinged: false }
    }

    pub(crate) async fn serve(
        mut self,
        sends: &mut mpsc::Receiver<SendKey>,
        stop: &mut watch::Receiver<bool>,
        outbox: &mut Outbox,
    ) -> End {
        loop {
            match timeout(WRITE_WITHIN, self.write_due(outbox)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Lost(short(&error)),
                Err(_) => return End::Lost("write stalled".to_owned()),
            }
            let wake = self.deadline(outbox);
            tokio::select! {
                frame = self.socket.stream.next() => {
                    if let Some(end) = self.read_turn(frame, outbox) {
                        return end;
                    }
                }
                Some(key) = sends.recv(), if outbox.has_room() => {
                    outbox.push(key);
                    while outbox.has_room() && let Ok(key) = sends.try_recv() {
                        outbox.push(key);
                    }
                }
                () = sleep_until(wake.into()) => {
                    if let Some(end) = self.timers().await {
                        return end;
                    }
                }
                _ = stop.changed() => {
                    self.socket.close().await;
                    return End::Stopped;
                }
            }
        }
    }

    /// Takes one frame and whatever else has already arrived, up to a bound.
    fn read_turn(&mut self, first: Item, outbox: &mut Outbox) -> Option<End> {
        let now = Instant::now();
        self.last_read = now;
        self.pinged = false;
        let mut item = first;
        for _ in 0..FRAMES_PER_TURN {
            if let Some(end) = self.read_one(item, outbox, now) {
                return Some(end);
            }
            item = self.socket.stream.next().now_or_never()?;
        }
        self.read_one(item, outbox, now)
    }

    fn read_one(&mut self, item: Item, outbox: &mut Outbox, now: Instant) -> Option<End> {
        match item {
            Some(Ok(Message::Text(text))) => self.inbox.frame(&text, outbox, now),
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1005, |frame| u16::from(frame.code));
                return Some(End::Lost(format!("close {code}")));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Some(End::Lost(short(&error.into()))),
            None => return Some(End::Lost("end of stream".to_owned())),
        }
        None
    }

    async fn write_due(&mut self, outbox: &mut Outbox) -> Result<()> {
        let now = Instant::now();
        let mut wrote = false;
        if let Some((id, chats)) = self.inbox.take_sync(now) {
            self.socket.feed(&id, "sync", SyncRequest { chats }).await?;
            wrote = true;
        }
        for key in outbox.take_due(now) {
            self.send(key).await?;
            wrote = true;
        }
        if wrote {
            self.socket.flush().await?;
        }
        Ok(())
    }

    async fn send(&mut self, key: SendKey) -> Result<()> {
        let room = self.world.room(key);
        let Some(&chat_id) = room.chat_id.get() else { return Ok(()) };
        let now_us = self.world.now_us().max(1);
        let reply_to = {
            let mut book = room.book();
            let parent = book[key.index as usize].reply_to;
            let reply_to = parent.and_then(|parent| book[parent as usize].ack);
            let entry = &mut book[key.index as usize];
            entry.attempts += 1;
            if entry.sent_us == 0 {
                entry.sent_us = now_us;
                bump(&self.world.live.sent);
                let is_measured = self.world.live.is_measured(entry.intended_us);
                if is_measured && now_us.saturating_sub(entry.intended_us) > LATE_US {
                    bump(&self.world.live.late);
                }
            }
            reply_to.map(|ack| ack.message_id)
        };
        let body = room.texts.get(key);
        let client_id = self.world.tag.client_id(key);
        let message = SendMessage { chat_id, client_id, body: &body, reply_to };
        self.socket.feed(&request_id(key), "sendMessage", message).await
    }

    fn silent_after(&self) -> Instant {
        // One and a half beats without a word is suspicious, two and a half are the end.
        let beats = if self.pinged { 2.5 } else { 1.5 };
        self.last_read + self.socket.heartbeat.mul_f64(beats)
    }

    fn deadline(&self, outbox: &Outbox) -> Instant {
        let now = Instant::now();
        let others = [outbox.deadline(), self.inbox.deadline()];
        let next = others.into_iter().flatten().fold(self.silent_after(), Instant::min);
        // Never a busy loop, whatever a deadline in the past means.
        next.max(now + Duration::from_millis(1))
    }

    async fn timers(&mut self) -> Option<End> {
        let now = Instant::now();
        if self.inbox.leave_at.is_some_and(|at| at <= now) {
            return Some(End::GoingAway);
        }
        if self.silent_after() <= now {
            if self.pinged {
                return Some(End::Lost("silent".to_owned()));
            }
            self.pinged = true;
            if let Err(error) = self.socket.ping().await {
                return Some(End::Lost(short(&error)));
            }
        }
        None
    }
}

/// Few words, so that ends can be counted by reason.
fn short(error: &anyhow::Error) -> String {
    error.to_string().chars().take(80).collect()
}
