//! Where files are examined: a few threads of their own, so that pictures cost pictures, and not
//! messages.
//!
//! Only `slots` jobs run at once, each within [`super::limits::MAX_MEMORY_BYTES`]; `queue` more may
//! wait, and one more is told `unavailable` at once. Who waits longer than [`MAX_WAIT`] is told so
//! too, before anything was begun.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// How long a job waits for a slot. Jobs take well under a second, so it means that all slots are
/// held by what is worse than the worst that is known.
const MAX_WAIT: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Workers {
    /// Who may work now.
    slots: Arc<Semaphore>,
    /// Who may work or wait for it; without a seat there is no waiting.
    seats: Arc<Semaphore>,
}

impl Workers {
    pub fn new(slots: usize, queue: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            seats: Arc::new(Semaphore::new(slots.saturating_add(queue))),
        }
    }

    /// Runs what blocks. It is done to its end even where the caller gives up.
    ///
    /// # Errors
    /// `Unavailable` when the queue is full or does not move; `Internal` where `work` panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let busy = || Error::Unavailable {
            part: "the processing of files",
            retry_after: Duration::from_secs(1),
        };
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| busy())?;
        let slot = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.slots).acquire_owned());
        let slot = slot.await.map_err(|_| busy())?.expect("it is never closed");
        // The permits go along: a caller that gives up must not free a slot that is in use.
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((slot, seat));
            done
        });
        task.await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_panic_frees_its_slot() {
        let workers = Workers::new(1, 1);
        let (go, gone) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(move || gone.recv()).await }
        });
        let second = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(|| ()).await }
        });
        while workers.seats.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(workers.run(|| ()).await, Err(Error::Unavailable { .. })));
        go.send(()).unwrap();
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        let broken = workers.run(|| panic!("a test's")).await;
        assert!(matches!(broken, Err::<(), _>(Error::Internal(_))));
        assert!(workers.run(|| ()).await.is_ok(), "the seats are given back");
    }
}
