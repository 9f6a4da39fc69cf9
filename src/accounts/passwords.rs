//! Passwords: argon2id, hashed in a small pool of their own.
//!
//! A hash takes 19 MiB and some 25 ms of a core, so only a few run at once and only so many may
//! wait; one more is told `unavailable` at once. A storm of sign-ins then costs sign-ins, not
//! messages. An unknown user costs the same as a wrong password, so the time tells nothing.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::validate::Problems;
use crate::error::{Error, Result};

/// OWASP's parameters: memory in KiB, passes, lanes.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 256;
/// Shorter words of the user's own stand in too many good passwords by chance.
const MIN_CONTEXT_CHARS: usize = 4;

/// What everybody tries first, a line each, in lower case.
static COMMON: LazyLock<std::collections::HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

#[derive(Clone)]
pub(super) struct Passwords {
    /// Who may hash now.
    slots: Arc<Semaphore>,
    /// Who may hash or wait for it; without a seat there is no waiting.
    seats: Arc<Semaphore>,
    /// A hash of nothing known, checked in place of an unknown user's.
    decoy: Arc<str>,
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
    pub(super) fn new(slots: usize, queue: usize) -> Self {
        let decoy = hash(&uuid::Uuid::new_v4().to_string()).expect("the parameters are good");
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            seats: Arc::new(Semaphore::new(slots.saturating_add(queue))),
            decoy: decoy.into(),
        }
    }

    pub(super) async fn hash(&self, password: &SecretString) -> Result<String> {
        let password = password.clone();
        self.in_pool(move || hash(password.expose_secret())).await?.map_err(Error::internal)
    }

    /// Checks against `stored`, or against a decoy where there is no such user.
    pub(super) async fn verify(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<Verdict> {
        let known = stored.is_some();
        let password = password.clone();
        let stored = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let verdict = self.in_pool(move || verify(password.expose_secret(), &stored)).await??;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn in_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let full = |_| Error::Unavailable { part: "sign-in", retry_after: Duration::from_secs(1) };
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(full)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("it is never closed");
        // The permits go along: a caller that gives up must not free a slot that is in use.
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((slot, seat));
            done
        });
        task.await.map_err(Error::internal)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).expect("the parameters are good");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(argon2().hash_password(password.as_bytes())?.to_string())
}

fn verify(password: &str, stored: &str) -> Result<Verdict> {
    let parsed = PasswordHash::new(stored).map_err(Error::internal)?;
    match argon2().verify_password(password.as_bytes(), &parsed) {
        Ok(()) if is_weak(&parsed) => Ok(Verdict::RightButWeak),
        Ok(()) => Ok(Verdict::Right),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(broken) => Err(Error::internal(broken)),
    }
}

fn is_weak(stored: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(stored) else { return true };
    stored.algorithm.as_str() != "argon2id" || params.m_cost() < MEMORY || params.t_cost() < PASSES
}

/// Whether a password may be chosen: long enough, not what everybody tries first, and without the
/// words that stand beside it. No rule on its composition, since those make passwords worse.
pub(super) fn check(problems: &mut Problems, path: &str, password: &str, context: &[&str]) {
    let chars = password.chars().count();
    if chars < MIN_CHARS {
        return problems.add(path, format!("at least {MIN_CHARS} characters"));
    }
    if chars > MAX_CHARS {
        return problems.add(path, format!("at most {MAX_CHARS} characters"));
    }
    let lower = password.to_lowercase();
    if COMMON.contains(lower.as_str()) || is_monotonous(&lower) {
        return problems.add(path, "one of the passwords that are tried first");
    }
    let names = ["chat-service", "chatservice"];
    let told = context.iter().copied().chain(names).map(str::to_lowercase).any(|word| {
        word == lower || (word.chars().count() >= MIN_CONTEXT_CHARS && lower.contains(&word))
    });
    if told {
        problems.add(path, "contains the name of the user or of the service");
    }
}

/// One character over and over, or a run such as `abcdefgh` and `87654321`.
fn is_monotonous(password: &str) -> bool {
    let steps: Vec<i64> = password
        .chars()
        .zip(password.chars().skip(1))
        .map(|(one, next)| i64::from(u32::from(next)) - i64::from(u32::from(one)))
        .collect();
    steps.first().is_some_and(|first| (-1..=1).contains(first) && steps.iter().all(|s| s == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(password: &str) -> bool {
        let mut problems = Problems::default();
        check(&mut problems, "password", password, &["annabel", "anna.b", "bo"]);
        problems.finish().is_err()
    }

    /// R-AU-2.
    #[test]
    fn what_may_be_chosen() {
        for password in ["correct horse", "пароль-длинный", "bobsleigh on ice", &"x1".repeat(100)]
        {
            assert!(!refused(password), "{password:?} was refused");
        }
        let bad = [
            "short77",
            "password",
            "PassWord",
            "12345678",
            "aaaaaaaa",
            "abcdefgh",
            "87654321",
            "iloveyou",
            "qwertyuiop",
            "ANNABEL-in-spring",
            "my anna.b login",
            "chat-service-2026",
            "ChatService!",
            "",
        ];
        for password in bad {
            assert!(refused(password), "{password:?} was accepted");
        }
        assert!(refused(&"ab".repeat(129)), "257 characters were accepted");
    }

    /// R-AU-1.
    #[tokio::test]
    async fn hashes_are_argon2id_and_salted() {
        let passwords = Passwords::new(2, 2);
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
        let verdict = Passwords::new(1, 0).verify(&"correct horse".into(), Some(&stored)).await;
        assert_eq!(verdict.unwrap(), Verdict::RightButWeak);
    }

    /// R-AU-4.
    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let passwords = Passwords::new(1, 1);
        let secret = SecretString::from("correct horse");
        let (a, b, c) =
            tokio::join!(passwords.hash(&secret), passwords.hash(&secret), passwords.hash(&secret));
        assert!(a.is_ok() && b.is_ok());
        assert!(matches!(c, Err(Error::Unavailable { .. })));
        assert!(passwords.hash(&secret).await.is_ok(), "the seats are given back");
    }
}
