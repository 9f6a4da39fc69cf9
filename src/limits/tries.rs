//! Wrong passwords in a row: each further one waits twice as long.
//!
//! A try counts as failed from its beginning, and what succeeds forgets the others, so a thousand
//! tries at once are no way around it. What is counted is a hash of what somebody signs in as,
//! whether there is such an account or not: nothing can be learnt from it.
//!
//! A stranger who tries and tries must not lock the user out. So a device that was signed in to the
//! account lately counts for itself, and so does an address; only who is neither counts together.
//! A device's id is what it says of itself, so whoever learnt one has a counter more, with the same
//! delays.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fred::types::scripts::Script;
use sha2::{Digest, Sha256};

use super::settle::PATIENCE;
use super::{Class, Limits, Reach, Subject, network_of};
use crate::error::{Error, Result};

/// The delay behind the last of the tries that have none.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// How long tries are remembered, from the last.
const MEMORY: Duration = Duration::from_hours(24);

static TRY: LazyLock<Script> = LazyLock::new(|| Script::from_lua(include_str!("try.lua")));

/// What the account knows of who is signing in.
#[derive(Clone, Copy, Debug)]
pub enum Familiar<'a> {
    /// A device that was signed in lately, by its id.
    Device(&'a str),
    /// Somebody was signed in from this address lately.
    Address(IpAddr),
    No,
}

/// A try that is under way.
#[derive(Debug)]
#[must_use]
pub struct Try {
    limits: Limits,
    subject: Subject,
}

/// The tries that a node counted on its own.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: u32,
    pause_until: Option<Instant>,
}

impl Limits {
    /// Lets a sign-in be tried.
    ///
    /// # Errors
    /// `RateLimited` with the rest of the delay.
    pub async fn try_sign_in(&self, login: &str, familiar: Familiar<'_>) -> Result<Try> {
        let subject = subject_of(login, familiar);
        let delay = match self.try_in_redis(subject).await {
            Some(delay) => delay,
            None => self.try_here(subject, Instant::now()),
        };
        if delay.is_zero() {
            Ok(Try { limits: self.clone(), subject })
        } else {
            self.note_refusal(Class::Login, subject);
            Err(Error::RateLimited { retry_after: delay })
        }
    }

    async fn try_in_redis(&self, subject: Subject) -> Option<Duration> {
        let inner = &self.inner;
        let shard = inner.shard_of(subject);
        if inner.reach(shard.index, Instant::now()) == Reach::Away {
            return None;
        }
        let key = inner.shards.keys.limit(shard.index, Class::Login.name(), &subject.to_string());
        let tries = i64::from(inner.rates.sign_in_tries);
        let times = [FIRST_DELAY, inner.rates.sign_in_delay_max, MEMORY];
        let mut numbers = vec![tries];
        numbers.extend(times.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
        let asking = TRY.evalsha_with_reload::<u64, _, _>(&shard.client, vec![key], numbers);
        let delay = tokio::time::timeout(PATIENCE, asking).await.ok()?;
        delay.ok().map(Duration::from_millis)
    }

    /// This node's share of the tries, where Redis does not answer.
    fn try_here(&self, subject: Subject, now: Instant) -> Duration {
        let rates = &self.inner.rates;
        self.inner.metrics.limits_alone.increment(1);
        let free = (rates.sign_in_tries / self.inner.nodes()).max(1);
        self.inner.tries.with(subject, |tries| tries.one_more(free, rates.sign_in_delay_max, now))
    }
}

impl Tries {
    fn one_more(&mut self, free: u32, longest: Duration, now: Instant) -> Duration {
        if let Some(until) = self.pause_until.filter(|until| now < *until) {
            return until - now;
        }
        self.count = self.count.saturating_add(1);
        let beyond = self.count.checked_sub(free);
        self.pause_until = beyond.map(|beyond| {
            let delay = FIRST_DELAY.saturating_mul(1 << beyond.min(30));
            now + delay.min(longest)
        });
        Duration::ZERO
    }

    /// Kept a while longer than the delay, so that the next try still finds the count.
    pub(super) fn is_idle(&self, longest: Duration, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| until + longest <= now)
    }
}

impl Try {
    /// The password was right: the wrong ones before it are forgotten.
    pub async fn passed(self) {
        let inner = &self.limits.inner;
        inner.tries.forget(&self.subject);
        let shard = inner.shard_of(self.subject);
        inner.forget(shard, Class::Login, self.subject).await;
    }
}

fn subject_of(login: &str, familiar: Familiar<'_>) -> Subject {
    let mut hash = Sha256::new();
    hash.update(login.to_lowercase());
    // A login has no NUL where there is such an account.
    match familiar {
        Familiar::Device(id) => hash.update(format!("\0device\0{id}")),
        Familiar::Address(address) => hash.update(format!("\0address\0{}", network_of(address))),
        Familiar::No => {}
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    Subject::Login(u128::from_be_bytes(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_try_waits_twice_as_long_up_to_the_longest() {
        let (mut tries, mut now) = (Tries::default(), Instant::now());
        let longest = Duration::from_secs(5);
        for _ in 0..3 {
            assert!(tries.one_more(3, longest, now).is_zero());
        }
        for expected in [1, 2, 4, 5, 5] {
            let delay = tries.one_more(3, longest, now);
            assert_eq!(delay, Duration::from_secs(expected));
            now += delay;
            assert!(tries.one_more(3, longest, now).is_zero());
        }
    }

    #[test]
    fn logins_are_one_without_regard_to_case_and_each_familiar_counts_apart() {
        let address = "192.0.2.1".parse().unwrap();
        let stranger = subject_of("Ann", Familiar::No);
        assert_eq!(stranger, subject_of("aNN", Familiar::No));
        let all = [
            stranger,
            subject_of("ann", Familiar::Device("phone")),
            subject_of("ann", Familiar::Device("laptop")),
            subject_of("ann", Familiar::Address(address)),
            subject_of("bob", Familiar::Address(address)),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one));
        }
    }
}
