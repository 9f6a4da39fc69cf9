//! The generic cell rate algorithm, in one node's memory: a quota is one instant, the time at which
//! it will be whole again.

use std::time::{Duration, Instant};

use crate::config::{MOST_QUOTAS, Quota};

/// How much of some quotas one subject has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used([Option<Instant>; MOST_QUOTAS]);

impl Used {
    /// Takes one of each quota, of which a node has the `share`th part; nothing where one of them
    /// has none. An error says when to try again.
    pub fn take(&mut self, quotas: &[Quota], share: u32, now: Instant) -> Result<(), Duration> {
        let mut after = *self;
        for (whole_at, quota) in after.0.iter_mut().zip(quotas) {
            *whole_at = Some(take(*whole_at, *quota, share, now)?);
        }
        *self = after;
        Ok(())
    }

    /// Gives one back.
    pub fn give_back(&mut self, quotas: &[Quota], share: u32) {
        for (whole_at, quota) in self.0.iter_mut().zip(quotas) {
            *whole_at = whole_at.and_then(|at| at.checked_sub(interval(*quota, share)));
        }
    }

    /// Whether forgetting this changes nothing.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.0.iter().flatten().all(|whole_at| *whole_at <= now)
    }
}

fn interval(quota: Quota, share: u32) -> Duration {
    // A share is never none: one a period at the least.
    quota.period / (quota.count / share.max(1)).max(1)
}

fn take(
    whole_at: Option<Instant>,
    quota: Quota,
    share: u32,
    now: Instant,
) -> Result<Instant, Duration> {
    let next = whole_at.map_or(now, |at| at.max(now)) + interval(quota, share);
    let limit = now + quota.period;
    if next <= limit { Ok(next) } else { Err(next - limit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Quotas;

    fn taken(used: &mut Used, quotas: &Quotas, share: u32, now: Instant) -> usize {
        (0..1_000).take_while(|_| used.take(quotas.all(), share, now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_the_count_and_comes_back_evenly() {
        let (quotas, start): (Quotas, _) = ("10/1m".parse().unwrap(), Instant::now());
        let mut used = Used::default();
        assert_eq!(taken(&mut used, &quotas, 1, start), 10);
        assert_eq!(used.take(quotas.all(), 1, start), Err(Duration::from_secs(6)));
        assert_eq!(taken(&mut used, &quotas, 1, start + Duration::from_secs(13)), 2);
        assert!(!used.is_idle(start + Duration::from_secs(30)));
        assert_eq!(taken(&mut used, &quotas, 1, start + Duration::from_mins(5)), 10);
    }

    #[test]
    fn both_quotas_hold_and_what_one_refuses_costs_nothing_of_the_other() {
        let (quotas, start): (Quotas, _) = ("10/1m,15/1d".parse().unwrap(), Instant::now());
        let mut used = Used::default();
        assert_eq!(taken(&mut used, &quotas, 1, start), 10);
        assert_eq!(taken(&mut used, &quotas, 1, start + Duration::from_mins(1)), 5);
        assert_eq!(taken(&mut used, &quotas, 1, start + Duration::from_mins(2)), 0);
        used.give_back(quotas.all(), 1);
        assert_eq!(taken(&mut used, &quotas, 1, start + Duration::from_mins(2)), 1);
    }

    #[test]
    fn a_share_is_smaller_and_never_none() {
        let (quotas, now) = ("10/1m".parse().unwrap(), Instant::now());
        assert_eq!(taken(&mut Used::default(), &quotas, 3, now), 3);
        assert_eq!(taken(&mut Used::default(), &quotas, 50, now), 1);
    }
}
