//! Runs of keys: written entry by entry in flat memory, and merged so that there are few.

use crate::error::{Error, Result};
use crate::index::filter::Filter;
use crate::index::layout::{RUN_MAGIC, RunEntry, RunRef, SegmentHeader, SegmentRef};
use crate::index::segment::{table_sum, whole_len};
use crate::limits::INDEX_PAGE;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::levels::{Run, run_segment};
use crate::store::index::space::{Space, header};
use crate::wire::{checksum, memory, to_usize};

/// Entries that are read from a run at once while it is merged.
const STRETCH: u64 = 1024;

/// Runs of one level that are merged into one of the next.
pub(crate) const FAN: usize = 8;

/// As [`FAN`], while keys come in ascending order: then no put has to look through the runs, and
/// merging them half as often keeps the last of ten million puts as cheap as the first.
pub(crate) const FAN_ASCENDING: usize = 16;

const fn level(count: u64) -> u32 {
    (count / 1024 + 1).ilog2() / 3
}

/// How many runs at the end are to be merged: those of the last one's level or below, if they
/// are `fan` or more.
pub(crate) fn to_merge<T>(runs: &[Lazy<RunRef, T>], fan: usize) -> Option<usize> {
    let last = level(runs.last()?.at.count.get());
    let n = runs.iter().rev().take_while(|r| level(r.at.count.get()) <= last).count();
    (n >= fan).then_some(n)
}

/// Writes a run of `entries`, which are in their order.
pub(crate) fn write(
    io: &Io,
    space: &mut Space,
    generation: u64,
    entries: &[RunEntry],
) -> Result<Run> {
    let mut w = RunWriter::new(io, *space, generation, entries.len())?;
    for e in entries {
        w.push(e)?;
    }
    Ok(Lazy::new(w.finish(space)?))
}

/// Merges runs at the end of `runs` until there are fewer than `fan` of each level.
pub(crate) fn merge(
    io: &Io,
    space: &mut Space,
    runs: &mut Vec<Run>,
    fan: usize,
    generation: u64,
) -> Result<()> {
    while let Some(n) = to_merge(runs, fan) {
        let old = runs.split_off(runs.len() - n);
        let total = old.iter().map(|r| r.at.count.get()).sum();
        let mut sources: Vec<_> = old.iter().map(Source::new).collect();
        let mut w = RunWriter::new(io, *space, generation, to_usize(total).unwrap_or(usize::MAX))?;
        let mut stretch = Vec::new();
        let mut held: Option<RunEntry> = None;
        while next_stretch(io, &mut sources, &mut stretch)? {
            if stretch.is_empty() {
                return Err(out_of_order(&old));
            }
            for e in &stretch {
                if held.is_some_and(|h| h.order() > e.order()) {
                    return Err(out_of_order(&old));
                }
                // A record and its tombstone in one run say nothing together.
                match held.replace(*e) {
                    Some(h) if e.is_dead() && !h.is_dead() && h.record() == e.record() => {
                        held = None;
                    }
                    Some(h) => w.push(&h)?,
                    None => {}
                }
            }
        }
        if let Some(h) = held {
            w.push(&h)?;
        }
        space.garbage += old.iter().map(|r| r.at.bytes()).sum::<u64>();
        let merged = w.finish(space)?;
        if merged.count.get() > 0 {
            runs.push(Lazy::new(merged));
        } else {
            space.garbage += merged.bytes();
        }
    }
    Ok(())
}

fn out_of_order(runs: &[Run]) -> Error {
    let at = runs.first().map_or(0, |run| run.at.segment.offset.get());
    Error::corrupt("run of keys", at, "its entries, or those of one that follows, are out of order")
}

/// A run that is read from its start to its end.
struct Source<'a> {
    run: &'a Run,
    /// Entries that were read from it.
    read: u64,
    /// The last ones of them, and how many of these have been taken.
    buffer: Vec<RunEntry>,
    taken: usize,
}

impl<'a> Source<'a> {
    const fn new(run: &'a Run) -> Self {
        Self { run, read: 0, buffer: Vec::new(), taken: 0 }
    }

    const fn left(&self) -> u64 {
        self.run.at.count.get() - self.read
    }

    /// Reads on if nothing is left in the buffer.
    fn fill(&mut self, io: &Io) -> Result<()> {
        let n = self.left().min(STRETCH);
        if self.taken == self.buffer.len() && n > 0 {
            let at = 64 + self.read * size_of::<RunEntry>() as u64;
            let at = to_usize(at).unwrap_or(usize::MAX);
            let run = run_segment(io, self.run)?;
            self.buffer = run.segment.list(io, at, to_usize(n).unwrap_or(0))?;
            self.taken = 0;
            self.read += n;
        }
        Ok(())
    }

