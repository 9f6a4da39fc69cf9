//! Reading Redis Streams: ids, entries, the blocking read.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::Server;
use fred::types::{CustomCommand, Resp3Frame, Value};
use tokio::sync::broadcast::{self, error::TryRecvError};

/// The id of an entry. In `in` it is Redis's clock and a counter, in `out` the owner's fence and
/// the entry's number in that term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    pub high: u64,
    pub low: u64,
}

impl StreamId {
    /// Before every entry; also the tail of an empty stream.
    pub const START: Self = Self { high: 0, low: 0 };
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.high, self.low)
    }
}

impl FromStr for StreamId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (high, low) = text.split_once('-').ok_or(())?;
        Ok(Self { high: high.parse().map_err(|_| ())?, low: low.parse().map_err(|_| ())? })
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub id: StreamId,
    fields: Vec<(Bytes, Bytes)>,
}

impl Entry {
    pub fn new(id: StreamId, fields: Vec<(Bytes, Bytes)>) -> Self {
        Self { id, fields }
    }

    pub fn field(&self, name: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A field that holds an id.
    pub fn id_field(&self, name: &str) -> Option<StreamId> {
        std::str::from_utf8(self.field(name)?).ok()?.parse().ok()
    }
}

/// A connection of a blocking reader's own, since it is busy while a read blocks.
pub struct Reader {
    client: Client,
    /// Tells of every connection that was made behind the first.
    reconnections: Mutex<broadcast::Receiver<Server>>,
}

/// How long a lost connection may take to come back, before the reader says so.
const RECONNECT: Duration = Duration::from_secs(1);

impl Reader {
    /// Connects; waits only so long for it.
    pub(super) async fn connect(client: Client) -> Self {
        client.connect();
        tokio::time::timeout(RECONNECT, client.wait_for_connect()).await.ok();
        let reconnections = Mutex::new(client.reconnect_rx());
        Self { client, reconnections }
    }

