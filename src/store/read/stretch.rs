//! Which blocks of a chunk are read by one call, for the records of a plan that lie in them.

use crate::chunk::Decoder;
use crate::store::read::chunk_locations::ChunkLocation;
use crate::store::read::plan::{FilePlan, Wanted};
use crate::wire::to_usize;
use std::ops::Range;

/// Compressed bytes of a block up to which it is read together with its neighbours.
const SHORT: usize = 32 << 10;
/// Compressed bytes that are read together at most.
const STRETCH: usize = 128 << 10;
/// As before, where each call has its price: blocks of any length, and what lies between them.
const PIECE: usize = 1 << 20;
impl FilePlan<'_> {
    /// Whether the first of all records is among these, or the last.
    pub(super) fn is_outer(&self, wanted: &[Wanted]) -> bool {
        let start = |w: Option<&Wanted>| w.map(|w| w.start);
        start(wanted.first()) == start(self.wanted.first())
            || start(wanted.last()) == start(self.wanted.last())
    }

    /// How many of the first records lie in one block each, and in which blocks: in one, or in
    /// several that lie one behind the other in the file, all of which are wanted, and are so short
    /// that a read for each would cost as much as what is done with it. Where a read has its price
    /// they may be long, and what lies between them is read along.
    pub(super) fn stretch(&self, at: &Blocks<'_>, wanted: &[Wanted]) -> (usize, Range<u32>) {
        let layout = &at.place.layout;
        let Some(first) = wanted.first() else { return (0, 0..0) };
        let block = at.block_of(first.start);
        let mut records = at.count(block, wanted);
        let mut blocks = block..block + u32::from(records > 0);
        let parts = Decoder::decodes_parts(layout);
        let outer = |wanted: &[Wanted]| !parts && self.is_outer(wanted);
        let gap = self.reader.io.gap();
        let (short, most) = if gap > 0 { (PIECE, PIECE) } else { (SHORT, STRETCH) };
        if records == 0
            || !self.reader.reads_streams_by_calls(at.place)
            || layout.block_range(block).len() > short
            || outer(wanted.get(..records).unwrap_or_default())
        {
            return (records, blocks);
        }
        let start = layout.block_range(block).start;
        while let Some(next) = wanted.get(records) {
            let block = if gap > 0 { at.block_of(next.start) } else { blocks.end };
            if block < blocks.end || block >= layout.blocks() {
                break;
            }
            let rest = wanted.get(records..).unwrap_or_default();
            let more = at.count(block, rest);
            let (before, range) = (layout.block_range(blocks.end - 1), layout.block_range(block));
            if more == 0
                || range.start < before.end
                || u64::from(range.start - before.end) > gap
                || range.end.saturating_sub(start) as usize > most
                || outer(rest.get(..more).unwrap_or_default())
            {
                break;
            }
            records += more;
            blocks.end = block + 1;
        }
        (records, blocks)
    }

    /// As [`stretch`](Self::stretch) of a stored chunk, whose blocks lie as the records do: also records across
    /// them. All blocks are wanted, as all are checked.
    pub(super) fn stored(&self, at: &Blocks<'_>, wanted: &[Wanted]) -> (usize, Range<u32>) {
        let layout = &at.place.layout;
        let size = layout.block_size().max(1) as usize;
        let most = if self.reader.io.gap() > 0 { PIECE } else { STRETCH };
        let (mut records, mut blocks) = (0, 0..0);
        for next in wanted {
            if next.start == next.end || next.end > at.base + u64::from(layout.nbytes()) {
                break;
            }
            let of = at.block_of(next.start)..at.block_of(next.end - 1).saturating_add(1);
            let first = if records == 0 { of.start } else { blocks.start };
            let long = (of.end - first) as usize * size > most;
            // One that is long is read to where it is shown, unless it is in memory already.
            if (records == 0 && long && self.reader.io.reads_by_calls())
                || (records > 0 && of.end > blocks.end && (of.start > blocks.end || long))
            {
                break;
            }
            (records, blocks) = (records + 1, first..of.end.max(blocks.end));
        }
        (records, blocks)
    }
}

/// The blocks of a chunk in the file, whose first logical byte is `base`.
pub(super) struct Blocks<'a> {
    pub(super) place: &'a ChunkLocation,
    pub(super) base: u64,
}

