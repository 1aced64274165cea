//! Deleting records: what they took stays in the file as dead space.

use crate::error::{Error, Result};
use crate::index::layout::{key_bytes, key_hash};
use crate::index::log::DeadEntry;
use crate::key::Key;
use crate::store::write::writer::Writer;
use bytemuck::Zeroable;
use once_cell::race::OnceBox;

impl Writer {
    /// Deletes the record under `key`. Its bytes stay in the file as dead space until the
    /// store is compacted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn delete(&mut self, key: impl Into<Key>) -> Result<()> {
        self.usable()?;
        let key = key.into();
        let mut scratch = [0; 8];
        let hash = key_bytes(&key, &mut scratch).map(|(kind, bytes)| key_hash(kind, bytes));
        let id = self.reader.find(&key)?;
        let (Some(id), Some(hash)) = (id, hash) else {
            return Err(Error::NotFound { key: key.to_string().into() });
        };
        self.guard(|w| w.kill(hash, id))?;
        self.commit_if_due()
    }

    /// Deletes the record at `ordinal`; those behind it move up by one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn delete_at(&mut self, ordinal: u64) -> Result<()> {
        self.usable()?;
        let id = self.reader.id_at(ordinal)?;
        let key = self.reader.key_of(id)?;
        let mut scratch = [0; 8];
        let hash = key
            .as_ref()
            .and_then(|k| key_bytes(k, &mut scratch))
            .map_or(0, |(kind, bytes)| key_hash(kind, bytes));
        self.guard(|w| w.kill(hash, id))?;
        self.commit_if_due()
    }

    /// Notes that the record of number `id` is deleted or replaced; `hash` is that of its key, or 0.
    pub(super) fn kill(&mut self, hash: u64, id: u64) -> Result<()> {
        let len = self.reader.entry(id)?.len;
        let dead = DeadEntry {
            hash: hash.into(),
            record: id.into(),
            len: len.into(),
            ..DeadEntry::zeroed()
        };
        self.reader.memtable.kill(dead);
        self.reader.totals.dead_records += 1;
        self.reader.totals.dead_bytes += u64::from(len);
        self.reader.dead = OnceBox::new();
        self.due.added += 64;
        Ok(())
    }
}
