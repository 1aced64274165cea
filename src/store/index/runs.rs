//! Runs of keys: written entry by entry in flat memory, and merged so that there are few.

use crate::error::{Error, Result};
use crate::index::filter::Filter;
use crate::index::layout::{RUN_MAGIC, RunRef, SegmentHeader, SegmentRef};
use crate::index::run::{Packer, RunEntry, Shape};
use crate::index::segment::{table_sum, whole_len};
use crate::limits::INDEX_PAGE;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::next_segment::{Space, header};
use crate::store::index::open_run::{Run, RunReader};
use crate::wire::{checksum, memory};
use std::ops::RangeInclusive;

/// Runs of one level that are merged into one of the next.
pub(crate) const FAN: usize = 8;

const fn level(count: u64) -> u32 {
    (count / 1024 + 1).ilog2() / 3
}

/// How many runs at the end are to be merged: those of the last one's level or below, if they
/// are [`FAN`] or more.
pub(crate) fn to_merge<T>(runs: &[Lazy<RunRef, T>]) -> Option<usize> {
    let last = level(runs.last()?.at.count.get());
    let n = runs.iter().rev().take_while(|r| level(r.at.count.get()) <= last).count();
    (n >= FAN).then_some(n)
}

/// Writes a run of `entries`, which are in their order.
pub(crate) fn write(
    io: &Io,
    space: &mut Space,
    generation: u64,
    entries: &[RunEntry],
) -> Result<Run> {
    let records = entries.iter().map(|e| e.record());
    let records = records.clone().min().unwrap_or(0)..=records.max().unwrap_or(0);
    let mut w = RunWriter::new(io, *space, generation, entries.len() as u64, records)?;
    for e in entries {
        w.push(*e)?;
    }
    Ok(Lazy::new(w.finish(space)?))
}

