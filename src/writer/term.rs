//! A term: one owner's time with one partition.
//!
//! Beginning one takes the fence from Postgres, sees where the last owner's `out` ended, and puts a
//! marker behind it. From then on the last owner can neither commit nor publish.

use fred::interfaces::StreamsInterface;

use crate::log::entry::{COVERS, TAIL_SEEN};
use crate::log::shard::Shards;
use crate::log::stream::{StreamId, is_stale_id, newest};
use crate::store::{Pool, partitions};

pub(super) struct Term {
    pub(super) partition: u16,
    pub(super) fence: i64,
    /// The number of the last entry of this term in `out`.
    pub(super) published: u64,
    /// Up to where `in` has been read.
    pub(super) position: StreamId,
}

/// Why a term did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeoverError {
    #[error("another took it over at the same time")]
    Lost,
    #[error(transparent)]
    Redis(#[from] fred::error::Error),
    #[error(transparent)]
    Postgres(#[from] crate::error::Error),
}

impl Term {
    pub(super) async fn begin(
        pool: &Pool,
        shards: &Shards,
        partition: u16,
        owner: &str,
    ) -> Result<Self, TakeoverError> {
        let fence = partitions::take_over(pool, partition.cast_signed(), owner).await?;
        let client = &shards.of(partition).client;
        let key = shards.keys.output(partition);
        let tail = newest(client, &key).await?;
        let position = tail.as_ref().and_then(|tail| tail.id_field(COVERS));
        let position = position.unwrap_or(StreamId::START);
        let seen = tail.map_or(StreamId::START, |tail| tail.id);
        let fields = vec![(COVERS, position.to_string()), (TAIL_SEEN, seen.to_string())];
        let marker = format!("{fence}-0");
        let added: Result<(), _> = client.xadd(key, false, None, marker, fields).await;
        match added {
            Ok(()) => {}
            Err(error) if is_stale_id(&error) => return Err(TakeoverError::Lost),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(partition, fence, %position, "took a partition over");
        Ok(Self { partition, fence, published: 0, position })
    }
}
