//! What a writer holds at this moment, for readers of its own process.

use crate::error::Result;
use crate::store::read::newest_state::State;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::writer::Writer;

impl Writer {
    /// The state at this moment, committed or not; it stays as it is whatever is put later. Costs the part
    /// of the index that is in memory, and the open chunk.
    ///
    /// If the writer is dropped without a commit, others write over what this state refers to. Their
    /// bytes are never returned for its own, as their checksums are others; but nobody should read it then.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub(crate) fn uncommitted_snapshot(&self) -> Result<Snapshot> {
        self.usable()?;
        let used = usize::try_from(self.open_used()).unwrap_or(usize::MAX);
        Ok(Snapshot::new(State {
            reader: self.reader.copy(used, self.write.cache_bytes)?,
            slot: self.commits.slot,
            root: self.root(self.commits.next),
            layout: self.layout.clone(),
            opened: self.opened,
            attributes: self.attributes.bytes.clone(),
            newest_seen: self.commits.next,
            followed: 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::readable::Readable;
    use crate::{Durability, Layout, StoreOptions, WriteOptions};

    #[test]
    fn what_is_in_no_commit_is_read_and_stays_as_it_was() {
        let options = StoreOptions {
            layout: Layout { chunk_size: 4096, block_size: 2048, ..Layout::default() },
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
        };
        let mut w = Writer::in_memory(&options).unwrap();
        let bytes = |i: u64| {
            vec![u8::try_from(i % 251).unwrap_or(0); 100 + usize::try_from(i % 900).unwrap_or(0)]
        };
        let mut states = Vec::new();
        for i in 0..400_u64 {
            w.put(i, &bytes(i)).unwrap();
            if i % 3 == 0 {
                w.delete(i / 2).unwrap_or_default();
            }
            match i {
                100 => drop(w.commit().unwrap()),
                200 => w.flush_memtable().unwrap(),
                300 => drop(w.seal().unwrap()),
                _ => {}
            }
            if i % 37 == 0 {
                states.push((w.uncommitted_snapshot().unwrap(), w.keys().unwrap(), w.generation()));
            }
        }
        w.commit().unwrap();
        for i in 0..400_u64 {
            w.put(i, b"other").unwrap();
        }
        w.commit().unwrap();
        for (state, keys, generation) in states {
            assert_eq!((state.keys().unwrap(), state.generation()), (keys.clone(), generation));
            for (ordinal, key) in keys.iter().enumerate() {
                let crate::Key::Int(i) = key else { panic!("an integer") };
                let right = bytes(u64::try_from(*i).unwrap());
                assert_eq!(state.get_key(key).unwrap()[..], right);
                assert_eq!(state.get_at(ordinal as u64).unwrap()[..], right);
            }
        }
    }
}
