//! Records of one store on their way into another: in order, chosen, in bounded memory.

use crate::error::{Error, Result};
use crate::index::layout::{KEY_NONE, key_from_bytes};
use crate::index::leaf::Place;
use crate::key::Key;
use crate::store::Readable;
use crate::store::read::reader::Reader;
use crate::store::read::rows::{RowCursor, RowMap};
use crate::store::read::snapshot::Snapshot;
use crate::store::write::writer::Writer;

/// Bytes of records that are decoded together. A larger record is read alone.
const GATHERED: u64 = 4 << 20;
/// Most of them, so that many small ones do not make a large index in memory.
const GATHERED_RECORDS: usize = 8192;

/// One record under way.
pub(crate) struct Item<'a> {
    pub(crate) key: Option<&'a Key>,
    pub(crate) weight: u32,
    pub(crate) bytes: &'a [u8],
    /// Its row, if it has one.
    pub(crate) row: Option<&'a [u64]>,
}

/// Puts records of one store into another, rows with them.
pub(crate) struct RecordTransfer(RowMap);

impl RecordTransfer {
    pub(crate) fn new(from: &Snapshot, to: &Writer) -> Self {
        Self(RowMap::new(from.columns(), to.layout().columns()))
    }

    /// Puts a record under `key`.
    pub(crate) fn put(
        &mut self,
        to: &mut Writer,
        key: Option<&Key>,
        item: &Item<'_>,
    ) -> Result<u64> {
        to.put_with_row(
            key,
            item.bytes,
            item.weight,
            self.0.apply(item.row),
            crate::Existing::Refuse,
        )
    }
}

/// Calls `f` with every record that `wanted` chooses by ordinal, key and length, in order. Reads
/// the index leaf by leaf and the records some at a time: each block once, no other block.
pub(crate) fn stream(
    snapshot: &Snapshot,
    mut wanted: impl FnMut(u64, Option<&Key>, u64) -> Result<bool>,
    mut f: impl FnMut(Item<'_>) -> Result<()>,
) -> Result<()> {
    let reader = &snapshot.inner().reader;
    let mut gathered = Gathered::default();
    let mut dead = reader.dead()?.iter().peekable();
    let mut ordinal = 0;
    reader.each_record(|id, entry, kind, key| {
        if dead.next_if_eq(&id).is_some() {
            return Ok(());
        }
        let here = ordinal;
        ordinal += 1;
        let key = key_of(entry, kind, key)?;
        let len = u64::from(entry.len);
        if !wanted(here, key.as_ref(), len)? {
            return Ok(());
        }
        if gathered.bytes + len > GATHERED || gathered.records.len() >= GATHERED_RECORDS {
            gathered.empty(reader, &mut f)?;
        }
        gathered.bytes += len;
        gathered.records.push((here, key, id, *entry));
        Ok(())
    })?;
    gathered.empty(reader, &mut f)
}

/// The key of a record from its bytes in the index.
pub(crate) fn key_of(entry: &Place, kind: u8, bytes: &[u8]) -> Result<Option<Key>> {
    if kind == KEY_NONE {
        return Ok(None);
    }
    let key = key_from_bytes(kind, bytes);
    key.map(Some)
        .ok_or_else(|| Error::corrupt("record entry", entry.start, "its key is of no known kind"))
}

#[derive(Default)]
struct Gathered {
    records: Vec<(u64, Option<Key>, u64, Place)>,
    bytes: u64,
    rows: RowCursor,
}

impl Gathered {
    fn empty(&mut self, reader: &Reader, f: &mut impl FnMut(Item<'_>) -> Result<()>) -> Result<()> {
        let entries: Vec<Place> = self.records.iter().map(|r| r.3).collect();
        let batch = match reader.batch(&entries) {
            Ok(batch) => batch,
            Err(e) => return Err(self.name(reader, e)),
        };
        for ((_, key, id, entry), bytes) in self.records.iter().zip(batch.iter()) {
            let weight = entry.weight;
            let row = self.rows.row(reader, *id, entry)?;
            f(Item { key: key.as_ref(), weight, bytes, row })?;
        }
        self.records.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Which record it is that cannot be read.
    fn name(&self, reader: &Reader, e: Error) -> Error {
        for (ordinal, key, _, entry) in &self.records {
            if let Err(e) = reader.record(entry) {
                return match key {
                    Some(key) => e.of_record(key),
                    None => e.of_record(&format_args!("at {ordinal}")),
                };
            }
        }
        e
    }
}
