//! Mail to users. [`Mailer::send`] never waits: it puts a letter into a bounded queue, and
//! [`Outgoing`], a task of the node, sends what lies there.
//!
//! # Failure
//! A letter is worth a few tries, no more: whoever misses one asks for another. Where the queue is
//! full, where no `MAIL_URL` is set, or where the node ends before the server answers, letters are
//! dropped. All of it is counted and logged, without addresses and without what stands in a letter.

mod letter;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lettre::message::Mailbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::metrics::Metrics;

pub use letter::{Content, Letter};
use transport::{Failure, Transport};

/// Letters that may wait, at some 200 bytes each. One more is dropped.
const QUEUE: usize = 1_000;
/// Letters that are sent at once, each over a connection of its own.
const AT_ONCE: usize = 4;
/// One try, from the connection to the server's last answer.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// Between the tries of a letter; after the last one it has failed.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
/// How long what still lies in the queue may take once the node ends.
const DRAIN: Duration = Duration::from_secs(3);

/// Takes letters. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    /// None where no mail is sent.
    queue: Option<mpsc::Sender<Letter>>,
    metrics: Arc<Metrics>,
}

impl Mailer {
    /// The two ends of the queue; without settings there is only one, which drops what it gets.
    ///
    /// # Errors
    /// The SMTP server's URL cannot be used.
    pub fn new(
        settings: Option<&config::Mail>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Option<Outgoing>), lettre::transport::smtp::Error> {
        let Some(settings) = settings else {
            tracing::warn!("MAIL_URL is not set: no mail is sent");
            return Ok((Self { queue: None, metrics }, None));
        };
        if let config::MailTransport::Directory(directory) = &settings.transport {
            let directory = directory.display();
            tracing::warn!(%directory, "mails are written there, and sent to nobody");
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let courier = Courier {
            transport: Transport::new(&settings.transport, AT_ONCE)?,
            from: settings.from.clone(),
            public_url: settings.public_url.clone(),
            metrics: Arc::clone(&metrics),
            under_way: AtomicUsize::new(0),
        };
        Ok((Self { queue: Some(sender), metrics }, Some(Outgoing { queue, courier })))
    }

    /// Puts a letter into the queue, or drops it where there is no room.
    pub fn send(&self, letter: Letter) {
        let (kind, user_id) = (letter.content.name(), letter.user_id);
        let why = match &self.queue {
            None => "no MAIL_URL",
            Some(queue) => match queue.try_send(letter) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(_)) => "the queue is full",
                Err(mpsc::error::TrySendError::Closed(_)) => "the node ends",
            },
        };
        self.metrics.mails_dropped.increment(1);
        tracing::info!(mail = kind, user.id = %user_id, why, "a mail was dropped");
    }
}

/// The other end of the queue.
pub struct Outgoing {
    queue: mpsc::Receiver<Letter>,
    courier: Courier,
}

impl Outgoing {
    /// Sends letters until `stop`, and then what lies in the queue, within a bound. Whoever still
    /// writes letters is to be ended before.
    pub async fn run(self, stop: CancellationToken) {
        let Self { mut queue, courier } = self;
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            () = send_all(&mut queue, &courier, &stop) => {}
            () = late => {}
        }
        let left = queue.len() + courier.under_way.load(Ordering::Relaxed);
        if left > 0 {
            courier.metrics.mails_dropped.increment(left as u64);
            tracing::warn!(left, "mails were dropped, since the node ends");
        }
    }
}

async fn send_all(queue: &mut mpsc::Receiver<Letter>, courier: &Courier, stop: &CancellationToken) {
    let mut sending = FuturesUnordered::new();
    let mut is_open = true;
    loop {
        tokio::select! {
            letter = queue.recv(), if sending.len() < AT_ONCE => match letter {
                Some(letter) => {
                    courier.under_way.fetch_add(1, Ordering::Relaxed);
                    sending.push(courier.deliver(letter));
                }
                None => break,
            },
            Some(()) = sending.next(), if !sending.is_empty() => {}
            () = stop.cancelled(), if is_open => {
                is_open = false;
                queue.close();
            }
        }
    }
    while sending.next().await.is_some() {}
}

struct Courier {
    transport: Transport,
    from: Mailbox,
    public_url: String,
    metrics: Arc<Metrics>,
    /// Letters that were taken from the queue, and neither sent nor given up yet.
    under_way: AtomicUsize,
}

impl Courier {
    async fn deliver(&self, letter: Letter) {
        let outcome = self.try_to_deliver(&letter).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let (mail, user_id) = (letter.content.name(), letter.user_id);
        match outcome {
            Ok(()) => {
                self.metrics.mails_sent.increment(1);
                tracing::debug!(mail, user.id = %user_id, "a mail was sent");
            }
            Err(failure) => {
                self.metrics.mails_failed.increment(1);
                tracing::warn!(mail, user.id = %user_id, %failure, "a mail was not sent");
            }
        }
    }

    async fn try_to_deliver(&self, letter: &Letter) -> Result<(), Failure> {
        let message = letter.to_message(&self.from, &self.public_url)?;
        let mut pauses = PAUSES.iter();
        loop {
            let sending = self.transport.send(&message);
            let sent = tokio::time::timeout(TRY_TIMEOUT, sending).await;
            let failure = match sent.unwrap_or(Err(Failure::Timeout)) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let Some(pause) = pauses.next().filter(|_| failure.may_pass()) else {
                return Err(failure);
            };
            // Spread, so that many nodes do not come back to a server in step.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        }
    }
}

#[cfg(test)]
mod tests;