    fn rest(&self) -> &[RunEntry] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

/// Puts into `out` the next entries of all sources in their order: those up to the first place
/// where one of the sources has to be read on; nothing if a source is out of order. False if all
/// have been taken.
///
/// To sort what is a few sorted stretches is to merge them, which the library's stable sort
/// knows; entry by entry, the least of eight sources took ten times as long.
fn next_stretch(io: &Io, sources: &mut [Source<'_>], out: &mut Vec<RunEntry>) -> Result<bool> {
    out.clear();
    for source in &mut *sources {
        source.fill(io)?;
    }
    let any = sources.iter().any(|s| !s.rest().is_empty());
    let goes_on = sources.iter().filter(|s| s.left() > 0);
    let end = goes_on.filter_map(|s| s.rest().last().map(RunEntry::order)).min();
    for source in sources {
        let rest = source.rest();
        let n = end.map_or(rest.len(), |end| rest.partition_point(|e| e.order() <= end));
        out.extend_from_slice(rest.get(..n).unwrap_or_default());
        source.taken += n;
    }
    out.sort_by_key(RunEntry::order);
    Ok(any)
}

/// Writes a run entry by entry, in flat memory: pages go to the file as they fill, but the
/// first, whose header tells the count.
struct RunWriter<'a> {
    io: &'a Io,
    at: u64,
    bits: u32,
    head: SegmentHeader,
    first: Option<Vec<u8>>,
    page: Vec<u8>,
    sums: Vec<u8>,
    written: u64,
    count: u32,
    radix: Vec<u8>,
    slots: u64,
    filter: Filter,
}

impl<'a> RunWriter<'a> {
    fn new(io: &'a Io, space: Space, generation: u64, expected: usize) -> Result<Self> {
        let bits = (expected as u64 / 8).max(1).ilog2().min(28);
        Ok(Self {
            io,
            at: space.end.next_multiple_of(64),
            bits,
            head: header(RUN_MAGIC, generation, 0),
            first: None,
            page: vec![0; 64],
            sums: Vec::new(),
            written: 0,
            count: 0,
            radix: Vec::new(),
            slots: 0,
            filter: Filter::new(expected as u64)?,
        })
    }

    fn push(&mut self, e: &RunEntry) -> Result<()> {
        let slot = if self.bits == 0 { 0 } else { e.hash() >> (64 - self.bits) };
        self.fill_radix(slot + 1)?;
        self.count = self.count.checked_add(1).ok_or(Error::Limit {
            what: "entries of one run",
            asked: 1 << 32,
            max: u64::from(u32::MAX),
        })?;
        self.filter.insert(e.hash());
        self.bytes(bytemuck::bytes_of(e))
    }

    /// Notes the count so far as the first entry of every slot below `end`.
    fn fill_radix(&mut self, end: u64) -> Result<()> {
        while self.slots < end {
            memory::append(&mut self.radix, &self.count.to_le_bytes())?;
            self.slots += 1;
        }
        Ok(())
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(INDEX_PAGE - self.page.len());
            let (now, later) = bytes.split_at(n);
            self.page.extend_from_slice(now);
            bytes = later;
            if self.page.len() == INDEX_PAGE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.first.is_none() {
            memory::append(&mut self.sums, &[0; 8])?;
            self.first = Some(std::mem::take(&mut self.page));
            self.written += self.first.as_ref().map_or(0, Vec::len) as u64;
            return Ok(());
        }
        memory::append(&mut self.sums, &checksum(&self.page).to_le_bytes())?;
        self.io.write(self.at + self.written, &self.page)?;
        self.written += self.page.len() as u64;
        self.page.clear();
        Ok(())
    }

