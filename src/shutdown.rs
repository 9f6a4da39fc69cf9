//! Tasks and their end.
//!
//! Every task of a node is spawned here: named, counted, and waited for. A task that panics ends
//! the node in an orderly way, since nobody knows what it leaves undone.
//!
//! The end has an order (`app`): not ready → partitions handed over → sockets sent elsewhere →
//! requests finished → the rest stopped → the last mails sent.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A node's tasks. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Cancelled when the node is to end, by a signal or by a task that failed.
    pub ending: CancellationToken,
}

impl Tasks {
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ending = self.ending.clone();
        let span = tracing::info_span!("task", task = name);
        let running = self.tracker.spawn(task.instrument(span));
        self.tracker.spawn(async move {
            if let Err(error) = running.await
                && error.is_panic()
            {
                tracing::error!(task = name, "a task panicked; the node ends");
                ending.cancel();
            }
        });
    }

    /// For tasks that are many and short of importance to the whole: one that panics is only lost
    /// itself.
    pub fn spawn_many(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Waits until all have ended; `false` where some did not in time.
    pub async fn wait(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Waits for SIGTERM or Ctrl-C, or, where `with_parent` is set, for the end of standard input: a
/// supervisor that was killed closes it.
pub async fn signal(with_parent: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM"),
        _ = tokio::signal::ctrl_c() => tracing::info!("SIGINT"),
        () = crate::lifeline::cut(), if with_parent => tracing::info!("the parent has ended"),
    }
}
