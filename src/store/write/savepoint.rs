//! Steps that a writer does whole or not at all, among others that are in no commit yet.

use crate::error::Result;
use crate::index::key_hash::key_hash;
use crate::index::layout::key_bytes;
use crate::store::read::rows::RowCursor;
use crate::store::write::writer::Writer;

impl Writer {
    /// Does `step` whole or not at all. If it fails, what it put is deleted, and what it replaced or
    /// deleted is put again, behind all others; what was put before and is in no commit stays.
    ///
    /// # Errors
    /// What `step` returns. As [`Writer::put`] if that cannot be undone: then the writer is poisoned and the
    /// store is as of the last commit.
    pub(crate) fn all_or_nothing<R>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        self.usable()?;
        let outermost = self.undo_list.is_none();
        let (first, mark) = (self.reader.ids(), self.undo_list.get_or_insert_default().len());
        let mut done = step(self);
        if done.is_err() && self.usable().is_ok() {
            let undo_list = self.undo_list.as_ref().and_then(|k| k.get(mark..)).unwrap_or_default();
            let undo_list = undo_list.iter().copied().filter(|id| *id < first).collect();
            if let Err(error) = self.guard(|w| w.undo(first, undo_list)) {
                done = Err(error);
            }
        }
        if outermost {
            self.undo_list = None;
        }
        done
    }

    /// Deletes all records from the number `first` on, and puts those again that were deleted since.
    fn undo(&mut self, first: u64, mut undo_list: Vec<u64>) -> Result<()> {
        for id in first..self.reader.ids() {
            if self.reader.ordinal_of(id)?.is_some() {
                let hash = self.hash_of(id)?;
                self.kill(hash, id)?;
            }
        }
        undo_list.sort_unstable();
        let mut rows = RowCursor::default();
        for id in undo_list {
            let place = self.reader.entry(id)?;
            let bytes = self.reader.record(&place)?;
            let row = rows.row(&self.reader, id, &place)?.map(<[u64]>::to_vec);
            let key = self.reader.key_of(id)?;
            let mut scratch = [0; 8];
            let named = key.as_ref().and_then(|key| key_bytes(key, &mut scratch));
            let named = named.map(|(kind, key)| (kind, key, key_hash(kind, key)));
            self.add(named, &bytes, place.weight, row.as_deref(), None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, ColumnKind, ColumnValues, Row};
    use crate::error::Error;
    use crate::store::read::readable::Readable;
    use crate::{Durability, Existing, Key, Layout, StoreOptions, WriteOptions};
    use std::collections::BTreeMap;

    fn all(w: &Writer) -> BTreeMap<String, Vec<u8>> {
        let keys = w.keys().unwrap();
        keys.into_iter().map(|k| (k.to_string(), w.get_key(&k).unwrap().to_vec())).collect()
    }

    #[test]
    fn a_step_that_fails_leaves_all_that_was_put_before() {
        let options = StoreOptions {
            layout: Layout { chunk_size: 4096, block_size: 2048, ..Layout::default() },
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
        };
        let mut w = Writer::in_memory(&options).unwrap();
        for i in 0..100 {
            w.put(i, &[7; 100]).unwrap();
        }
        w.push(b"without a key").unwrap();
        w.commit().unwrap();
        w.put(5, b"not committed").unwrap();
        w.delete(6).unwrap();
        let (before, len) = (all(&w), w.len());
        let failed = w.all_or_nothing(|w| {
            for i in 50..150 {
                w.put(i, &[9; 200])?;
                w.put(i, &[8; 100])?;
            }
            w.delete(5)?;
            w.delete_at(3)?;
            w.flush_memtable()?;
            w.put("new", b"1")?;
            w.delete("not there")
        });
        assert!(matches!(failed.unwrap_err(), Error::NotFound { .. }));
        assert_eq!((all(&w), w.len()), (before.clone(), len));
        // A step within one that fails is undone with it, and one within one that does not is not.
        w.all_or_nothing(|w| {
            w.put("outer", b"stays")?;
            assert!(
                w.all_or_nothing(|w| w.put("outer", b"goes").and_then(|_| w.delete("no"))).is_err()
            );
            assert_eq!(&w.get("outer")?[..], b"stays");
            w.all_or_nothing(|w| w.put("inner", b"stays"))
        })
        .unwrap();
        assert!(
            w.all_or_nothing(|w| w
                .all_or_nothing(|w| w.delete("inner"))
                .and_then(|()| w.delete("no")))
                .is_err()
        );
        assert_eq!((&w.get("inner").unwrap()[..], w.len()), (&b"stays"[..], len + 2));
        w.delete("outer").unwrap();
        w.delete("inner").unwrap();
        w.close().unwrap();
    }

    #[test]
    fn rows_come_back_too() {
        let columns = [Column::new("n", ColumnKind::I64, 1)];
        let layout = Layout { columns: Some(columns.to_vec()), ..Layout::default() };
        let mut w = Writer::in_memory(&StoreOptions { layout, ..StoreOptions::default() }).unwrap();
        for i in 0..20_i64 {
            let mut row = Row::new(&columns);
            row.set_i64("n", &[i]).unwrap();
            w.put_row(Some(&Key::from(i)), b"x", 0, &row, Existing::Refuse).unwrap();
            if i == 9 {
                w.flush_memtable().unwrap();
            }
        }
        let clears = |w: &mut Writer| (0..20).try_for_each(|i| w.delete(i));
        assert!(w.all_or_nothing(|w| clears(w).and_then(|()| w.delete("no"))).is_err());
        let column = w.column("n", 0..20).unwrap();
        assert_eq!(column.values, ColumnValues::I64((0..20).collect()));
        assert!(column.unknown.is_empty());
    }
}