impl Blocks<'_> {
    /// The block in which a logical byte of the chunk lies.
    pub(super) fn block_of(&self, at: u64) -> u32 {
        let size = u64::from(self.place.layout.block_size().max(1));
        u32::try_from((at - self.base) / size).unwrap_or(u32::MAX)
    }

    /// The first logical byte of a block.
    pub(super) fn first(&self, block: u32) -> u64 {
        self.base + u64::from(block) * u64::from(self.place.layout.block_size().max(1))
    }

    /// How many of the first records lie in this block, each as a whole.
    pub(super) fn count(&self, block: u32, wanted: &[Wanted]) -> usize {
        let first = self.first(block);
        let end = first + u64::from(self.place.layout.block_len(block));
        let inside = |w: &&Wanted| first <= w.start && w.start < w.end && w.end <= end;
        wanted.iter().take_while(inside).count()
    }

    /// What of a block must be decoded for these records of it.
    pub(super) fn part(&self, block: u32, wanted: &[Wanted]) -> Range<usize> {
        let (first, len) = (self.first(block), self.place.layout.block_len(block) as usize);
        if !Decoder::decodes_parts(&self.place.layout) {
            return 0..len;
        }
        let within = |at: u64| to_usize(at - first).unwrap_or(usize::MAX).min(len);
        let begin = wanted.first().map_or(0, |w| within(w.start));
        let end = wanted.iter().map(|w| within(w.end)).max().unwrap_or(len);
        begin / 8 * 8..end
    }
}

#[cfg(test)]
mod tests {
    use super::PIECE;
    use crate::backend::{Backend, Mapping, MemoryBackend};
    use crate::chunk::Algorithm;
    use crate::error::{Error, Result};
    use crate::store::{Layout, ReadOptions, Readable, Store, StoreOptions, WriteOptions, Writer};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts calls, each of which costs as much as `gap` bytes.
    #[derive(Debug)]
    struct Calls {
        inner: Arc<MemoryBackend>,
        gap: u64,
        calls: AtomicUsize,
        longest: AtomicUsize,
    }

    impl Backend for Calls {
        fn len(&self) -> Result<u64> {
            self.inner.len()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.longest.fetch_max(buf.len(), Ordering::Relaxed);
            self.inner.read_at(offset, buf)
        }
        fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
            Err(Error::ReadOnly)
        }
        fn set_len(&self, _: u64) -> Result<()> {
            Err(Error::ReadOnly)
        }
        fn sync(&self) -> Result<()> {
            Err(Error::ReadOnly)
        }
        fn map(&self, _: u64) -> Result<Option<Mapping>> {
            Ok(None)
        }
        fn writable(&self) -> bool {
            false
        }
        fn gap(&self) -> u64 {
            self.gap
        }
    }

    /// Records that fill two chunks; the last chunk of a store is not made up as the others are.
    const FULL: u64 = 138;

    #[test]
    fn where_a_call_has_its_price_neighbours_and_what_lies_between_are_read_by_one() {
        // Blocks that are longer than those which are joined everywhere.
        let record = |i: u64| -> Vec<u8> {
            let mut x = i + 1;
            let mut word = || {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                x.to_le_bytes()
            };
            (0..6000).flat_map(|_| word()).chain([0; 12_000]).collect()
        };
        for algorithm in [Some(Algorithm::Lz4), None] {
            let memory = Arc::new(MemoryBackend::new());
            let layout = Layout {
                compression: algorithm.into(),
                chunk_size: 4 << 20,
                block_size: 64 << 10,
                ..Layout::default()
            };
            let options = StoreOptions { layout, write: WriteOptions::default() };
            let mut w = Writer::create_in(memory.clone(), &options).unwrap();
            for i in 0..200 {
                w.insert(i, &record(i)).unwrap();
            }
            w.close().unwrap();
            let read = |gap, step, batch: bool| {
                let calls = AtomicUsize::new(0);
                let backend = Calls { inner: memory.clone(), gap, calls, longest: 0.into() };
                let backend = Arc::new(backend);
                let options = ReadOptions { threads: 1, ..ReadOptions::default() };
                let store = Store::open_in(backend.clone(), &options).unwrap();
                backend.calls.store(0, Ordering::Relaxed);
                let asked: Vec<u64> = (0..FULL).step_by(step).collect();
                let plan = store.plan_at(&asked).unwrap();
                let seen = AtomicUsize::new(0);
                let see = |i: usize, bytes: &[u8]| {
                    assert_eq!(bytes, record(asked[i]));
                    seen.fetch_add(1, Ordering::Relaxed);
                };
                if batch {
                    plan.batch().unwrap().iter().enumerate().for_each(|(i, bytes)| see(i, bytes));
                } else {
                    plan.each(|i, bytes| {
                        see(i, bytes);
                        Ok(())
                    })
                    .unwrap();
                }
                assert_eq!(seen.into_inner(), asked.len());
                assert!(backend.longest.load(Ordering::Relaxed) <= PIECE);
                backend.calls.load(Ordering::Relaxed)
            };
            for batch in [false, true] {
                // Of what is stored all that is read is checked: nothing is read through.
                for step in if algorithm.is_some() { 1..3 } else { 1..2 } {
                    let (each, joined) = (read(0, step, batch), read(64 << 10, step, batch));
                    let of = format!("{algorithm:?}, {batch}, {step}: {joined} of {each}");
                    assert!(joined * 3 < each, "{of}");
                }
                // What is worth less than what lies between is not read through.
                assert!(algorithm.is_none() || read(1000, 2, batch) > 68);
            }
        }
    }
}
