//! What a reader and a writer share: the index as it stands, and the way from a record to its
//! bytes.

use crate::error::{Corruption, Error, Result};
use crate::index::layout::{ChunkEntry, KEY_NONE, key_from_bytes};
use crate::index::leaf::{GROUP, GroupKeys, Place};
use crate::key::Key;
use crate::store::index::far::whole;
use crate::store::index::io::Io;
use crate::store::index::leaf::leaf_records;
use crate::store::index::memtable::Memtable;
use crate::store::index::root::Totals;
use crate::store::index::stored_index::StoredIndex;
use crate::store::read::cache::BlockCache;
use crate::store::read::chunk_locations::{ChunkLocations, Located};
use crate::store::read::dead::DeadList;
use crate::wire::{AlignedBuf, to_usize};
use once_cell::race::OnceBox;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Where the bytes of a chunk are.
pub(crate) enum ChunkData<'a> {
    Memory(InMemory<'a>),
    File(Located<'a>),
}

/// A chunk in memory, and the parts of it that could not be read into it.
#[derive(Clone, Copy)]
pub(crate) struct InMemory<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) lost: &'a [Lost],
}

impl InMemory<'_> {
    pub(crate) const fn len(&self) -> usize {
        self.data.len()
    }

    /// The bytes `range`.
    pub(crate) fn get(&self, range: Range<usize>) -> Result<&[u8]> {
        let hit = self.lost.iter().find(|l| l.range.start < range.end && range.start < l.range.end);
        if let Some(lost) = hit {
            return Err(Error::Corrupt(lost.damage));
        }
        let outside = || Error::corrupt("record entry", 0, "reaches outside its chunk");
        self.data.get(range).ok_or_else(outside)
    }
}

/// A part of the open chunk that is damaged in the file.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) range: Range<usize>,
    pub(crate) damage: Corruption,
}

/// The chunk that is being filled.
#[derive(Debug, Default)]
pub(crate) struct OpenChunk {
    pub(crate) number: u64,
    /// 0 if no chunk is open.
    pub(crate) block: u32,
    pub(crate) data: AlignedBuf,
    /// What of it could not be read when the store was opened.
    pub(crate) lost: Vec<Lost>,
}

/// The open chunk as the last seal wrote it: its number, its entry and the checksums of its blocks.
pub(crate) type Sealed = (u64, ChunkEntry, Box<[u64]>);

/// The index and the chunks of a store, as a snapshot or as the writer sees them.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) io: Io,
    pub(crate) chunk_size: u64,
    pub(crate) stored_index: StoredIndex,
    pub(crate) memtable: Memtable,
    pub(crate) totals: Totals,
    pub(crate) open: OpenChunk,
    /// The chunk that is being filled, where it lies in a far file: its number, its place and its block
    /// checksums. It is not fetched before it is needed, and `open` is empty then.
    pub(crate) sealed: Option<Sealed>,
    /// Chunks on their way to the file.
    pub(crate) waiting: BTreeMap<u64, Arc<AlignedBuf>>,
    pub(crate) cache: BlockCache,
    pub(crate) chunk_locations: ChunkLocations,
    pub(crate) dead: OnceBox<Arc<DeadList>>,
    pub(crate) threads: usize,
}

/// Leaves that are fetched together when all of them are read from far away.
const LEAVES_AHEAD: usize = 32;

/// Records of one group from which on all of it is taken apart: to look up one costs a sixth of that.
const TOGETHER: usize = 6;

/// Places of records that are asked for in order: a group of a leaf is taken apart once for all
/// of them.
#[derive(Debug, Default)]
pub(crate) struct InOrder {
    first: u64,
    places: Vec<Place>,
}

impl InOrder {
    /// Where a record lies.
    pub(crate) fn place(&mut self, reader: &Reader, id: u64) -> Result<Place> {
        if let Some(place) = self.known(id) {
            return Ok(place);
        }
        if id < reader.memtable.first_record
            && let Some((records, i)) = reader.stored_index.record(&reader.io, id)?
        {
            self.first = id - (i % GROUP) as u64;
            if records.places(i / GROUP, &mut self.places).is_err() {
                self.places.clear();
            }
            if let Some(place) = self.known(id) {
                return Ok(place);
            }
        }
        reader.entry(id)
    }

