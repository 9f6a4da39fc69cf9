//! Where things lie: chat → partition, partition → Redis shard, partition → owner.
//!
//! All three by the same consistent hash ring. The first is fixed for a cluster's life and pure; a
//! golden test freezes it, and Postgres records the number of partitions, so that a node that would
//! map otherwise refuses to start. The ring's look-ups allocate, so it is asked once for each of
//! 16,384 slots, and a chat's look-up is a hash and an index.

use std::hash::{Hash, Hasher};

use consistent_hash::{Node, RingHash, StaticHashRing};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::model::id::ChatId;

/// Virtual nodes of each point; the crate's default of 1 spreads badly.
const VIRTUAL_NODES: usize = 512;

const SLOTS: usize = 16_384;

/// Chat → partition.
#[derive(Clone)]
pub struct Partitioner {
    slots: Box<[u16]>,
}

impl Partitioner {
    pub fn new(partitions: u16) -> Self {
        let ring = ring(0..u64::from(partitions));
        let slots = (0..SLOTS as u64).map(|slot| {
            let partition = ring.calc_candidates(&slot).next().map_or(0, |node| node.key);
            u16::try_from(partition).expect("a key of the ring is a partition")
        });
        Self { slots: slots.collect() }
    }

    pub fn of(&self, chat: ChatId) -> u16 {
        let hash = xxh3_64(chat.0.as_bytes());
        let slot = usize::try_from(hash >> 50).expect("14 bits");
        self.slots[slot]
    }
}

/// Places every partition on one of `places`, evenly: each takes its ring's first candidate that is
/// not full. Everyone who knows the same places computes the same, and few partitions move when a
/// place comes or goes. Empty where there is no place.
pub fn place<'a>(partitions: u16, places: &'a [String]) -> Vec<&'a str> {
    if places.is_empty() {
        return Vec::new();
    }
    let hashes: Vec<u64> = places.iter().map(|place| xxh3_64(place.as_bytes())).collect();
    let ring = ring(hashes.iter().copied());
    let most = usize::from(partitions).div_ceil(places.len());
    let mut load = vec![0; places.len()];
    let mut choose = |partition: u64| -> &'a str {
        let candidates = ring.calc_candidates(&partition);
        let found = candidates
            .filter_map(|node| hashes.iter().position(|hash| *hash == node.key))
            .find(|place| load[*place] < most)
            .unwrap_or(0);
        load[found] += 1;
        &places[found]
    };
    (0..u64::from(partitions)).map(&mut choose).collect()
}

fn ring(keys: impl Iterator<Item = u64>) -> StaticHashRing<'static, u64, (), Xxh3Ring> {
    StaticHashRing::new(Xxh3Ring, keys.map(|key| Node::new(key).quantity(VIRTUAL_NODES)))
}

/// The ring's hash: xxh3 over little-endian bytes. The crate's default goes through std's hashing,
/// which nobody promises to keep.
struct Xxh3Ring;

impl RingHash for Xxh3Ring {
    fn hash_item<T: Hash>(&self, item: &T) -> u64 {
        let mut hasher = Bytes(Xxh3::new());
        item.hash(&mut hasher);
        hasher.finish()
    }

    fn hash_vnode<K: Hash>(&self, item: &K, vnode: usize) -> u64 {
        let mut hasher = Bytes(Xxh3::with_seed(1));
        item.hash(&mut hasher);
        hasher.write_u64(vnode as u64);
        hasher.finish()
    }
}

/// Hashes integers by their little-endian bytes on every platform.
struct Bytes(Xxh3);

impl Hasher for Bytes {
    fn finish(&self) -> u64 {
        self.0.digest()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use uuid::Uuid;

    use super::*;

    fn chat(n: u128) -> ChatId {
        ChatId(Uuid::from_u128(n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)))
    }

    /// The mapping is for ever: a chat that hashed elsewhere would get a second history.
    #[test]
    fn chats_stay_where_they_are() {
        let partitioner = Partitioner::new(16);
        let found: Vec<u16> = (0..32).map(|n| partitioner.of(chat(n))).collect();
        let golden = include!("golden_partitions.in");
        assert_eq!(found, golden);
    }

    #[test]
    fn chats_spread_over_the_partitions() {
        let partitioner = Partitioner::new(16);
        let mut load = HashMap::<u16, u32>::new();
        for n in 0..100_000 {
            *load.entry(partitioner.of(chat(n))).or_default() += 1;
        }
        assert_eq!(load.len(), 16);
        let most = load.values().max().unwrap();
        assert!(*most < 100_000 / 16 * 5 / 4, "the fullest partition has {most}");
    }

    #[test]
    fn places_are_even_and_few_partitions_move() {
        let nodes: Vec<String> = (1..=4).map(|n| format!("n{n}")).collect();
        let three = place(64, &nodes[..3]);
        let four = place(64, &nodes);
        for name in &nodes[..3] {
            assert!(three.iter().filter(|at| *at == name).count() <= 22);
        }
        let moved = three.iter().zip(&four).filter(|(before, after)| before != after).count();
        assert!(moved <= 32, "{moved} of 64 moved for one node more");
        assert_eq!(place(64, &nodes), four);
        assert!(place(64, &[]).is_empty());
    }
}
