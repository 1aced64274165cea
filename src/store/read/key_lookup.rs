//! Looking up a key: in the memtable, in what ascends, in the runs.

use crate::error::{Error, Result};
use crate::index::key_hash::key_hash;
use crate::index::layout::{KEY_SHARED, key_bytes};
use crate::index::leaf::Place;
use crate::key::Key;
use crate::store::index::io::Io;
use crate::store::read::reader::Reader;

/// The answer of a lookup that may be given up.
pub(crate) enum Sought {
    /// The record, or that there is none.
    Known(Option<u64>),
    /// There are too many entries of this hash.
    Crowd,
}

impl Reader {
    /// The record under `key`, if there is one.
    pub(crate) fn find(&self, key: &Key) -> Result<Option<u64>> {
        self.find_by(&self.io, key)
    }

    /// As [`Reader::find`], of a file that is read by `io`.
    pub(super) fn find_by(&self, io: &Io, key: &Key) -> Result<Option<u64>> {
        let mut scratch = [0; 8];
        let Some((kind, bytes)) = key_bytes(key, &mut scratch) else { return Ok(None) };
        self.find_bytes_by(io, kind, bytes, key_hash(kind, bytes))
    }

    pub(crate) fn find_bytes(&self, kind: u8, bytes: &[u8], hash: u64) -> Result<Option<u64>> {
        self.find_bytes_by(&self.io, kind, bytes, hash)
    }

    fn find_bytes_by(&self, io: &Io, kind: u8, bytes: &[u8], hash: u64) -> Result<Option<u64>> {
        match self.find_among_by(io, (kind, bytes, hash), usize::MAX)? {
            Sought::Known(id) => Ok(id),
            Sought::Crowd => Ok(None),
        }
    }

    /// As [`Reader::find_bytes`], given up behind `most` entries of this hash.
    pub(crate) fn find_among(
        &self,
        kind: u8,
        bytes: &[u8],
        hash: u64,
        most: usize,
    ) -> Result<Sought> {
        self.find_among_by(&self.io, (kind, bytes, hash), most)
    }

    fn find_among_by(
        &self,
        io: &Io,
        (kind, bytes, hash): (u8, &[u8], u64),
        most: usize,
    ) -> Result<Sought> {
        // A shared record stands among the deleted ones, which keeps it out of the count.
        let shared = kind == KEY_SHARED;
        if let Some(id) = self.memtable.find(hash, kind, bytes) {
            return Ok(Sought::Known((shared || !self.memtable.kills(id)).then_some(id)));
        }
        let fenced = self.stored_index.fenced(io, kind, bytes)?;
        let mut passed = 0;
        // Whoever replaces or deletes a record writes a tombstone for it into the same run or
        // a newer one; runs are visited newest first.
        let mut killed: Vec<u64> = Vec::new();
        let hit = self.stored_index.search(io, hash, |entry| {
            if passed == most {
                return Ok(Some(Sought::Crowd));
            }
            passed += 1;
            let id = entry.record();
            if entry.is_dead() {
                killed.push(id);
                return Ok(None);
            }
            // No entry behind this one is newer than that record, nor kills it.
            if fenced.is_some_and(|fenced| id < fenced) {
                return Ok(Some(Sought::Known(fenced)));
            }
            let Some((records, i)) = self.stored_index.record(io, id)? else {
                return Ok(None);
            };
            let same = records.key_is(i, kind, bytes)?;
            Ok(same.then_some(Sought::Known(Some(id))))
        })?;
        let alive = |id: &u64| shared || (!killed.contains(id) && !self.memtable.kills(*id));
        Ok(match hit.unwrap_or(Sought::Known(fenced)) {
            Sought::Known(id) => Sought::Known(id.filter(alive)),
            Sought::Crowd => Sought::Crowd,
        })
    }

    /// The record under `key`, or an error that names it.
    pub(crate) fn lookup(&self, key: &Key) -> Result<Place> {
        self.entry(self.find(key).and_then(|id| there(key, id))?)
    }
}

/// The record that was found, or an error that names its key.
pub(super) fn there(key: &Key, found: Option<u64>) -> Result<u64> {
    found.ok_or_else(|| Error::NotFound { key: key.to_string().into() })
}
