//! Columns of typed records: read from the index where it has them, else from the records.

use super::read::Depot;
use crate::codec::{AnyCodec, Codec};
use crate::column::{Column, ColumnValues};
use crate::error::{Error, Result};
use crate::store::{ColumnData, Readable};
use std::ops::Range;

/// Records that are decoded together where a column must be.
const WINDOW: usize = 256;

/// Columns of typed records, of whatever is [read](Readable).
pub trait Columns: Readable {
    /// The column `name` of the records at the ordinals `range`, as far as there are records:
    /// from the index, and of records that were put without a row from their bytes, by `codec`.
    /// A store without that column (of the original program, for one) is decoded record by
    /// record. [`ColumnData::unknown`] is left with those that are not such a record.
    ///
    /// # Errors
    /// [`Error::NotFound`] if neither the store nor the codec has such a column; else as
    /// [`Readable::get`](crate::Readable::get).
    fn column_by(&self, codec: &dyn AnyCodec, name: &str, range: Range<u64>) -> Result<ColumnData> {
        let maker = codec.rows();
        let made = maker.and_then(|m| Column::find(m.columns, name).map(|found| (m, found)));
        let everywhere = name == Column::WEIGHT.name || name == Column::BYTES.name;
        let kept = everywhere || Column::find(self.columns(), name).is_some();
        let mut out = match (kept, &made) {
            (true, _) => self.column(name, range)?,
            (false, Some((_, (_, column)))) => {
                nothing(column, range.start, self.len().min(range.end))
            }
            (false, None) => return Err(unknown_column(name, self.columns(), codec)),
        };
        let Some((maker, (at, column))) = made.filter(|(_, (_, c))| **c == out.column) else {
            return Ok(out);
        };
        let count = column.count as usize;
        let absent = Column::absent(maker.columns);
        let asked = std::mem::take(&mut out.unknown);
        if asked.is_empty() {
            return Ok(out);
        }
        let mut words = out.values.into_words();
        for window in asked.chunks(WINDOW) {
            let mut ordinals = window.iter().copied();
            let batch = self.get_batch_at(window)?;
            batch.iter().try_for_each(|bytes| -> Result<()> {
                let ordinal = ordinals.next().unwrap_or(out.first);
                let mut row = absent.clone();
                if !(maker.fill)(bytes, &mut row) {
                    out.unknown.push(ordinal);
                    return Ok(());
                }
                let place = usize::try_from(ordinal - out.first).unwrap_or(usize::MAX);
                let place = place.checked_mul(count).and_then(|p| words.get_mut(p..p + count));
                if let (Some(place), Some(values)) = (place, row.get(at..at + count)) {
                    place.copy_from_slice(values);
                }
                Ok(())
            })?;
        }
        out.values = ColumnValues::from_words(column.kind, words);
        Ok(out)
    }
}

/// A column of records of which nothing is known yet.
fn nothing(column: &Column, first: u64, end: u64) -> ColumnData {
    let unknown: Vec<u64> = (first..end).collect();
    let words = vec![column.kind.absent(); unknown.len() * column.count as usize];
    let values = ColumnValues::from_words(column.kind, words);
    ColumnData { column: column.clone(), first, values, unknown }
}

fn unknown_column(name: &str, kept: &[Column], codec: &dyn AnyCodec) -> Error {
    let made = codec.rows().map_or(&[][..], |m| m.columns);
    let mut known: Vec<&str> = kept.iter().chain(made).map(|c| &*c.name).collect();
    known.extend(["weight", "bytes"]);
    known.sort_unstable();
    known.dedup();
    Error::invalid("column", format!("{name:?} is not one of {}", known.join(", ")))
}

impl<T: Readable + ?Sized> Columns for T {}

impl<C: Codec + Clone, S: Readable> Depot<C, S> {
    /// The column `name` of all records: one that the store keeps, one that the codec knows
    /// (of a frame `step`, `time`, `energy` and `cell`), or `weight` or `bytes`. What the store
    /// keeps is read without decoding a record; see [`Columns::column_by`].
    ///
    /// # Errors
    /// [`Error::Invalid`] with the known names for another one; else as [`Depot::get`].
    pub fn column(&self, name: &str) -> Result<ColumnData> {
        self.column_range(name, 0..self.len())
    }

    /// As [`Depot::column`], of the records at the ordinals `range`.
    ///
    /// # Errors
    /// As [`Depot::column`].
    pub fn column_range(&self, name: &str, range: Range<u64>) -> Result<ColumnData> {
        self.source().column_by(self.codec(), name, range)
    }
}
