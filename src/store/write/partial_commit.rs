//! The automatic commit that does not wait: what is in the file already is committed while
//! chunks behind it are still being compressed.
//!
//! An ordinary commit waits until every closed chunk is written, and the compression threads
//! then have nothing to do. A commit that becomes due by the number of bytes need not hold the
//! newest records, so it takes the finished chunks alone, and the records that end in them.
//! Nothing is open in the state that it makes: the next record of a writer that continues from
//! there starts with the next chunk.

use crate::error::Result;
use crate::index::slot::Slot;
use crate::store::write::writer::{Logged, Writer};
use crate::wire::U32;

/// A state that ends where a chunk ends: how much of the memtable belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    records: usize,
    keys: usize,
    chunks: usize,
    sums: usize,
    /// End of the last chunk in the logical byte space.
    cursor: u64,
}

impl Writer {
    /// Commits finished chunks and the records in them, such that at most `rest` bytes stay
    /// uncommitted; whether it could. Nothing has happened if not, except that chunks may have
    /// been written.
    pub(crate) fn commit_partially(&mut self, rest: u64) -> Result<bool> {
        // What is deleted or replaced must not come apart from what replaced it, and a leaf
        // already written belongs to the next root.
        let whole = self.attributes.changed
            || self.commits.flushed
            || self.reader.memtable.dead.len() != self.log.logged.dead
            || self.memtable_is_full();
        if whole {
            return Ok(false);
        }
        self.write_finished(false)?;
        let cut = loop {
            let cut = self.cut();
            if let Some(cut) = cut.filter(|c| self.bytes_from(c.records) <= rest) {
                break cut;
            }
            if self.filler.pool.under_way() == 0 {
                return Ok(false);
            }
            self.wait_for_one()?;
            self.write_finished(false)?;
        };
        let generation = self.commits.next;
        let end = Logged {
            records: cut.records,
            keys: cut.keys,
            chunks: cut.chunks,
            sums: cut.sums,
            dead: self.log.logged.dead,
            open: 0,
            cursor: cut.cursor,
        };
        if !self.append_log(generation, end, 0, &Vec::new())? {
            return Ok(false);
        }
        let behind = (self.reader.memtable.records.len() - cut.records) as u64;
        let slot = Slot { closed: U32::new(0), ..self.commits.slot };
        self.publish(slot, end, behind)?;
        Ok(true)
    }

    /// The last place where a finished chunk ends, no record crosses, and everything that is
    /// committed lies before.
    fn cut(&self) -> Option<Cut> {
        let memtable = &self.reader.memtable;
        let size = self.reader.chunk_size;
        let mut chunks_end = memtable.chunks_end();
        let records = loop {
            let cursor = chunks_end.checked_mul(size)?;
            let end =
                |e: &crate::index::layout::RecordEntry| e.start.get() + u64::from(e.len.get());
            let records = memtable.records.partition_point(|e| end(e) <= cursor);
            match memtable.records.get(records).map(|e| e.start.get()) {
                Some(start) if start < cursor => chunks_end = start / size,
                _ => break records,
            }
        };
        let cursor = chunks_end * size;
        let chunks = usize::try_from(chunks_end.checked_sub(memtable.first_chunk)?).ok()?;
        if cursor < self.log.logged.cursor
            || chunks <= self.log.logged.chunks
            || records <= self.log.logged.records
        {
            return None;
        }
        let (keys, sums) = (memtable.keys_at(records), memtable.sums_at(chunks));
        Some(Cut { records, keys, chunks, sums, cursor })
    }

    /// What the records of the memtable from `first` on count for in [`Self::added`].
    pub(crate) fn bytes_from(&self, first: usize) -> u64 {
        let records = self.reader.memtable.records.get(first..).unwrap_or_default();
        records.iter().map(|e| u64::from(e.len.get()) + 64).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::read::readable::Readable;
    use crate::{Durability, Layout, Store, StoreOptions, WriteOptions, Writer};
    use std::time::Duration;

    const CHUNK: u32 = 4096;

    fn options() -> StoreOptions {
        StoreOptions {
            layout: Layout { chunk_size: CHUNK, ..Layout::default() },
            write: WriteOptions {
                commit_bytes: 8 * u64::from(CHUNK),
                commit_interval: Duration::from_secs(1_000_000),
                durability: Durability::Kernel,
                ..WriteOptions::default()
            },
        }
    }

    fn record(i: u64) -> Vec<u8> {
        (0..700 + i % 300).map(|b| (b * i / 7).to_le_bytes()[0]).collect()
    }

    /// What a store of these records holds if its writer is gone without a last commit.
    fn after(records: u64, mut change: impl FnMut(&mut Writer, u64)) -> (Store, u64) {
        let mut w = Writer::in_memory(&options()).unwrap();
        for i in 0..records {
            w.insert(i, &record(i)).unwrap();
            change(&mut w, i);
        }
        let store = Store::open_in(w.backend().clone(), &options().write.reading()).unwrap();
        assert_eq!(store.len(), w.committed_len());
        (store, w.len())
    }

    #[test]
    fn what_is_committed_by_itself_is_a_prefix_that_ends_with_a_chunk() {
        let (store, put) = after(200, |_, _| {});
        assert!(store.len() < put, "the newest records were committed too");
        let bytes: u64 = (store.len()..put).map(|i| record(i).len() as u64 + 64).sum();
        assert!(bytes <= options().write.commit_bytes, "{bytes} bytes are in no commit");
        for i in 0..store.len() {
            assert_eq!(*store.get(i).unwrap(), record(i)[..]);
        }
        assert!(store.get(store.len()).is_err());
    }

    #[test]
    fn a_writer_goes_on_behind_such_a_commit() {
        let mut w = Writer::in_memory(&options()).unwrap();
        for round in 0..5 {
            let first = w.len();
            for i in first..first + 100 + round {
                w.insert(i, &record(i)).unwrap();
            }
            let committed = w.committed_len();
            let backend = w.backend().clone();
            drop(w);
            w = Writer::open_in(backend, &options().write).unwrap();
            assert_eq!(w.len(), committed);
            assert!(committed > first);
        }
        let expected = w.len();
        let backend = w.backend().clone();
        w.close().unwrap();
        let store = Store::open_in(backend, &options().write.reading()).unwrap();
        assert_eq!(store.len(), expected);
        for i in 0..expected {
            assert_eq!(*store.get_at(i).unwrap(), record(i)[..], "{i}");
        }
    }

    #[test]
    fn a_record_and_the_one_that_it_replaces_are_never_both_gone() {
        let (store, _) = after(200, |w, i| {
            if i >= 10 {
                w.put(i % 10, &record(i)).unwrap();
            }
        });
        for key in 0..10 {
            assert!(store.contains(key).unwrap(), "{key}");
        }
    }

    #[test]
    fn attributes_are_committed_with_what_was_put_before_them() {
        let (store, _) = after(200, |w, i| {
            w.set_attributes(&serde_json::json!({ "last": i })).unwrap();
        });
        // Set after the record before the one whose put committed.
        assert_eq!(store.attributes()["last"], store.len() - 2);
    }
}
