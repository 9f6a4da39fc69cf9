//! A well-behaved client of the service: one task and one socket per account.
//!
//! It reconnects by itself with full-jitter back-off, resumes by `sync`, and sends what is
//! unanswered again under the same `clientId`. Its memory is bounded: a fixed number of sends on
//! their way, a fixed queue before them, and eight bytes for each event seen.

mod inbox;
pub(crate) mod journal;
mod outbox;
mod session;
pub(crate) mod socket;
mod sync;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::outbox::Outbox;
use self::session::{End, Session};
use crate::world::{SendKey, World, bump};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(3);

pub(crate) struct Client {
    pub world: Arc<World>,
    pub seat: u32,
    pub nodes: Arc<[String]>,
    pub sends: mpsc::Receiver<SendKey>,
    pub stop: watch::Receiver<bool>,
}

impl Client {
    /// Lives until `stop`.
    pub(crate) async fn run(mut self) {
        let mut node = self.seat as usize;
        let mut failures = 0;
        let mut is_first = true;
        let mut outbox = Outbox::default();
        while !*self.stop.borrow() {
            let url = &self.nodes[node % self.nodes.len()];
            let token = &self.world.seat(self.seat).token;
            match socket::connect(url, token, None, socket::Buffers::BUSY).await {
                Ok(socket) => {
                    failures = 0;
                    let world = Arc::clone(&self.world);
                    let session = Session::new(&world, self.seat, socket, is_first);
                    is_first = false;
                    let end = self.serve(session, &mut outbox).await;
                    outbox.disconnected();
                    match end {
                        End::Stopped => return,
                        End::GoingAway => self.world.live.count_close("goingAway"),
                        End::Lost(reason) => {
                            self.world.live.count_close(&reason);
                            self.pause(&mut failures).await;
                        }
                    }
                    bump(&self.world.live.reconnects);
                }
                Err(error) => {
                    self.world.live.count_close(&format!("connect: {error}"));
                    self.pause(&mut failures).await;
                }
            }
            node += 1;
        }
    }

    async fn serve(&mut self, session: Session<'_>, outbox: &mut Outbox) -> End {
        let connected = &self.world.seat(self.seat).connected;
        connected.store(true, Ordering::Relaxed);
        let end = session.serve(&mut self.sends, &mut self.stop, outbox).await;
        connected.store(false, Ordering::Relaxed);
        end
    }

    async fn pause(&mut self, failures: &mut u32) {
        let ceiling = BACKOFF_FIRST.saturating_mul(1 << (*failures).min(10)).min(BACKOFF_MOST);
        *failures += 1;
        tokio::select! {
            () = tokio::time::sleep(jitter(ceiling)) => {}
            _ = self.stop.changed() => {}
        }
    }
}

/// Anything up to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    let share = (Uuid::new_v4().as_u64_pair().1 & 0xffff) as f64 / 65_536.0;
    most.mul_f64(share)
}
