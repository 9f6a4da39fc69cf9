//! Who waits for which command's answer, on this node.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::entry::Answer;
use crate::error::Error;

/// Told once what a command came to. An error other than a refusal leaves open whether it was done;
/// sending it again under the same id is safe.
pub type Done = Box<dyn FnOnce(Result<Answer, Error>) + Send>;

/// Commands that may wait on one node; one more is answered `unavailable`.
const LIMIT: usize = 65_536;

/// Requests are numbered upwards and all wait equally long, so the first is the oldest.
pub struct Pending {
    timeout: Duration,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
}

struct Waiting {
    partition: u16,
    deadline: Instant,
    done: Done,
}

impl Pending {
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, next: AtomicU64::new(1), waiting: Mutex::default() }
    }

    /// Notes a waiter and returns its number; gives it back where too many wait already.
    pub fn add(&self, partition: u16, done: Done) -> Result<u64, Done> {
        let deadline = Instant::now() + self.timeout;
        let mut waiting = self.lock();
        if waiting.len() >= LIMIT {
            return Err(done);
        }
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        waiting.insert(request, Waiting { partition, deadline, done });
        Ok(request)
    }

    /// Answers whoever waits under this number, and says for how long they have waited.
    pub fn answer(&self, request: u64, answer: Result<Answer, Error>) -> Option<Duration> {
        let Waiting { deadline, done, .. } = self.lock().remove(&request)?;
        done(answer);
        Some(self.timeout.saturating_sub(deadline.saturating_duration_since(Instant::now())))
    }

    /// Answers whoever has waited too long. Called about four times a second.
    pub fn expire(&self, now: Instant) {
        let expired: Vec<Waiting> = {
            let mut waiting = self.lock();
            let late = waiting.iter().take_while(|(_, waiting)| waiting.deadline <= now).count();
            (0..late).filter_map(|_| waiting.pop_first()).map(|(_, waiting)| waiting).collect()
        };
        for waiting in expired {
            (waiting.done)(Err(Error::Timeout));
        }
    }

    /// Answers all who wait for a partition whose streams were lost: their commands may be gone.
    pub fn fail_partition(&self, partition: u16) {
        let lost: Vec<Waiting> = {
            let mut waiting = self.lock();
            let requests: Vec<u64> = waiting
                .iter()
                .filter(|(_, waiting)| waiting.partition == partition)
                .map(|(request, _)| *request)
                .collect();
            requests.iter().filter_map(|request| waiting.remove(request)).collect()
        };
        for waiting in lost {
            (waiting.done)(Err(Error::unavailable("the log")));
        }
    }

    /// Waits until nobody waits any more.
    pub async fn all_answered(&self) {
        while self.count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().expect("no waiter panics while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_waiter_is_told_once() {
        let pending = Pending::new(Duration::from_secs(1));
        let told = Arc::new(Mutex::new(Vec::new()));
        let waiter = |name: &'static str| -> Done {
            let told = Arc::clone(&told);
            Box::new(move |answer| told.lock().unwrap().push((name, answer.is_ok())))
        };
        let first = pending.add(1, waiter("first")).ok().unwrap();
        pending.add(2, waiter("lost")).ok().unwrap();
        pending.add(1, waiter("late")).ok().unwrap();
        pending.answer(first, Ok(Answer::Done { seq: 1, again: false }));
        pending.answer(first, Ok(Answer::Done { seq: 1, again: false }));
        pending.fail_partition(2);
        pending.expire(Instant::now());
        pending.expire(Instant::now() + Duration::from_secs(2));
        assert_eq!(*told.lock().unwrap(), [("first", true), ("lost", false), ("late", false)]);
        assert_eq!(pending.count(), 0);
    }
}
