//! Counting without Redis: each node lets its share of a limit pass, the limit by the nodes that
//! were alive when it was last known. So all nodes together let about the limit pass, and a user of
//! one node less; never everything.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::gcra::Used;
use super::{Class, Subject};
use crate::config::Quota;

/// Keys remembered. What comes beyond them counts as one.
const CAPACITY: usize = 50_000;

/// A map that stays small: for a key that does not fit there is one place for all.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    all: Mutex<(HashMap<K, V>, V)>,
}

impl<K: Eq + Hash, V: Default> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { all: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Default> Bounded<K, V> {
    pub(super) fn with<T>(&self, key: K, work: impl FnOnce(&mut V) -> T) -> T {
        let (known, others) = &mut *self.lock();
        if known.len() < CAPACITY || known.contains_key(&key) {
            work(known.entry(key).or_default())
        } else {
            work(others)
        }
    }

    pub(super) fn forget(&self, key: &K) {
        self.lock().0.remove(key);
    }

    pub(super) fn retain(&self, mut keep: impl FnMut(&V) -> bool) {
        let mut all = self.lock();
        all.0.retain(|_, value| keep(value));
        all.0.shrink_to_fit();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (HashMap<K, V>, V)> {
        self.all.lock().expect("nothing panics while the lock is held")
    }
}

/// What this node let pass while Redis was away.
pub(super) type Shares = Bounded<(Class, Subject), Used>;

impl Shares {
    pub(super) fn take(
        &self,
        of: (Class, Subject),
        quotas: &[Quota],
        nodes: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        self.with(of, |used| used.take(quotas, nodes, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_counts_as_one() {
        let map: Bounded<usize, u32> = Bounded::default();
        for key in 0..CAPACITY + 10 {
            map.with(key, |count| *count += 1);
        }
        assert_eq!(map.with(CAPACITY + 11, |count| *count), 10);
        assert_eq!(map.with(0, |count| *count), 1);
        map.retain(|_| false);
        assert_eq!(map.with(CAPACITY + 11, |count| *count), 0);
    }
}
