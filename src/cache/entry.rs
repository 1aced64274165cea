//! One stored result, and what is known of it without reading it.

use super::call_key::{of_result, record_key};
use crate::codec::{ArrayView, Codec as _, DocumentCodec, DocumentView};
use crate::column::{Column, ColumnKind, ColumnValues, Row};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::key::Key;
use crate::store::{Readable, Record, Snapshot, Writer};
use serde_json::Value;

/// The column of a cache: when each result was stored, in seconds since 1970 (UTC).
pub(super) const STORED: Column = Column::new("stored", ColumnKind::F64, 1);

/// What is known of a stored result without reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryInfo {
    /// The key of its record: the text of the call, or `#` and a digest of a long one, which then
    /// stands in the head.
    pub key: Box<str>,
    /// When it was stored, in seconds since 1970 (UTC).
    pub stored: f64,
    /// Its length before compression, in bytes.
    pub bytes: u64,
    pub(super) ordinal: u64,
}

/// A stored result: the record, which stays as it is whatever happens to the cache.
#[derive(Debug, Clone)]
pub struct Entry {
    record: Record,
}

/// The parts of an [`Entry`].
#[derive(Debug, Clone)]
pub struct EntryView<'a> {
    document: DocumentView<'a>,
    head: Value,
}

impl Entry {
    /// The result of the call with this text in `snapshot`; `None` if there is none.
    pub(super) fn find(snapshot: &Snapshot, text: &str) -> Result<Option<Self>> {
        let key = record_key(text);
        let record = match snapshot.get_key(&key) {
            Err(e) if matches!(e.root(), Error::NotFound { .. }) => return Ok(None),
            record => record?,
        };
        let entry = Self { record };
        // Two long calls can have one digest.
        if let Some((_, true)) = of_result(&key)
            && entry.view()?.key() != Some(text)
        {
            return Ok(None);
        }
        Ok(Some(entry))
    }

    pub(super) const fn new(record: Record) -> Self {
        Self { record }
    }

    /// The bytes of the record.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Head and arrays, verified by each call.
    ///
    /// # Errors
    /// [`Error::Codec`] if it is not an entry of a cache.
    pub fn view(&self) -> Result<EntryView<'_>> {
        let document = DocumentCodec.decode(&self.record)?;
        let head: Value = serde_json::from_str(document.head())
            .map_err(|e| Error::codec("document", format!("the head of the entry: {e}")))?;
        Ok(EntryView { document, head })
    }
}

impl<'a> EntryView<'a> {
    /// The text of the call.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.head.get("key").and_then(Value::as_str)
    }

    /// When it was stored, in seconds since 1970 (UTC).
    #[must_use]
    pub fn stored(&self) -> Option<f64> {
        self.head.get("stored").and_then(Value::as_f64)
    }

    /// The tree of the result; numbers in it name arrays.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        self.head.get("result")
    }

    /// The extra data that was stored beside the result.
    #[must_use]
    pub fn extra(&self) -> Option<&Value> {
        self.head.get("extra")
    }

    /// The arrays.
    #[must_use]
    pub fn arrays(&self) -> &[ArrayView<'a>] {
        self.document.arrays()
    }
}

/// All results in the order in which they were stored, from the index: no result is read, but for the
/// time of those whose row the index does not keep.
pub(super) fn list(source: &impl Readable) -> Result<Vec<EntryInfo>> {
    let mut out = Vec::new();
    let times = if Column::find(source.columns(), &STORED.name).is_some() {
        let found = source.column(&STORED.name, 0..source.len())?;
        let unknown = found.unknown;
        match found.values {
            ColumnValues::F64(times) => Some((times, unknown)),
            ColumnValues::I64(_) => None,
        }
    } else {
        None
    };
    source.visit_index(&mut |ordinal, key, place| {
        let text = key.as_ref().and_then(of_result).map(|(text, _)| Box::from(text));
        if let Some(key) = text {
            out.push(EntryInfo { key, stored: f64::NAN, bytes: place.len(), ordinal });
        }
        Ok(())
    })?;
    for entry in &mut out {
        let kept =
            times.as_ref().filter(|(_, unknown)| unknown.binary_search(&entry.ordinal).is_err());
        let at = usize::try_from(entry.ordinal).unwrap_or(usize::MAX);
        entry.stored = match kept.and_then(|(times, _)| times.get(at)) {
            Some(time) => *time,
            // A damaged one counts as the oldest: it is the first to go.
            None => source
                .get_at(entry.ordinal)
                .and_then(|record| Ok(Entry::new(record).view()?.stored().unwrap_or(0.0)))
                .or_else(|e| if e.is_damage() { Ok(0.0) } else { Err(e) })?,
        };
    }
    Ok(out)
}

impl EntryInfo {
    /// The key of its record.
    pub(super) fn record_key(&self) -> Key {
        Key::from(&*self.key)
    }
}

/// Puts a record with the time in its row, where the store has that column.
pub(super) fn put_row(writer: &mut Writer, key: &Key, bytes: &[u8], stored: f64) -> Result<()> {
    let columns = writer.columns().to_vec();
    let mut row = Row::new(&columns);
    if Column::find(&columns, &STORED.name).is_some() {
        row.set_f64(&STORED.name, &[stored])?;
    }
    writer.put_row(Some(key), bytes, 0, &row, Existing::Replace).map(drop)
}
