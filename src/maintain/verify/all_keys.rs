//! Looking up the keys of a whole store. A run may hold many entries of one hash: those of a file
//! that was made to do harm, or of keys that somebody chose to have one hash, which XXH3 does not
//! keep anybody from. One lookup passes over all of them; a lookup for every record would take the
//! square of their number. So what the entries of such a hash lead to is worked out once.

use crate::error::{Corruption, Error, Result};
use crate::index::key_hash::{kept_hash, key_hash};
use crate::index::layout::KEY_SHARED;
use crate::store::read::key_lookup::Sought;
use crate::store::read::reader::Reader;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Entries of one hash that a lookup passes over. Of a key there are a record and a tombstone in
/// a run at most, and of keys that nobody chose for it hardly two share 40 bits.
const FEW: usize = 64;

/// Look-ups of many keys, in time that grows with the index and not with its square.
pub(crate) struct BulkLookup<'a> {
    reader: &'a Reader,
    crowds: HashMap<u64, Crowd>,
    /// Tells keys of one hash apart; nobody can choose keys for it.
    state: RandomState,
}

/// What the entries of one hash lead to.
#[derive(Default)]
struct Crowd {
    /// The record that a lookup of each key meets first, and whether it was deleted.
    first: HashMap<u64, (u64, bool)>,
    /// The damage at which a lookup of any other key ends.
    damage: Option<Corruption>,
    /// All that tombstones of this hash name.
    killed: HashSet<u64>,
}

impl<'a> BulkLookup<'a> {
    pub(crate) fn new(reader: &'a Reader) -> Self {
        Self { reader, crowds: HashMap::new(), state: RandomState::new() }
    }

    /// As [`Reader::find_bytes`].
    pub(crate) fn find(&mut self, kind: u8, bytes: &[u8]) -> Result<Option<u64>> {
        let hash = key_hash(kind, bytes);
        let crowd = match self.crowds.entry(kept_hash(hash)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                match self.reader.find_among(kind, bytes, hash, FEW)? {
                    Sought::Known(found) => return Ok(found),
                    Sought::Crowd => {}
                }
                place.insert(Crowd::of(self.reader, hash, &self.state)?)
            }
        };
        let shared = kind == KEY_SHARED;
        let memtable = &self.reader.memtable;
        if let Some(id) = memtable.find(hash, kind, bytes) {
            return Ok((shared || !memtable.kills(id)).then_some(id));
        }
        let fenced = self.reader.stored_index.fenced(&self.reader.io, kind, bytes)?;
        let fenced = fenced.map(|id| (id, crowd.killed.contains(&id)));
        let first = crowd.first.get(&self.state.hash_one((kind, bytes))).copied();
        match (first.max(fenced), crowd.damage) {
            (Some((id, dead)), _) => Ok((shared || !(dead || memtable.kills(id))).then_some(id)),
            (None, Some(c)) => Err(Error::Corrupt(c)),
            (None, None) => Ok(None),
        }
    }
}

impl Crowd {
    fn of(reader: &Reader, hash: u64, state: &RandomState) -> Result<Self> {
        let mut out = Self::default();
        let mut key = Vec::new();
        let done = reader.stored_index.search(&reader.io, hash, |entry| -> Result<Option<()>> {
            let id = entry.record();
            if entry.is_dead() {
                out.killed.insert(id);
                return Ok(None);
            }
            let Some((records, i)) = reader.stored_index.record(&reader.io, id)? else {
                return Ok(None);
            };
            let kind = records.key(i, &mut key)?;
            // A key of another hash is not looked for here.
            if kept_hash(key_hash(kind, &key)) == kept_hash(hash) {
                let dead = out.killed.contains(&id);
                out.first.entry(state.hash_one((kind, &key[..]))).or_insert((id, dead));
            }
            Ok(None)
        });
        match done {
            Ok(_) => {}
            Err(e) if e.is_damage() => {
                out.damage = Some(match e.root() {
                    Error::Corrupt(c) => *c,
                    _ => Corruption { part: "run of keys", offset: 0, why: "cannot be read" },
                });
            }
            Err(e) => return Err(e),
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, StoreOptions, WriteOptions, Writer};

    /// A store of keys that nobody chose, some of them replaced, deleted and put again.
    fn store() -> Writer {
        let options = StoreOptions {
            write: WriteOptions { durability: Durability::None, ..WriteOptions::default() },
            ..StoreOptions::default()
        };
        let mut w = Writer::in_memory(&options).unwrap();
        for round in 0..3_u64 {
            for i in 0..40_u64 {
                w.put(i, &round.to_le_bytes()).unwrap();
                if i % 5 == round {
                    w.delete(i).unwrap();
                }
            }
            w.share(&round.to_le_bytes()).unwrap();
            w.seal().unwrap();
        }
        w.put(3_u64, b"newest").unwrap();
        w.commit().unwrap();
        w
    }

    #[test]
    fn a_bulk_lookup_finds_what_a_lookup_finds() {
        let w = store();
        let s = w.snapshot().unwrap();
        let reader = &s.inner().reader;
        let mut lookups = BulkLookup::new(reader);
        let mut asked = 0;
        reader
            .each_record(|_, _, kind, key| {
                let hash = key_hash(kind, key);
                let right = reader.find_bytes(kind, key, hash)?;
                assert_eq!(lookups.find(kind, key)?, right);
                // And as if there were too many entries of its hash.
                let crowd = Crowd::of(reader, hash, &lookups.state)?;
                assert_eq!((crowd.first.len(), crowd.damage), (1, None));
                let mut lookups = BulkLookup::new(reader);
                lookups.crowds.insert(kept_hash(hash), Crowd::of(reader, hash, &lookups.state)?);
                assert_eq!(lookups.find(kind, key)?, right);
                asked += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(asked, 124);
        assert!(lookups.crowds.is_empty());
    }
}
