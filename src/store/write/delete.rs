//! Deleting records: what they took stays in the file as dead space.

use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::key_bytes;
use crate::index::log::DeadEntry;
use crate::key::Key;
use crate::store::write::writer::Writer;
use bytemuck::Zeroable;

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
        let hash = self.hash_of(id)?;
        self.guard(|w| w.kill(hash, id))?;
        self.commit_if_due()
    }

    /// The hash of the key of the record of number `id`; 0 if it has none.
    pub(super) fn hash_of(&self, id: u64) -> Result<u64> {
        let key = self.reader.key_of(id)?;
        let mut scratch = [0; 8];
        let named = key.as_ref().and_then(|k| key_bytes(k, &mut scratch));
        Ok(named.map_or(0, |(kind, bytes)| key_hash(kind, bytes)))
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
        self.reader.add_dead(id);
        if let Some(undo_list) = &mut self.undo_list {
            undo_list.push(id);
        }
        self.auto_commit.added += 64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::store::read::readable::Readable;
    use once_cell::race::OnceBox;

    /// To gather the deleted records anew after each deletion made n replacements cost n * n.
    #[test]
    fn a_deletion_adds_to_the_list_that_is_there() {
        let mut w = Writer::in_memory(&StoreOptions::default()).unwrap();
        for i in 0..3000 {
            w.put(i % 300, &[0; 10]).unwrap();
            let ordinal = w.find(i % 300).unwrap().unwrap();
            assert_eq!(ordinal + 1, w.len());
            match i {
                1000 => drop(w.share(b"shared").unwrap()),
                2000 => drop(w.commit().unwrap()),
                2500 => w.flush_memtable().unwrap(),
                2900 => w.delete(7).unwrap(),
                _ => {}
            }
            assert!(i < 300 || w.reader.dead.get().is_some(), "{i}");
        }
        let kept: Vec<u64> = w.reader.dead().unwrap().iter().collect();
        w.reader.dead = OnceBox::new();
        assert_eq!(kept, w.reader.dead().unwrap().iter().collect::<Vec<_>>());
    }
}
