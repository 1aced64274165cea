//! What a snapshot or a writer says about itself without reading a record.

use crate::error::Result;
use crate::index::layout::Extent;
use crate::index::slot::Slot;
use crate::store::options::Layout;
use crate::store::read::newest_state::Opened;
use crate::store::read::reader::Reader;

/// Counts and sizes of a store; see [`Snapshot::info`](crate::Snapshot::info) and [`Writer::info`](crate::Writer::info).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// Live records.
    pub records: u64,
    /// Records that were deleted or replaced and still take space.
    pub dead_records: u64,
    /// Shared records: what others refer to by its content, as frames do to a topology. They
    /// have no ordinal and count neither as live nor as dead.
    pub shared: u64,
    /// Bytes of the live and the shared records, decoded.
    pub raw_bytes: u64,
    /// Bytes of the records that were deleted or replaced, decoded.
    pub dead_bytes: u64,
    /// Bytes of the file, as it is now.
    pub file_bytes: u64,
    /// Bytes of the file that nothing refers to any more.
    pub garbage: u64,
    /// Bytes of the log that the newest commits stand in.
    pub log_bytes: u64,
    /// Bytes that compacting would save, about: what nothing refers to any more, the room of logs,
    /// and the share of the records that were deleted or replaced.
    pub compactable: u64,
    /// Number of this commit.
    pub generation: u64,
    /// Commits since the store was made, its making not counted.
    pub commits: u64,
    /// The commit up to which other programs see the file.
    pub sealed_generation: u64,
    /// Live records at that commit.
    pub sealed_records: u64,
    /// Whether other programs see all of this commit.
    pub sealed: bool,
    /// Whether the seal names its records for the original program.
    pub original_table: bool,
    /// Whether every byte that is handed out lay under a checksum: not in a file of the
    /// original.
    pub checked: bool,
    /// Bytes of a chunk, decoded.
    pub chunk_size: u64,
    /// How much of what was written this state holds.
    pub opened: Opened,
    /// The options with which the store was made.
    pub layout: Layout,
}

impl Info {
    /// How many bytes of records one byte of the file holds; 0 for a store without records.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn ratio(&self) -> f64 {
        self.raw_bytes as f64 / self.file_bytes.max(1) as f64
    }

    /// Whether compacting would make the file a tenth smaller, and save a mebibyte at least.
    #[must_use]
    pub const fn compacting_pays(&self) -> bool {
        self.compactable >= 1 << 20 && self.compactable >= self.file_bytes / 10
    }
}

/// What the counts and sizes of a store follow from.
pub(crate) struct Parts<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) slot: &'a Slot,
    pub(crate) opened: Opened,
    pub(crate) layout: &'a Layout,
    pub(crate) garbage: u64,
    pub(crate) log_room: u64,
}

/// Bytes that logs take, used or not.
pub(crate) fn log_room(extents: &[Extent]) -> u64 {
    extents.iter().map(|e| e.capacity.get()).fold(0, u64::saturating_add)
}

impl Parts<'_> {
    pub(crate) fn info(&self) -> Result<Info> {
        let totals = &self.reader.totals;
        let (slot, seal) = (self.slot, &self.slot.seal);
        let generation = slot.generation.get();
        let checked = self.opened != Opened::Unchecked;
        let records = self.reader.live();
        let foreign = !checked;
        let file_bytes = self.reader.io.backend().len()?;
        let left = self.garbage.saturating_add(self.log_room).min(file_bytes);
        let dead = u128::from(file_bytes - left) * u128::from(totals.dead_bytes)
            / u128::from(totals.record_bytes.max(1));
        let dead = u64::try_from(dead).unwrap_or(u64::MAX);
        Ok(Info {
            records,
            dead_records: totals.dead_records.saturating_sub(totals.shared),
            shared: totals.shared,
            raw_bytes: totals.record_bytes.saturating_sub(totals.dead_bytes),
            dead_bytes: totals.dead_bytes,
            file_bytes,
            garbage: self.garbage,
            log_bytes: slot.log_len.get(),
            compactable: left.saturating_add(dead).min(file_bytes),
            generation,
            commits: generation.saturating_sub(1),
            sealed_generation: seal.generation.get(),
            sealed_records: if foreign { records } else { seal.records.get() },
            sealed: foreign || seal.generation == slot.generation,
            original_table: foreign || seal.lookup.get() != 0,
            checked,
            chunk_size: self.reader.chunk_size,
            opened: self.opened,
            layout: self.layout.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Durability, OriginalTable, StoreOptions, WriteOptions, Writer};

    #[test]
    fn a_snapshot_counts_what_lives_what_is_dead_and_what_is_sealed() {
        let options = StoreOptions {
            write: WriteOptions {
                durability: Durability::None,
                original_table: OriginalTable::Always,
                ..WriteOptions::default()
            },
            ..StoreOptions::default()
        };
        let mut w = Writer::in_memory(&options).unwrap();
        let born = w.snapshot().unwrap().info().unwrap();
        assert_eq!((born.records, born.raw_bytes, born.commits, born.sealed), (0, 0, 0, true));
        w.insert("a", &[1; 100]).unwrap();
        w.insert("b", &[2; 10]).unwrap();
        w.commit().unwrap();
        w.put("a", &[3; 50]).unwrap();
        w.commit().unwrap();
        let info = w.snapshot().unwrap().info().unwrap();
        assert_eq!((info.records, info.dead_records), (2, 1));
        assert_eq!((info.raw_bytes, info.dead_bytes), (60, 100));
        assert_eq!((info.commits, info.sealed, info.sealed_records), (2, false, 0));
        assert_eq!(format!("{:?}", w.info().unwrap()), format!("{info:?}"));
        assert!(info.checked && info.log_bytes > 0 && info.ratio() > 0.0);
        w.seal().unwrap();
        let info = w.snapshot().unwrap().info().unwrap();
        assert!(info.sealed && info.original_table);
        assert_eq!(info.sealed_records, 2);
        assert_eq!(info.file_bytes, w.backend().len().unwrap());
        let own = w.info().unwrap();
        assert_eq!((own.sealed, own.sealed_records, own.records), (true, 2, 2));
        // The root of the seal could not say yet that the one before it is left over.
        assert!(own.garbage > info.garbage && own.file_bytes == info.file_bytes);
        // What is not committed counts for the writer, which sees it.
        w.insert("c", &[4; 7]).unwrap();
        let (own, others) = (w.info().unwrap(), w.snapshot().unwrap().info().unwrap());
        assert_eq!((own.records, own.raw_bytes, own.commits), (3, others.raw_bytes + 7, 3));
        assert_eq!((others.records, others.commits), (2, 3));
    }
}
