//! The nodes that can own partitions, as one Redis shard sees them.
//!
//! Each shard has a registry of its own: a node that cannot reach a shard is not alive there, and
//! the others take its partitions of that shard over. A node's key expires unless it is renewed; a
//! draining node deletes it. All of this only suggests who should own what. Safety is the fence's.

use std::sync::Arc;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::{KeysInterface, SetsInterface};
use fred::types::Expiration;

use crate::log::keys::Keys;
use crate::log::shard::Shard;

#[derive(Clone)]
pub struct Registry {
    shard: Shard,
    keys: Arc<Keys>,
    name: String,
    boot: String,
    life: Duration,
}

impl Registry {
    /// `boot` tells this process from a former one of the same name.
    pub fn new(shard: Shard, keys: Arc<Keys>, name: &str, boot: &str, life: Duration) -> Self {
        Self { shard, keys, name: name.to_owned(), boot: boot.to_owned(), life }
    }

    /// Says that this node lives.
    pub async fn renew(&self) -> Result<(), Error> {
        let client = &self.shard.client;
        let life = Expiration::PX(i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX));
        let key = self.keys.node(&self.name);
        let set = client.set::<(), _, _>(key, self.boot.as_str(), Some(life), None, false);
        let add = client.sadd::<(), _, _>(self.keys.node_names(), self.name.as_str());
        futures_util::future::try_join(set, add).await?;
        Ok(())
    }

    /// Says that this node leaves.
    pub async fn leave(&self) -> Result<(), Error> {
        self.shard.client.srem::<(), _, _>(self.keys.node_names(), self.name.as_str()).await?;
        self.shard.client.del(self.keys.node(&self.name)).await
    }

    /// The names of the living, in order. Names of the dead are forgotten on the way.
    pub async fn living(&self) -> Result<Vec<String>, Error> {
        let client = &self.shard.client;
        let mut names: Vec<String> = client.smembers(self.keys.node_names()).await?;
        if names.is_empty() {
            return Ok(names);
        }
        let keys: Vec<String> = names.iter().map(|name| self.keys.node(name)).collect();
        let boots: Vec<Option<String>> = client.mget(keys).await?;
        let mut alive = boots.iter().map(Option::is_some);
        let (living, dead) = names.into_iter().partition(|_| alive.next().unwrap_or(false));
        names = living;
        let dead: Vec<String> = dead;
        if !dead.is_empty() {
            // One that only was late adds itself again.
            client.srem::<(), _, _>(self.keys.node_names(), dead).await?;
        }
        names.sort_unstable();
        Ok(names)
    }
}
