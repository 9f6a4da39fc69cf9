//! Every Redis key, in one place.
//!
//! | key | type | life | written by | read by |
//! |---|---|---|---|---|
//! | `<prefix>:{<tag>}:in` | stream | trimmed behind what is published | edges | the owner |
//! | `<prefix>:{<tag>}:out` | stream | bounded tail | the owner | edges |
//! | `<prefix>:{<tag>}:dead` | stream | the newest 10,000 | the owner | operators |
//! | `<prefix>:{<tag>}:lease` | string | the lease's time | writers | writers |
//! | `<prefix>:{<tag>}:read` | hash: `<chat>/<user>` → `<seq> <count> <at>` | a minute beyond being stored | edges | edges, the owner |
//! | `<prefix>:{<tag>}:read:moved` | sorted set: marks to be stored | until they are | edges, the owner | the owner |
//! | `<prefix>:{<tag>}:read:stored` | sorted set: marks that are | a minute | edges, the owner | the owner |
//! | `<prefix>:{nodes}:names` | set | for ever | nodes | nodes |
//! | `<prefix>:{nodes}:node:<name>` | string, boot id | the lease's time | that node | nodes |
//! | `<prefix>:{limits-<shard>}:edges` | sorted set | for ever, its members 10 s | edges | edges |
//! | `<prefix>:{limits-<shard>}:<class>:<subject>` | string | until it says nothing | edges | edges |
//! | `<prefix>:live` | channel | – | edges | edges |
//! | `<prefix>:receipts` | channel | – | edges | edges |
//! | `<prefix>:presence:<user>` | hash: `<node>/<boot>` → since when, in ms | while the user is online | the nodes with their sockets; who cleans up after a dead one | edges |
//! | `<prefix>:presence:of:<node>/<boot>` | set: users online there | the node's life | as above | who cleans up |
//! | `<prefix>:{presence}:nodes` | hash: `<node>/<boot>` → last beat in ms, whole | until cleaned up | edges | edges |
//! | `<prefix>:{presence}:node:<name>` | string, boot id | `PRESENCE_LIFE_MS` | that node | edges |
//! | `<prefix>:{presence}:sweep:<node>/<boot>` | string | 30 s | who cleans up | edges |
//! | `<prefix>:presence` | channel | – | edges | edges |
//!
//! A partition's tag is chosen so that the partitions spread evenly over the slots of a Redis
//! Cluster: plain numbers leave some primaries empty. All limits of a shard share one tag, so that
//! one call can count for many users.

use crate::model::id::UserId;

/// How many tags are tried for a partition, at the most.
const MOST_TRIES: u32 = 1_000_000;

/// Redis Cluster's slots.
const SLOTS: u32 = 16_384;

/// Builds keys under one prefix, so that clusters and tests can share a server.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
    tags: Vec<String>,
}

impl Keys {
    pub fn new(prefix: &str, partitions: u16) -> Self {
        let tags = (0..partitions).map(|partition| tag(partition, partitions)).collect();
        Self { prefix: prefix.to_owned(), tags }
    }

    fn of(&self, partition: u16, what: &str) -> String {
        format!("{}:{{{}}}:{what}", self.prefix, self.tags[usize::from(partition)])
    }

    pub fn input(&self, partition: u16) -> String {
        self.of(partition, "in")
    }

    pub fn output(&self, partition: u16) -> String {
        self.of(partition, "out")
    }

    pub fn dead(&self, partition: u16) -> String {
        self.of(partition, "dead")
    }

    pub fn lease(&self, partition: u16) -> String {
        self.of(partition, "lease")
    }

    /// Up to where members have read: marks that Postgres may not have yet.
    pub fn read(&self, partition: u16) -> String {
        self.of(partition, "read")
    }

    /// The marks that it has not.
    pub fn read_moved(&self, partition: u16) -> String {
        self.of(partition, "read:moved")
    }

    /// Those that it has, kept a while longer.
    pub fn read_stored(&self, partition: u16) -> String {
        self.of(partition, "read:stored")
    }

    pub fn node_names(&self) -> String {
        format!("{}:{{nodes}}:names", self.prefix)
    }

    pub fn node(&self, name: &str) -> String {
        format!("{}:{{nodes}}:node:{name}", self.prefix)
    }

    /// The nodes that count, and so share a limit while Redis is away.
    pub fn edges(&self, shard: usize) -> String {
        format!("{}:{{limits-{shard}}}:edges", self.prefix)
    }

    /// What a subject has used of a class of limits.
    pub fn limit(&self, shard: usize, class: &str, subject: &str) -> String {
        format!("{}:{{limits-{shard}}}:{class}:{subject}", self.prefix)
    }

    /// The channel of ephemera: typing, ended sessions, changed people.
    pub fn live_channel(&self) -> String {
        format!("{}:live", self.prefix)
    }

    /// The channel of marks, and of what a user did to their own chats.
    pub fn receipts_channel(&self) -> String {
        format!("{}:receipts", self.prefix)
    }

    /// Where a user is online.
    pub fn presence(&self, user: UserId) -> String {
        format!("{}:presence:{user}", self.prefix)
    }

    /// Who is online at a process, `<node>/<boot>`.
    pub fn presence_of(&self, process: &str) -> String {
        format!("{}:presence:of:{process}", self.prefix)
    }

    /// The processes that users may be online at.
    pub fn presence_nodes(&self) -> String {
        format!("{}:{{presence}}:nodes", self.prefix)
    }

    /// The heartbeat of a node that serves clients.
    pub fn presence_node(&self, name: &str) -> String {
        format!("{}:{{presence}}:node:{name}", self.prefix)
    }

    /// Who cleans up after a dead process.
    pub fn presence_sweep(&self, process: &str) -> String {
        format!("{}:{{presence}}:sweep:{process}", self.prefix)
    }

    /// The channel of comings and goings.
    pub fn presence_channel(&self) -> String {
        format!("{}:presence", self.prefix)
    }
}

/// The first of `p<partition>-<k>` whose slot lies in the partition's share of the slots.
fn tag(partition: u16, partitions: u16) -> String {
    let share = |slot: u32| slot * u32::from(partitions) / SLOTS;
    (0..MOST_TRIES)
        .map(|k| format!("p{partition}-{k}"))
        .find(|tag| {
            share(u32::from(fred::util::redis_keyslot(tag.as_bytes()))) == u32::from(partition)
        })
        .expect("CRC16 reaches every slot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_spread_evenly_over_the_slots_of_a_cluster() {
        let keys = Keys::new("t", 16);
        for partition in 0..16 {
            let slot = fred::util::redis_keyslot(keys.input(partition).as_bytes());
            assert_eq!(u32::from(slot) * 16 / SLOTS, u32::from(partition));
            for key in [
                keys.lease(partition),
                keys.read(partition),
                keys.read_moved(partition),
                keys.read_stored(partition),
            ] {
                assert_eq!(slot, fred::util::redis_keyslot(key.as_bytes()), "{key}");
            }
        }
    }

    /// A changed key is a lost stream: these names are part of the format.
    #[test]
    fn names_are_frozen() {
        let keys = Keys::new("chat", 16);
        let partition_0 = keys.output(0);
        assert_eq!(partition_0, format!("chat:{{{}}}:out", tag(0, 16)));
        assert!(partition_0.starts_with("chat:{p0-"));
    }
}
