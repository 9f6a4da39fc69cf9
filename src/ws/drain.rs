//! Sending this node's sockets elsewhere, a few at a time: all at once would be a storm for those
//! that take them.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;

use crate::fanout::connection::Connection;
use crate::fanout::hub::Hub;
use crate::protocol::close::Close;
use crate::protocol::push::{self, GoingAway, Notice};

/// How long a socket may stay for the answers that it waits for.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWERS_POLL: Duration = Duration::from_millis(20);

/// The delay that a client waits before it reconnects, at the most.
const RECONNECT_MS: u64 = 1_000;

/// Tells every socket to leave, each at its own moment within `window`, and closes it when its
/// commands are answered.
pub async fn drain(hub: &Hub, window: Duration) {
    let leaving = hub.connections().into_iter().map(|connection| async move {
        let (at, delay) = {
            let mut random = rand::rng();
            (random.random_range(0.0..=1.0), random.random_range(0..=RECONNECT_MS))
        };
        tokio::time::sleep(window.mul_f64(at)).await;
        let away = GoingAway { reconnect_after_ms: delay };
        connection.outbox.answer(push::frame(Notice::GoingAway, away));
        tokio::time::timeout(ANSWERS_TIMEOUT, answered(&connection)).await.ok();
        connection.outbox.close(Close::Restarting);
    });
    join_all(leaving).await;
}

async fn answered(connection: &Connection) {
    while connection.outbox.unanswered() > 0 {
        tokio::time::sleep(ANSWERS_POLL).await;
    }
}
