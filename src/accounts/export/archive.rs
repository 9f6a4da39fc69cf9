//! A ZIP that is handed over in pieces while it is written.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

use crate::error::{Error, Result};

/// What is packed but not handed over, about; one row can be more.
const PIECE_BYTES: usize = 32 * 1024;

/// Where the packer writes to.
#[derive(Clone, Default)]
struct Packed(Arc<Mutex<Vec<u8>>>);

impl Packed {
    fn len(&self) -> usize {
        self.0.lock().expect("nothing panics while it is held").len()
    }

    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().expect("nothing panics while it is held"))
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nothing panics while it is held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Archive {
    /// Boxed, as it is large and moves through futures.
    zip: Box<ZipWriter<StreamWriter<Packed>>>,
    packed: Packed,
    out: mpsc::Sender<Bytes>,
    /// Whether the list that was begun has rows.
    has_items: bool,
}

impl Archive {
    pub(super) fn new(out: mpsc::Sender<Bytes>) -> Self {
        let packed = Packed::default();
        let zip = Box::new(ZipWriter::new_stream(packed.clone()));
        Self { zip, packed, out, has_items: false }
    }

    /// A file with one object.
    pub(super) async fn object(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        self.start(name)?;
        let mut text = serde_json::to_vec_pretty(value).map_err(Error::internal)?;
        text.push(b'\n');
        self.write(&text)?;
        self.hand_over(PIECE_BYTES).await
    }

    /// Begins a file with a list; its rows come by [`Self::item`].
    pub(super) fn begin(&mut self, name: &str) -> Result<()> {
        self.has_items = false;
        self.start(name)?;
        self.write(b"[")
    }

    /// Adds a row, in a line of its own.
    pub(super) async fn item(&mut self, row: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(row).map_err(Error::internal)?;
        let separator: &[u8] = if self.has_items { b",\n" } else { b"\n" };
        self.has_items = true;
        self.write(separator)?;
        self.write(&text)?;
        self.hand_over(PIECE_BYTES).await
    }

    pub(super) async fn end(&mut self) -> Result<()> {
        self.write(b"\n]\n")?;
        self.hand_over(PIECE_BYTES).await
    }

    pub(super) async fn finish(mut self) -> Result<()> {
        let (packed, out) = (self.packed.clone(), self.out.clone());
        self.hand_over(1).await?;
        self.zip.finish().map_err(Error::internal)?;
        send(&out, packed.take()).await
    }

    fn start(&mut self, name: &str) -> Result<()> {
        self.zip.start_file(name, SimpleFileOptions::default()).map_err(Error::internal)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.zip.write_all(bytes).map_err(Error::internal)
    }

    async fn hand_over(&mut self, from_bytes: usize) -> Result<()> {
        if self.packed.len() < from_bytes {
            return Ok(());
        }
        send(&self.out, self.packed.take()).await
    }
}

async fn send(out: &mpsc::Sender<Bytes>, piece: Vec<u8>) -> Result<()> {
    if piece.is_empty() {
        return Ok(());
    }
    // Where nobody reads any more, what is made of it does not matter.
    out.send(piece.into()).await.map_err(|_| Error::internal("the reader has gone"))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn what_was_packed_can_be_read() {
        let (out, mut pieces) = mpsc::channel(64);
        let mut archive = Archive::new(out);
        archive.object("one.json", &json!({ "a": "ü" })).await.unwrap();
        archive.begin("empty.json").unwrap();
        archive.end().await.unwrap();
        archive.begin("many/rows.json").unwrap();
        for n in 0..20_000_u64 {
            // Hardly to be compressed, so that there are several pieces.
            let text = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string();
            archive.item(&json!({ "n": n, "text": text })).await.unwrap();
        }
        archive.end().await.unwrap();
        archive.finish().await.unwrap();

        let mut all = Vec::new();
        let mut count = 0;
        while let Some(piece) = pieces.recv().await {
            assert!(piece.len() < 2 * PIECE_BYTES, "{} bytes in a piece", piece.len());
            all.extend_from_slice(&piece);
            count += 1;
        }
        assert!(count > 2, "{count} pieces");
        let mut zip = zip::ZipArchive::new(Cursor::new(all)).unwrap();
        let mut read = |name: &str| {
            let mut text = String::new();
            zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!(read("one.json"), json!({ "a": "ü" }));
        assert_eq!(read("empty.json"), json!([]));
        let rows = read("many/rows.json");
        assert_eq!(rows.as_array().unwrap().len(), 20_000);
        assert_eq!(rows[19_999]["n"], 19_999);
    }
}