    /// Whether the connection was lost since this was asked last, be it that it is back already. The
    /// streams may be others then: positions in them mean nothing any more.
    fn was_interrupted(&self) -> bool {
        let mut reconnections =
            self.reconnections.lock().expect("nothing panics while the lock is held");
        let mut any = false;
        while !matches!(reconnections.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {
            any = true;
        }
        any
    }

    /// A blocking read over several streams: the entries behind each position, by the stream's
    /// index. After an error the reader can be used again. A connection that was lost between two
    /// reads is an error too.
    ///
    /// fred does not watch a connection with a blocked command, so a time limit of ours stands
    /// around it. Nothing is sent while there is no connection: fred would keep it, and run it when
    /// nobody waits for it any more.
    pub async fn read(
        &self,
        streams: &[(String, StreamId)],
        count: u64,
        block: Duration,
    ) -> Result<Vec<(usize, Vec<Entry>)>, Error> {
        if !self.client.is_connected() {
            let connecting = tokio::time::timeout(RECONNECT, self.client.wait_for_connect()).await;
            connecting.unwrap_or_else(|_| Err(Error::new(ErrorKind::IO, "no connection")))?;
        }
        if self.was_interrupted() {
            return Err(Error::new(ErrorKind::IO, "the connection was lost"));
        }
        let reading = read(&self.client, streams, count, block);
        let Ok(read) = tokio::time::timeout(block + Duration::from_secs(2), reading).await else {
            // The blocked command would hold the connection for good: have a new one made.
            tokio::time::timeout(RECONNECT, self.client.force_reconnection()).await.ok();
            return Err(Error::new(ErrorKind::Timeout, "the blocking read did not return"));
        };
        read
    }

    /// Ends the connection.
    pub async fn close(&self) {
        tokio::time::timeout(RECONNECT, self.client.quit()).await.ok();
    }
}

async fn read(
    client: &Client,
    streams: &[(String, StreamId)],
    count: u64,
    block: Duration,
) -> Result<Vec<(usize, Vec<Entry>)>, Error> {
    let mut args: Vec<Value> = Vec::with_capacity(streams.len() * 2 + 5);
    args.extend(["COUNT".into(), count.to_string().into()]);
    args.extend(["BLOCK".into(), block.as_millis().to_string().into(), "STREAMS".into()]);
    args.extend(streams.iter().map(|(key, _)| key.as_str().into()));
    args.extend(streams.iter().map(|(_, after)| after.to_string().into()));
    let command = CustomCommand::new_static("XREAD", None, true);
    parse_read(client.custom_raw(command, args).await?, streams)
}

fn parse_read(
    answer: Resp3Frame,
    streams: &[(String, StreamId)],
) -> Result<Vec<(usize, Vec<Entry>)>, Error> {
    let parts = match answer {
        Resp3Frame::Null => return Ok(Vec::new()),
        Resp3Frame::Array { data, .. } => data,
        Resp3Frame::SimpleError { data, .. } => return Err(error_of(&data)),
        _ => return Err(unexpected()),
    };
    parts
        .into_iter()
        .map(|part| {
            let [key, entries] = pair(part)?;
            let key = bytes(key)?;
            let index = streams.iter().position(|(name, _)| name.as_bytes() == key);
            Ok((index.ok_or_else(unexpected)?, parse_entries(entries)?))
        })
        .collect()
}

/// The newest entry of a stream.
pub async fn newest(client: &Client, key: &str) -> Result<Option<Entry>, Error> {
    let args: Vec<Value> = vec![key.into(), "+".into(), "-".into(), "COUNT".into(), "1".into()];
    let command = CustomCommand::new_static("XREVRANGE", None, false);
    match client.custom_raw(command, args).await? {
        Resp3Frame::SimpleError { data, .. } => Err(error_of(&data)),
        Resp3Frame::Null => Ok(None),
        entries => Ok(parse_entries(entries)?.into_iter().next()),
    }
}

/// The id of the oldest entry behind a position.
pub async fn oldest_behind(
    client: &Client,
    key: &str,
    position: StreamId,
) -> Result<Option<StreamId>, Error> {
    let behind = format!("({position}");
    let args: Vec<Value> = vec![key.into(), behind.into(), "+".into(), "COUNT".into(), "1".into()];
    let command = CustomCommand::new_static("XRANGE", None, false);
    match client.custom_raw(command, args).await? {
        Resp3Frame::SimpleError { data, .. } => Err(error_of(&data)),
        Resp3Frame::Null => Ok(None),
        entries => Ok(parse_entries(entries)?.first().map(|entry| entry.id)),
    }
}

/// Redis's clock, in milliseconds: the one that ids of `in` are made of.
pub async fn clock(client: &Client) -> Result<u64, Error> {
    let command = CustomCommand::new_static("TIME", None, false);
    let [seconds, micros] = pair(client.custom_raw(command, Vec::<Value>::new()).await?)?;
    let number = |frame| {
        let text = bytes(frame)?;
        std::str::from_utf8(&text).ok().and_then(|t| t.parse::<u64>().ok()).ok_or_else(unexpected)
    };
    Ok(number(seconds)? * 1_000 + number(micros)? / 1_000)
}

fn parse_entries(frame: Resp3Frame) -> Result<Vec<Entry>, Error> {
    array(frame)?
        .into_iter()
        .map(|entry| {
            let [id, fields] = pair(entry)?;
            let id = bytes(id)?;
            let id = std::str::from_utf8(&id).ok().and_then(|id| id.parse().ok());
            let mut fields = array(fields)?.into_iter();
            let mut pairs = Vec::with_capacity(fields.len() / 2);
            while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
                pairs.push((bytes(name)?, bytes(value)?));
            }
            Ok(Entry { id: id.ok_or_else(unexpected)?, fields: pairs })
        })
        .collect()
}

fn array(frame: Resp3Frame) -> Result<Vec<Resp3Frame>, Error> {
    match frame {
        Resp3Frame::Array { data, .. } => Ok(data),
        _ => Err(unexpected()),
    }
}

fn pair(frame: Resp3Frame) -> Result<[Resp3Frame; 2], Error> {
    array(frame)?.try_into().map_err(|_| unexpected())
}

fn bytes(frame: Resp3Frame) -> Result<Bytes, Error> {
    match frame {
        Resp3Frame::BlobString { data, .. } | Resp3Frame::SimpleString { data, .. } => Ok(data),
        _ => Err(unexpected()),
    }
}

fn error_of(text: &str) -> Error {
    Error::new(ErrorKind::Unknown, text.to_owned())
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Protocol, "an answer of an unexpected form")
}

/// Whether Redis refused an entry because its id is not above the top: another owner was here.
pub fn is_stale_id(error: &Error) -> bool {
    error.details().contains("equal or smaller than the target stream top item")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_both_parts() {
        let id = |text: &str| text.parse::<StreamId>().unwrap();
        assert!(id("2-0") > id("1-99"));
        assert!(id("9-2") < id("9-10"));
        assert_eq!(id("7-3").to_string(), "7-3");
        assert!("7".parse::<StreamId>().is_err());
    }
}