    fn finish(mut self, space: &mut Space) -> Result<RunRef> {
        self.fill_radix((1_u64 << self.bits) + 1)?;
        let radix = std::mem::take(&mut self.radix);
        self.bytes(&radix)?;
        let end = self.written + self.page.len() as u64;
        let gap = to_usize(end.next_multiple_of(8) - end).unwrap_or(0);
        self.bytes([0; 8].get(..gap).unwrap_or_default())?;
        let body = self.written + self.page.len() as u64;
        if !self.page.is_empty() {
            self.flush()?;
        }
        self.head.file = self.io.file();
        self.head.count = u64::from(self.count).into();
        self.head.first_record = u64::from(self.bits).into();
        self.head.len = whole_len(body).into();
        let mut first = self.first.take().unwrap_or_default();
        if let Some(head) = first.get_mut(..64) {
            head.copy_from_slice(bytemuck::bytes_of(&self.head));
        }
        if let Some(sum) = self.sums.get_mut(..8) {
            sum.copy_from_slice(&checksum(&first).to_le_bytes());
        }
        self.io.write(self.at, &first)?;
        self.io.write(self.at + body, &self.sums)?;
        let len = whole_len(body);
        space.end = self.at + len;
        let filter_blocks = u32::try_from(self.filter.blocks()).unwrap_or(0);
        let run = RunRef {
            segment: SegmentRef {
                offset: self.at.into(),
                len: len.into(),
                sum: table_sum(self.io.file(), self.at, len, &self.sums).into(),
            },
            count: u64::from(self.count).into(),
            filter_blocks: filter_blocks.into(),
            reserved: 0.into(),
        };
        if let Some(at) = run.filter_at() {
            self.io.write(at, &self.filter.finish(at, &run.segment))?;
            space.end = at + run.filter_len();
        }
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::backend::MemoryBackend;
    use crate::wire::mix;
    use std::sync::Arc;

    fn io() -> Io {
        Io::new(Arc::new(MemoryBackend::new()), [7; 16]).unwrap()
    }

    fn run(io: &Io, space: &mut Space, entries: impl Iterator<Item = (u64, bool)>) -> Run {
        let mut all: Vec<_> =
            entries.map(|(record, dead)| RunEntry::new(mix(record), record, dead)).collect();
        all.sort_unstable_by_key(RunEntry::order);
        write(io, space, 1, &all).unwrap()
    }

    fn all(io: &Io, run: &Run) -> Vec<RunEntry> {
        let mut source = Source::new(run);
        let mut out = Vec::new();
        while source.left() > 0 {
            source.fill(io).unwrap();
            out.extend_from_slice(source.rest());
            source.taken = source.buffer.len();
        }
        out
    }

    #[test]
    fn merged_runs_hold_every_entry_in_order_but_records_that_meet_their_tombstones() {
        let (io, mut space) = (io(), Space { end: 0, garbage: 0 });
        // Longer and shorter than what is read at once; the seventh kills records of the first,
        // and one of no run.
        let lengths = [3 * STRETCH + 1, 1, STRETCH, 17, 2 * STRETCH, 0, 9, 40];
        let mut first = 0;
        let mut runs = Vec::new();
        for (i, len) in lengths.into_iter().enumerate() {
            runs.push(match i {
                5 => run(&io, &mut space, (0..1000).map(|r| (r * 3, true))),
                6 => run(&io, &mut space, std::iter::once((1 << 40, true))),
                _ => run(&io, &mut space, (first..first + len).map(|r| (r, false))),
            });
            first += len;
        }
        let before: u64 = runs.iter().map(|r| r.at.bytes()).sum();
        merge(&io, &mut space, &mut runs, FAN, 2).unwrap();
        let [merged] = runs.try_into().unwrap();
        assert_eq!(space.garbage, before);

        let gone = |r: u64| r.is_multiple_of(3) && r < 3000;
        // The numbers of the sixth and seventh run's places were used by no record.
        let used = |r: &u64| !(first - 40 - 9..first - 40).contains(r);
        let mut expected: Vec<_> =
            (0..first).filter(|r| !gone(*r)).filter(used).map(|r| (r, false)).collect();
        expected.push((1 << 40, true));
        let mut expected: Vec<_> =
            expected.into_iter().map(|(r, dead)| RunEntry::new(mix(r), r, dead).order()).collect();
        expected.sort_unstable();
        let found: Vec<_> = all(&io, &merged).iter().map(RunEntry::order).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn runs_that_lie_about_their_order_are_damage_and_lose_no_entry_silently() {
        // The greater half first; the greatest entry in front of a long run; two swapped at
        // the end of what is read at once.
        let lies: [fn(&mut Vec<RunEntry>); 3] =
            [|all| all.rotate_left(2000), |all| all.rotate_right(1), |all| all.swap(1023, 1024)];
        for lie in lies {
            let (io, mut space) = (io(), Space { end: 0, garbage: 0 });
            let mut runs: Vec<_> = (1..8)
                .map(|i| run(&io, &mut space, (i * 9..i * 9 + 9).map(|r| (r, false))))
                .collect();
            let mut all: Vec<_> = (100..4100).map(|r| RunEntry::new(mix(r), r, false)).collect();
            all.sort_unstable_by_key(RunEntry::order);
            lie(&mut all);
            let count = all.len() as u64;
            // A run whose table of first entries is as wrong as its order.
            let mut w = RunWriter::new(&io, space, 1, all.len()).unwrap();
            for e in &all {
                w.push(e).unwrap();
            }
            let run = Lazy::new(w.finish(&mut space).unwrap());
            assert_eq!(run.at.count.get(), count);
            runs.push(run);
            let e = merge(&io, &mut space, &mut runs, FAN, 2).unwrap_err();
            assert!(e.to_string().contains("out of order"), "{e}");
        }
    }
}
