//! Putting shared records.

use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::{KEY_SHARED, RECORDS_MAX};
use crate::index::log::DeadEntry;
use crate::limits::RECORD_MAX;
use crate::store::write::writer::Writer;
use crate::wire::Digest;

impl Writer {
    /// Stores `bytes` once, for other records to refer to, and returns the digest by which they
    /// are found. If they are there already, nothing is added; if they are there but damaged,
    /// they are put anew.
    ///
    /// A shared record has no ordinal and cannot be deleted; [`compact`](crate::maintain::compact) drops
    /// those to which no record refers. Put it before the records that refer to it: then it is
    /// in no later commit than they are.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn share(&mut self, bytes: &[u8]) -> Result<Digest> {
        self.share_sized(bytes, 0)
    }

    /// As [`Writer::share`], with the count that the index keeps beside the length.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn share_sized(&mut self, bytes: &[u8], weight: u32) -> Result<Digest> {
        self.usable()?;
        let digest = Digest::of(bytes);
        if self.reader.find_shared(&digest)?.is_some() {
            match self.reader.shared(&digest) {
                Ok(_) => return Ok(digest),
                // A read that gave too little may give all the next time.
                Err(e) if matches!(e.root(), Error::Corrupt(c) if c.part == "file") => {
                    return Err(e);
                }
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        let limits = [
            ("record", bytes.len() as u64, RECORD_MAX),
            ("records", self.reader.ids().saturating_add(1), RECORDS_MAX),
            ("shared records", self.reader.totals.shared.saturating_add(1), u32::MAX.into()),
        ];
        if let Some((what, asked, max)) = limits.into_iter().find(|(_, asked, max)| asked > max) {
            return Err(Error::Limit { what, asked, max });
        }
        let hash = key_hash(KEY_SHARED, digest.as_bytes());
        self.guard(|w| {
            let id = w.reader.ids();
            w.add(Some((KEY_SHARED, digest.as_bytes(), hash)), bytes, weight, None, None)?;
            // Without a hash: no tombstone, or the runs would no longer lead to it.
            let shared =
                DeadEntry { record: id.into(), shared: 1.into(), ..bytemuck::Zeroable::zeroed() };
            w.reader.memtable.kill(shared);
            w.reader.totals.dead_records += 1;
            w.reader.totals.shared += 1;
            w.reader.add_dead(id);
            Ok(())
        })?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::store::read::readable::Readable;
    use crate::{Durability, Layout, StoreOptions, WriteOptions};

    fn writer() -> Writer {
        let options = StoreOptions {
            layout: Layout { chunk_size: 4096, block_size: 2048, ..Layout::default() },
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
        };
        Writer::in_memory(&options).unwrap()
    }

    #[test]
    fn a_shared_record_is_found_by_its_content_and_counted_nowhere() {
        let mut w = writer();
        w.insert("a", b"one").unwrap();
        let digest = w.share(b"water").unwrap();
        assert_eq!(w.share(b"water").unwrap(), digest);
        assert_eq!(w.insert("b", b"two").unwrap(), 1);
        assert_eq!((w.len(), &w.shared(&digest).unwrap()[..]), (2, &b"water"[..]));
        assert_eq!((w.find("b").unwrap(), &w.get_at(1).unwrap()[..]), (Some(1), &b"two"[..]));
        assert_eq!(w.key_at(1).unwrap(), Some(Key::from("b")));
        w.commit().unwrap();
        for seal in [false, true] {
            if seal {
                w.seal().unwrap();
            }
            let s = w.snapshot().unwrap();
            assert_eq!((s.len(), s.keys().unwrap().len()), (2, 2));
            assert_eq!(&s.shared(&digest).unwrap()[..], b"water");
            assert!(s.contains_shared(&digest).unwrap());
            let absent = Digest::of(b"ice");
            assert!(matches!(s.shared(&absent).unwrap_err(), Error::NotFound { .. }));
            let list = s.list_shared().unwrap();
            assert_eq!((list.len(), list[0].0, list[0].1.len()), (1, digest, 5));
            let info = s.info().unwrap();
            assert_eq!(
                (info.records, info.shared, info.dead_records, info.dead_bytes),
                (2, 1, 0, 0)
            );
            let all: Vec<_> = s.scan(0..9).map(|r| r.unwrap().to_vec()).collect();
            assert_eq!(all, [b"one", b"two"]);
            assert!(s.verify(|_, _| Ok(())).unwrap().is_intact());
        }
    }

    #[test]
    fn shared_records_are_found_through_leaves_and_merged_runs_among_deleted_ones() {
        let mut w = writer();
        let digests: Vec<Digest> = (0..40_u32)
            .map(|i| {
                let digest = w.share(&i.to_le_bytes()).unwrap();
                w.insert(i, &[7; 50]).unwrap();
                if i % 3 == 0 {
                    w.delete(i).unwrap();
                }
                w.seal().unwrap();
                digest
            })
            .collect();
        let s = w.snapshot().unwrap();
        assert_eq!((s.len(), s.info().unwrap().shared), (26, 40));
        for (i, digest) in (0..).zip(&digests) {
            assert_eq!(&s.shared(digest).unwrap()[..], &u32::to_le_bytes(i));
        }
        let listed: Vec<Digest> = s.list_shared().unwrap().iter().map(|l| l.0).collect();
        assert_eq!(listed, digests);
        assert!(s.verify(|_, _| Ok(())).unwrap().is_intact());
    }

    #[test]
    fn an_empty_content_can_be_shared() {
        let mut w = writer();
        let digest = w.share(b"").unwrap();
        w.commit().unwrap();
        let s = w.snapshot().unwrap();
        assert!(s.is_empty() && s.shared(&digest).unwrap().is_empty());
    }
}