/// Merges runs at the end of `runs` until there are fewer than [`FAN`] of each level.
pub(crate) fn merge(
    io: &Io,
    space: &mut Space,
    runs: &mut Vec<Run>,
    generation: u64,
) -> Result<()> {
    while let Some(n) = to_merge(runs) {
        let old = runs.split_off(runs.len() - n);
        let total = old.iter().map(|r| r.at.count.get()).sum();
        let mut sources = old.iter().map(|r| RunReader::new(io, r)).collect::<Result<Vec<_>>>()?;
        let records = sources.iter().map(|s| s.shape().records());
        let records = records.reduce(|a, b| *a.start().min(b.start())..=*a.end().max(b.end()));
        let mut w = RunWriter::new(io, *space, generation, total, records.unwrap_or(0..=0))?;
        let mut stretch = Vec::new();
        let mut held: Option<RunEntry> = None;
        while next_stretch(io, &mut sources, &mut stretch)? {
            if stretch.is_empty() {
                return Err(out_of_order(&old));
            }
            for e in &stretch {
                if held.is_some_and(|h| h > *e) {
                    return Err(out_of_order(&old));
                }
                // A record and its tombstone in one run say nothing together.
                match held.replace(*e) {
                    Some(h) if e.is_dead() && !h.is_dead() && h.record() == e.record() => {
                        held = None;
                    }
                    Some(h) => w.push(h)?,
                    None => {}
                }
            }
        }
        if let Some(h) = held {
            w.push(h)?;
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

/// Puts into `out` the next entries of all sources in their order: those up to the first place
/// where one of the sources has to be read on; nothing if a source is out of order. False if all
/// have been taken.
///
/// To sort what is a few sorted stretches is to merge them, which the library's stable sort
/// knows; entry by entry, the least of eight sources took ten times as long.
fn next_stretch(io: &Io, sources: &mut [RunReader<'_>], out: &mut Vec<RunEntry>) -> Result<bool> {
    out.clear();
    for source in &mut *sources {
        source.fill(io)?;
    }
    let any = sources.iter().any(|s| !s.rest().is_empty());
    let goes_on = sources.iter().filter(|s| s.left() > 0);
    let end = goes_on.filter_map(|s| s.rest().last().copied()).min();
    for source in sources {
        let rest = source.rest();
        let n = end.map_or(rest.len(), |end| rest.partition_point(|e| *e <= end));
        out.extend_from_slice(rest.get(..n).unwrap_or_default());
        source.take(n);
    }
    out.sort();
    Ok(any)
}

/// Writes a run entry by entry, in flat memory: pages go to the file as they fill, but the
/// first, whose header tells the count.
struct RunWriter<'a> {
    io: &'a Io,
    at: u64,
    head: SegmentHeader,
    packer: Packer,
    first: Option<Vec<u8>>,
    /// Bytes behind those that were written.
    held: Vec<u8>,
    sums: Vec<u8>,
    written: u64,
    filter: Filter,
}

impl<'a> RunWriter<'a> {
    /// For about `expected` entries of these records.
    fn new(
        io: &'a Io,
        space: Space,
        generation: u64,
        expected: u64,
        records: RangeInclusive<u64>,
    ) -> Result<Self> {
        Ok(Self {
            io,
            at: space.end.next_multiple_of(64),
            head: header(RUN_MAGIC, generation, 0),
            packer: Packer::new(Shape::new(expected, records)),
            first: None,
            held: vec![0; size_of::<SegmentHeader>()],
            sums: Vec::new(),
            written: 0,
            filter: Filter::new(expected)?,
        })
    }

    fn push(&mut self, e: RunEntry) -> Result<()> {
        self.filter.insert(e.hash());
        self.packer.push(e, &mut self.held)?;
        if self.held.len() >= INDEX_PAGE {
            let whole = self.held.len() / INDEX_PAGE * INDEX_PAGE;
            self.flush(whole)?;
        }
        Ok(())
    }

    /// Writes the first `n` of the bytes that are held, as pages.
    fn flush(&mut self, n: usize) -> Result<()> {
        for page in self.held.get(..n).unwrap_or_default().chunks(INDEX_PAGE) {
            if self.first.is_none() {
                memory::append(&mut self.sums, &[0; 8])?;
                self.first = Some(memory::copied(page)?);
            } else {
                memory::append(&mut self.sums, &checksum(page).to_le_bytes())?;
                self.io.write(self.at + self.written, page)?;
            }
            self.written += page.len() as u64;
        }
        self.held.drain(..n);
        Ok(())
    }

    fn finish(mut self, space: &mut Space) -> Result<RunRef> {
        let packer = std::mem::replace(&mut self.packer, Packer::new(Shape::new(0, 0..=0)));
        let shape = packer.finish(&mut self.held)?;
        self.flush(self.held.len())?;
        let body = self.written;
        let len = whole_len(body);
        shape.write(&mut self.head);
        self.head.file = self.io.file();
        self.head.len = len.into();
        let mut first = self.first.take().unwrap_or_default();
        if let Some(head) = first.get_mut(..size_of::<SegmentHeader>()) {
            head.copy_from_slice(bytemuck::bytes_of(&self.head));
        }
        if let Some(sum) = self.sums.get_mut(..8) {
            sum.copy_from_slice(&checksum(&first).to_le_bytes());
        }
        self.io.write(self.at, &first)?;
        self.io.write(self.at + body, &self.sums)?;
        space.end = self.at + len;
        let filter_blocks = u32::try_from(self.filter.blocks()).unwrap_or(0);
        let run = RunRef {
            segment: SegmentRef {
                offset: self.at.into(),
                len: len.into(),
                sum: table_sum(self.io.file(), self.at, len, &self.sums).into(),
            },
            count: shape.count().into(),
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
        all.sort_unstable();
        write(io, space, 1, &all).unwrap()
    }

    fn all(io: &Io, run: &Run) -> Vec<RunEntry> {
        let mut source = RunReader::new(io, run).unwrap();
        let mut out = Vec::new();
        while source.left() > 0 {
            source.fill(io).unwrap();
            out.extend_from_slice(source.rest());
            source.take(source.rest().len());
        }
        out
    }

    #[test]
    fn merged_runs_hold_every_entry_in_order_but_records_that_meet_their_tombstones() {
        let (io, mut space) = (io(), Space { end: 0, garbage: 0 });
        // Longer and shorter than what is read at once; the seventh kills records of the first,
        // and one of no run.
        let lengths = [3 * 1024 + 1, 1, 1024, 17, 2 * 1024, 0, 9, 40];
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
        merge(&io, &mut space, &mut runs, 2).unwrap();
        let [merged] = runs.try_into().unwrap();
        assert_eq!(space.garbage, before);

        let gone = |r: u64| r.is_multiple_of(3) && r < 3000;
        // The numbers of the sixth and seventh run's places were used by no record.
        let used = |r: &u64| !(first - 40 - 9..first - 40).contains(r);
        let mut expected: Vec<_> =
            (0..first).filter(|r| !gone(*r)).filter(used).map(|r| (r, false)).collect();
        expected.push((1 << 40, true));
        let mut expected: Vec<_> =
            expected.into_iter().map(|(r, dead)| RunEntry::new(mix(r), r, dead)).collect();
        expected.sort_unstable();
        assert_eq!(all(&io, &merged), expected);
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
            all.sort_unstable();
            lie(&mut all);
            let count = all.len() as u64;
            // A run whose table of first entries is as wrong as its order.
            let mut w = RunWriter::new(&io, space, 1, all.len() as u64, 0..=4100).unwrap();
            for e in &all {
                w.push(*e).unwrap();
            }
            let run = Lazy::new(w.finish(&mut space).unwrap());
            assert_eq!(run.at.count.get(), count);
            runs.push(run);
            let e = merge(&io, &mut space, &mut runs, 2).unwrap_err();
            assert!(e.to_string().contains("out of order"), "{e}");
        }
    }
}
