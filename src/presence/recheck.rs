//! Who may see whom, asked again for live subscriptions when a block or a privacy setting changed.
//!
//! While that cannot be found out, what is in question is hidden.

use std::collections::HashSet;
use std::time::Duration;

use super::{ASKING, Presence};
use crate::error::{Error, Result};
use crate::model::id::UserId;
use crate::store;

/// Users who may wait to be looked at; beyond, all are.
const MOST_WAITING: usize = 10_000;

/// Pairs of one statement.
const BATCH: usize = 1_000;

/// Viewers looked at together where all are.
const VIEWERS: usize = 100;

const RETRY: Duration = Duration::from_secs(1);

/// Whom to look at again.
#[derive(Default)]
pub(super) struct Waiting {
    users: HashSet<UserId>,
    all: bool,
}

impl Waiting {
    pub(super) fn add(&mut self, users: impl IntoIterator<Item = UserId>) {
        self.users.extend(users);
        if self.users.len() > MOST_WAITING {
            self.add_all();
        }
    }

    pub(super) fn add_all(&mut self) {
        (self.users, self.all) = (HashSet::new(), true);
    }
}

/// Looks again for as long as the node runs.
pub(super) async fn run(presence: Presence) {
    loop {
        presence.inner.recheck.notified().await;
        let Waiting { users, all } = std::mem::take(&mut *presence.waiting());
        let mut failed = recheck(&presence, users).await;
        if all {
            let viewers = presence.watch().viewers();
            for viewers in viewers.chunks(VIEWERS) {
                failed.extend(recheck(&presence, viewers.iter().copied().collect()).await);
            }
        }
        if !failed.is_empty() {
            tokio::time::sleep(RETRY).await;
            presence.waiting().add(failed);
            presence.inner.recheck.notify_one();
        }
    }
}

/// Looks at every pair that one of these is in. Returns those for whom it failed.
async fn recheck(presence: &Presence, users: HashSet<UserId>) -> HashSet<UserId> {
    let pairs: Vec<(UserId, UserId)> = presence.watch().pairs_of(&users).into_iter().collect();
    let mut failed = HashSet::new();
    for pairs in pairs.chunks(BATCH) {
        let asking = store::visibility::presence_visible_pairs(&presence.inner.pool, pairs);
        let found = tokio::time::timeout(ASKING, asking).await;
        let found: Result<Vec<_>> =
            found.unwrap_or_else(|_| Err(Error::unavailable("the database")));
        let visible: HashSet<(UserId, UserId)> = match found {
            Ok(visible) => visible.into_iter().collect(),
            Err(error) => {
                tracing::debug!(%error, "who may see whom could not be asked");
                // Asked by their viewers the next time: these alone.
                failed.extend(pairs.iter().map(|(viewer, _)| *viewer));
                HashSet::new()
            }
        };
        let mut watch = presence.watch();
        for pair in pairs {
            watch.set_visible(pair.0, pair.1, visible.contains(pair));
        }
        drop(watch);
        presence.inner.deliver.notify_one();
    }
    failed
}
