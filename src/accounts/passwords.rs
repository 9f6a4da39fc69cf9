//! Passwords: argon2id, hashed in a small pool of their own.
//!
//! A hash takes at least 19 MiB and some 25 ms of a core, so only a few run at once and only so many
//! may wait; one more is told `unavailable` at once. A storm of sign-ins then costs sign-ins, not
//! messages. An unknown user costs the same as a wrong password, so the time tells nothing. (While
//! hashes made with less than today's cost are being replaced, they take less time to check.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::config;
use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// A slot is one core's.
const LANES: u32 = 1;

#[derive(Clone)]
pub(super) struct Passwords {
    hasher: Hasher,
    /// Who may hash now.
    slots: Arc<Semaphore>,
    /// Who may hash or wait for it; without a seat there is no waiting.
    seats: Arc<Semaphore>,
    /// A hash of nothing known, checked in place of an unknown user's.
    decoy: Arc<str>,
    metrics: Arc<Metrics>,
}

/// What a check of a password came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// Right, but hashed with weaker parameters than today's.
    RightButWeak,
    Wrong,
}

impl Passwords {
    pub(super) fn new(settings: &config::Passwords, metrics: Arc<Metrics>) -> Self {
        let (slots, queue) = (settings.slots, settings.queue);
        let hasher = Hasher::new(settings.memory_kib, settings.passes);
        let decoy = hasher.hash(&uuid::Uuid::new_v4().to_string());
        let decoy = decoy.expect("the parameters are good");
        Self {
            hasher,
            slots: Arc::new(Semaphore::new(slots)),
            seats: Arc::new(Semaphore::new(slots.saturating_add(queue))),
            decoy: decoy.into(),
            metrics,
        }
    }

    pub(super) async fn hash(&self, password: &SecretString) -> Result<String> {
        let (hasher, password) = (self.hasher.clone(), password.clone());
        let done = self.in_pool(move || hasher.hash(password.expose_secret())).await?;
        done.map_err(Error::internal)
    }

    /// Checks against `stored`, or against a decoy where there is no such user.
    pub(super) async fn verify(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<Verdict> {
        let known = stored.is_some();
        let (hasher, password) = (self.hasher.clone(), password.clone());
        let stored = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let check = move || hasher.verify(password.expose_secret(), &stored);
        let verdict = self.in_pool(check).await??;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn in_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            self.metrics.hashing_refused.increment(1);
            return Err(Error::Unavailable {
                part: "sign-in",
                retry_after: Duration::from_secs(1),
            });
        };
        let (asked, waiting) = (Instant::now(), Waits::new(&self.metrics));
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("it is never closed");
        drop(waiting);
        self.metrics.hashing_wait_seconds.record(asked.elapsed());
        let metrics = Arc::clone(&self.metrics);
        // The permits go along: a caller that gives up must not free a slot that is in use.
        let task = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let done = work();
            metrics.hashing_seconds.record(began.elapsed());
            drop((slot, seat));
            done
        });
        task.await.map_err(Error::internal)
    }
}

/// Somebody who waits for a slot, until this is dropped: they may go before their turn.
struct Waits<'a>(&'a Metrics);

impl<'a> Waits<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.hashing_waiting.increment(1);
        Self(metrics)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.hashing_waiting.decrement(1);
    }
}

/// Argon2id with the cost that is set. Its parameters stand in every hash, so hashes of another cost
/// can be checked.
#[derive(Clone)]
struct Hasher(Argon2<'static>);

impl Hasher {
    fn new(memory_kib: u32, passes: u32) -> Self {
        let params = Params::new(memory_kib, passes, LANES, None).expect("config checks them");
        Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    fn hash(&self, password: &str) -> Result<String, argon2::password_hash::Error> {
        Ok(self.0.hash_password(password.as_bytes())?.to_string())
    }

    fn verify(&self, password: &str, stored: &str) -> Result<Verdict> {
        let parsed = PasswordHash::new(stored).map_err(Error::internal)?;
        match self.0.verify_password(password.as_bytes(), &parsed) {
            Ok(()) if self.is_weak(&parsed) => Ok(Verdict::RightButWeak),
            Ok(()) => Ok(Verdict::Right),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
            Err(broken) => Err(Error::internal(broken)),
        }
    }

    /// Cheaper in either way than what is set. So a setting that is lowered weakens no hash.
    fn is_weak(&self, stored: &PasswordHash) -> bool {
        let Ok(params) = Params::try_from(stored) else { return true };
        let wanted = self.0.params();
        stored.algorithm.as_str() != "argon2id"
            || params.m_cost() < wanted.m_cost()
            || params.t_cost() < wanted.t_cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(slots: usize, queue: usize) -> Passwords {
        let (memory_kib, passes) = (19_456, 2);
        let (metrics, _) = Metrics::new("n1");
        let settings = config::Passwords { slots, queue, memory_kib, passes, breached: None };
        Passwords::new(&settings, metrics)
    }

    /// R-AU-1.
    #[tokio::test]
    async fn hashes_are_argon2id_and_salted() {
        let passwords = passwords(2, 2);
        let secret = SecretString::from("correct horse");
        let one = passwords.hash(&secret).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, passwords.hash(&secret).await.unwrap());
        assert_eq!(passwords.verify(&secret, Some(&one)).await.unwrap(), Verdict::Right);
        let wrong = SecretString::from("Correct horse");
        assert_eq!(passwords.verify(&wrong, Some(&one)).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.verify(&secret, None).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn weaker_hashes_are_told_apart() {
        let params = Params::new(8_192, 1, 1, None).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let stored = weak.hash_password(b"correct horse").unwrap().to_string();
        let verdict = passwords(1, 0).verify(&"correct horse".into(), Some(&stored)).await;
        assert_eq!(verdict.unwrap(), Verdict::RightButWeak);
    }

    /// R-AU-4.
    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let passwords = passwords(1, 1);
        let secret = SecretString::from("correct horse");
        let (a, b, c) =
            tokio::join!(passwords.hash(&secret), passwords.hash(&secret), passwords.hash(&secret));
        assert!(a.is_ok() && b.is_ok());
        assert!(matches!(c, Err(Error::Unavailable { .. })));
        assert!(passwords.hash(&secret).await.is_ok(), "the seats are given back");
    }
}
