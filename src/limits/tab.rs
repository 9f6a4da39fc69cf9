//! What a node knows of one subject's use of a class, so that not every request asks Redis.
//!
//! Three ways let a request pass:
//! - a *permit* that was leased: counted in Redis already, so it can never be one too many;
//! - *credit*: it passes now and is counted a moment later. A node gives so little of it that all
//!   nodes together stay within a twentieth of the quota;
//! - *asking*: it waits until Redis has counted it.
//!
//! A lease doubles while it is used up within a second, and lapses two seconds after it was taken:
//! whoever writes a line now and then leases nothing, and so loses nothing.

use std::time::{Duration, Instant};

use super::{Left, Refusal, Standing};

/// A lease that was used up within this time is followed by one of twice the size.
const GROWS_WITHIN: Duration = Duration::from_secs(1);
/// After this time the rest of a lease is worth nothing.
const LEASE_LIFE: Duration = Duration::from_secs(2);

/// How much a node may take at a time, and owe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lease: u32,
    pub(super) credit: u32,
}

/// How a request was taken.
#[derive(Debug)]
pub(super) enum Taken {
    Yes(Standing),
    No(Refusal),
    /// Yes, and it has to be counted, with so many permits leased on the way.
    OnCredit(Standing, u32),
    /// Redis has to be asked for it, and for so many permits beside it.
    Ask(u32),
}

#[derive(Debug, Default)]
pub(super) struct Tab {
    permits: u32,
    lease: u32,
    leased_at: Option<Instant>,
    /// Passed, and not counted in Redis yet.
    on_credit: u32,
    standing: Standing,
    /// There is none until then, as Redis said.
    dry_until: Option<Instant>,
}

impl Tab {
    pub(super) fn take(&mut self, bounds: Bounds, now: Instant) -> Taken {
        let lives = self.leased_at.is_some_and(|at| now < at + LEASE_LIFE);
        if lives && self.permits > 0 {
            self.permits -= 1;
            return Taken::Yes(self.standing());
        }
        self.permits = 0;
        if let Some(until) = self.dry_until.filter(|until| now < *until) {
            return Taken::No(Refusal { retry_after: until - now, standing: self.standing });
        }
        let lease = self.next_lease(bounds.lease, now);
        if self.on_credit < bounds.credit {
            self.on_credit += 1;
            Taken::OnCredit(self.standing(), lease)
        } else {
            Taken::Ask(lease)
        }
    }

    fn next_lease(&mut self, most: u32, now: Instant) -> u32 {
        let was_used_up = self.leased_at.is_some_and(|at| now < at + GROWS_WITHIN);
        self.lease = if was_used_up { (self.lease.max(1) * 2).min(most) } else { 0 };
        self.leased_at = Some(now);
        self.lease
    }

    /// Notes what Redis said to a charge: that it counted `owed`, and what it granted.
    pub(super) fn settled(&mut self, owed: u32, permits: u32, standing: Standing, now: Instant) {
        self.on_credit = self.on_credit.saturating_sub(owed);
        self.permits = self.permits.saturating_add(permits);
        self.standing = standing;
        self.dry_until = standing.dry_for().map(|dry| now + dry);
    }

    /// A charge that was not heard of any more.
    pub(super) fn lost(&mut self, owed: u32) {
        self.on_credit = self.on_credit.saturating_sub(owed);
    }

    fn standing(&self) -> Standing {
        let mut standing = self.standing;
        for Left { count, .. } in standing.0.iter_mut().flatten() {
            *count = count.saturating_add(self.permits);
        }
        standing
    }

    /// Whether forgetting this costs nothing.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.on_credit == 0
            && self.leased_at.is_none_or(|at| at + LEASE_LIFE <= now)
            && self.dry_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { lease: 8, credit: 1 };

    fn left(count: u32, next: Duration) -> Standing {
        Standing([Some(Left { count, next }), None])
    }

    #[test]
    fn leases_double_while_they_are_used_up_and_lapse_when_not() {
        let (mut tab, start) = (Tab::default(), Instant::now());
        let plenty = left(1_000, Duration::ZERO);
        let mut leases = Vec::new();
        let mut charge = |tab: &mut Tab, now| {
            if let Taken::OnCredit(_, lease) = tab.take(BOUNDS, now) {
                leases.push(lease);
                tab.settled(1, lease, plenty, now);
            }
        };
        for _ in 0..20 {
            charge(&mut tab, start);
        }
        // One on credit each, and the permits behind it.
        assert_eq!(tab.permits, 8 - (20 - 1 - 3 - 5 - 9 - 1), "of the last lease");
        let later = start + LEASE_LIFE;
        charge(&mut tab, later);
        assert_eq!(leases, [0, 2, 4, 8, 8, 0]);
        assert_eq!(tab.permits, 0, "what was left has lapsed");
        assert!(!tab.is_idle(later));
        assert!(tab.is_idle(later + LEASE_LIFE));
    }

    #[test]
    fn credit_is_bounded_and_what_is_dry_is_refused_without_asking() {
        let (mut tab, now) = (Tab::default(), Instant::now());
        assert!(matches!(tab.take(BOUNDS, now), Taken::OnCredit(..)));
        assert!(matches!(tab.take(BOUNDS, now), Taken::Ask(2)));
        tab.settled(1, 0, left(0, Duration::from_secs(3)), now);
        let Taken::No(refusal) = tab.take(BOUNDS, now) else { panic!("it is dry") };
        assert_eq!(refusal.retry_after, Duration::from_secs(3));
        let later = now + Duration::from_secs(3);
        assert!(matches!(tab.take(BOUNDS, later), Taken::OnCredit(..)));
    }
}