    fn known(&self, id: u64) -> Option<Place> {
        self.places.get(to_usize(id.checked_sub(self.first)?)?).copied()
    }
}

impl Reader {
    /// Records ever put.
    pub(crate) fn ids(&self) -> u64 {
        self.memtable.end()
    }

    /// Live records.
    pub(crate) fn live(&self) -> u64 {
        self.ids().saturating_sub(self.totals.dead_records)
    }

    /// Where a record lies.
    pub(crate) fn entry(&self, id: u64) -> Result<Place> {
        if let Some(e) = self.memtable.record(id) {
            return Ok(e.into());
        }
        self.stored_index.place(&self.io, id)?.ok_or_else(|| missing(&id))
    }

    /// Calls `f` with the place of each of these records, which are sorted, and with the number beside it.
    /// A group of a leaf of which several are wanted is taken apart once.
    pub(crate) fn places(
        &self,
        asked: &[(u64, u32)],
        mut f: impl FnMut(&Place, u32) -> Result<()>,
    ) -> Result<()> {
        let mut group = Vec::new();
        let mut rest = asked;
        while let Some((id, i)) = rest.first().copied() {
            if id >= self.memtable.first_record {
                f(&self.entry(id)?, i)?;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let (records, at) =
                self.stored_index.record(&self.io, id)?.ok_or_else(|| missing(&id))?;
            let number = at / GROUP;
            let first = id - (at % GROUP) as u64;
            let end = first + records.group_at(number).len() as u64;
            let (now, later) = rest.split_at(rest.iter().take_while(|(id, _)| *id < end).count());
            rest = later;
            if now.len() >= TOGETHER && records.places(number, &mut group).is_ok() {
                for (id, i) in now {
                    let place = to_usize(id - first).and_then(|at| group.get(at));
                    f(place.ok_or_else(|| missing(id))?, *i)?;
                }
                continue;
            }
            for (id, i) in now {
                f(&records.place(number * GROUP + to_usize(id - first).unwrap_or(GROUP))?, *i)?;
            }
        }
        Ok(())
    }

    /// The entry of the record at `ordinal` among the live ones.
    pub(crate) fn entry_at(&self, ordinal: u64) -> Result<Place> {
        self.entry(self.id_at(ordinal)?)
    }

    pub(crate) fn key_of(&self, id: u64) -> Result<Option<Key>> {
        let (kind, bytes) = if let Some(e) = self.memtable.record(id) {
            (e.key_kind, self.memtable.key(e).unwrap_or_default().to_vec())
        } else {
            let (records, i) =
                self.stored_index.record(&self.io, id)?.ok_or_else(|| missing(&id))?;
            let mut bytes = Vec::new();
            (records.key(i, &mut bytes)?, bytes)
        };
        if kind == KEY_NONE {
            return Ok(None);
        }
        key_from_bytes(kind, &bytes)
            .map(Some)
            .ok_or_else(|| Error::corrupt("record entry", 0, "its key is of no known kind"))
    }

    /// All records without an ordinal, the deleted and the shared ones.
    pub(crate) fn dead(&self) -> Result<&DeadList> {
        if let Some(dead) = self.dead.get() {
            return Ok(dead);
        }
        let mut all = if self.totals.dead_records == 0 {
            Vec::new()
        } else {
            let mut all = self.stored_index.dead(&self.io)?;
            all.extend(self.memtable.dead.iter().map(|d| d.record.get()));
            all
        };
        all.sort_unstable();
        // What counts with these numbers relies on it: each is one of the records, named once.
        let right = all.len() as u64 == self.totals.dead_records
            && all.last().is_none_or(|id| *id < self.ids())
            && all.is_sorted_by(|a, b| a < b);
        if !right {
            let why = "does not name each deleted record once";
            return Err(Error::corrupt("list of deleted records", 0, why));
        }
        Ok(self.dead.get_or_init(|| Box::new(Arc::new(DeadList::new(&all)))))
    }

    /// Adds a record to those without an ordinal, if they have been asked for. To gather them anew for
    /// each one would cost all that there are.
    pub(crate) fn add_dead(&mut self, id: u64) {
        let Some(mut dead) = self.dead.get().cloned() else { return };
        // Now nobody else holds it, unless a reader was made meanwhile.
        self.dead = OnceBox::new();
        if Arc::make_mut(&mut dead).add(id) {
            self.dead = OnceBox::with_value(Box::new(dead));
        }
    }

    /// The same state, for another to read from now on.
    pub(crate) fn copy(&self, used: usize, cache_bytes: usize) -> Result<Self> {
        let OpenChunk { number, block, data, lost } = &self.open;
        let data = AlignedBuf::copy_of(data.get(..used).unwrap_or_default())?;
        Ok(Self {
            io: Io::new(self.io.backend().clone(), self.io.file())?,
            chunk_size: self.chunk_size,
            stored_index: self.stored_index.clone(),
            memtable: self.memtable.clone(),
            totals: self.totals,
            open: OpenChunk { number: *number, block: *block, data, lost: lost.clone() },
            sealed: self.sealed.clone(),
            waiting: self.waiting.clone(),
            cache: BlockCache::new(cache_bytes),
            chunk_locations: ChunkLocations::default(),
            dead: self.dead.clone(),
            threads: self.threads,
        })
    }

    /// The record at position `ordinal` among the live ones, in the order of insertion.
    pub(crate) fn id_at(&self, ordinal: u64) -> Result<u64> {
        if ordinal >= self.live() {
            return Err(Error::NotFound {
                key: format!("at ordinal {ordinal}: the store has {} records", self.live()).into(),
            });
        }
        if self.totals.dead_records == 0 {
            return Ok(ordinal);
        }
        Ok(ordinal + self.dead()?.before_live(ordinal) as u64)
    }

    /// The position of a record among the live ones; `None` if it is deleted.
    pub(crate) fn ordinal_of(&self, id: u64) -> Result<Option<u64>> {
        if self.totals.dead_records == 0 {
            return Ok(Some(id));
        }
        Ok(match self.dead()?.rank(id) {
            Ok(_) => None,
            Err(before) => Some(id - before as u64),
        })
    }

    /// Calls `f` with every record ever put, in order: its number and place, kind and bytes of its
    /// key; leaf by leaf.
    pub(crate) fn each_record(
        &self,
        f: impl FnMut(u64, &Place, u8, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.each_record_or(f, |_, _, e| Err(e))
    }

    /// As [`Reader::each_record`]; `lost` is told of what of the index cannot be read: the first
    /// record whose entry is there, their number, and why. If it accepts that, the others follow.
    pub(crate) fn each_record_or(
        &self,
        mut f: impl FnMut(u64, &Place, u8, &[u8]) -> Result<()>,
        mut lost: impl FnMut(u64, u64, Error) -> Result<()>,
    ) -> Result<()> {
        let leaves =
            self.stored_index.leaves_or(&self.io, self.memtable.first_record, |records, e| {
                lost(records.start, records.end - records.start, e)
            })?;
        let (mut places, mut keys) = (Vec::new(), GroupKeys::default());
        for (i, leaf) in leaves.iter().copied().enumerate() {
            if self.io.is_far() && i % LEAVES_AHEAD == 0 {
                let next = leaves.iter().skip(i).take(LEAVES_AHEAD);
                self.io.announce(next.map(|leaf| whole(&leaf.at.segment)))?;
            }
            let first = leaf.at.first_record.get();
            let opened = leaf_records(&self.io, leaf).and_then(|r| r.check().map(|()| r));
            let records = match opened {
                Ok(records) => records,
                Err(e) => {
                    lost(first, u64::from(leaf.at.records.get()), e)?;
                    continue;
                }
            };
            for group in 0..records.groups() {
                let here = records.group_at(group);
                let id = first + here.start as u64;
                let read = records.places(group, &mut places);
                if let Err(e) = read.and_then(|()| records.keys(group, &mut keys)) {
                    lost(id, here.len() as u64, e)?;
                    continue;
                }
                for (i, (id, place)) in (id..).zip(&places).enumerate() {
                    let (kind, key) = keys.get(i);
                    f(id, place, kind, key)?;
                }
            }
        }
        for (id, e) in (self.memtable.first_record..).zip(&self.memtable.records) {
            f(id, &e.into(), e.key_kind, self.memtable.key(e).unwrap_or_default())?;
        }
        Ok(())
    }
}

fn missing(id: &u64) -> Error {
    Error::NotFound { key: format!("number {id}").into() }
}
