//! Reading runs: the entries of one hash, or all of them in their order.

use crate::error::{Error, Result};
use crate::index::key_hash::kept_hash;
use crate::index::layout::{RUN_MAGIC, RunRef, SegmentHeader};
use crate::index::run::{RunEntry, Shape};
use crate::store::index::far::head;
use crate::store::index::io::Io;
use crate::store::index::lazy::Lazy;
use crate::store::index::segment::Segment;
use crate::wire::U32;
use std::ops::Range;

/// Entries that are read at once in a search: a slot has about 8.
const BUCKET: u64 = 16;
/// Bytes for them; no entry has more than 11.
const BUCKET_BYTES: usize = 192;
/// Entries that are read at once by who reads all.
const STRETCH: u64 = 1024;

/// A run that is opened when it is first needed.
pub(crate) type Run = Lazy<RunRef, OpenRun>;

/// An open run: sorted entries, found through a table of the first ones by upper bits.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) segment: Segment,
    pub(crate) shape: Shape,
}

/// The open run.
pub(crate) fn open_run<'a>(io: &Io, run: &'a Run) -> Result<&'a OpenRun> {
    run.get(|at| {
        if io.is_far() {
            io.announce(head(&at.segment))?;
        }
        let segment = Segment::open(io, &at.segment, RUN_MAGIC, "run of keys")?;
        let header: SegmentHeader = segment.get(io, 0)?;
        match Shape::read(&header, segment.len()) {
            Some(shape) if header.count == at.count => Ok(OpenRun { segment, shape }),
            _ => Err(segment.corrupt("disagrees with the root")),
        }
    })
}

impl OpenRun {
    /// The entries in a slot.
    fn slot(&self, io: &Io, slot: u64) -> Result<Range<u64>> {
        let bad = || self.segment.corrupt("table out of order");
        let at = self.shape.slot_at(slot).ok_or_else(bad)?;
        let [first, end]: [U32; 2] = self.segment.get(io, at)?;
        let [first, end] = [first, end].map(|n| u64::from(n.get()));
        if first > end || end > self.shape.count() {
            return Err(bad());
        }
        Ok(first..end)
    }

    /// Calls `f` with these entries, all in `slot`, from the last one down, until it returns something.
    fn each_down<R>(
        &self,
        io: &Io,
        entries: Range<u64>,
        slot: u64,
        mut f: impl FnMut(RunEntry) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let mut bytes = [0; BUCKET_BYTES];
        let bad = || self.segment.corrupt("an entry is not where it should be");
        let mut end = entries.end;
        // In small steps, so that a bad table cannot make one look-up take the memory of a run.
        while entries.start < end {
            let from = entries.start.max(end.saturating_sub(BUCKET));
            let span = self.shape.span(from..end).ok_or_else(bad)?;
            let now = bytes.get_mut(..span.len()).ok_or_else(bad)?;
            self.segment.read(io, span.start, now)?;
            for i in (from..end).rev() {
                let entry = self.shape.unpack(&bytes, from, i, slot).ok_or_else(bad)?;
                if let Some(answer) = f(entry)? {
                    return Ok(Some(answer));
                }
            }
            end = from;
        }
        Ok(None)
    }

    /// The end of the entries in `range` whose hash is not above `wanted`: looked for by halves
    /// where the table of the run, or keys that were chosen for it, made a large slot.
    fn end_of(&self, io: &Io, range: Range<u64>, slot: u64, wanted: u64) -> Result<u64> {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.each_down(io, middle..middle + 1, slot, |e| Ok(Some(e)))?;
            if entry.is_some_and(|e| kept_hash(e.hash()) <= wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Calls `f` with the entries of a hash, the greatest record first, until it returns something.
    pub(crate) fn search<R>(
        &self,
        io: &Io,
        hash: u64,
        f: &mut impl FnMut(RunEntry) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let slot = self.shape.slot(hash);
        let wanted = kept_hash(hash);
        let mut entries = self.slot(io, slot)?;
        if entries.end - entries.start > 4 * BUCKET {
            entries.end = self.end_of(io, entries.clone(), slot, wanted)?;
        }
        let done = self.each_down(io, entries, slot, |e| {
            let kept = kept_hash(e.hash());
            if kept < wanted {
                return Ok(Some(None));
            }
            Ok(if kept == wanted { f(e)?.map(Some) } else { None })
        })?;
        Ok(done.flatten())
    }
}

/// A run that is read from its start to its end.
pub(crate) struct RunReader<'a> {
    open: &'a OpenRun,
    read: u64,
    slot: u64,
    in_slot: Range<u64>,
    /// The last entries that were read, and how many of them have been taken.
    buffer: Vec<RunEntry>,
    taken: usize,
}

impl<'a> RunReader<'a> {
    pub(crate) fn new(io: &Io, run: &'a Run) -> Result<Self> {
        let open = open_run(io, run)?;
        let in_slot = open.slot(io, 0)?;
        if in_slot.start != 0 {
            return Err(open.segment.corrupt("table out of order"));
        }
        Ok(Self { open, read: 0, slot: 0, in_slot, buffer: Vec::new(), taken: 0 })
    }

    /// The error for damage that is found in what the run says.
    pub(crate) const fn corrupt(&self, why: &'static str) -> Error {
        self.open.segment.corrupt(why)
    }

    /// The shape of the run.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.open.shape
    }

    /// Entries that are not read yet.
    pub(crate) const fn left(&self) -> u64 {
        self.open.shape.count() - self.read
    }

    /// Reads on if all that was read has been taken.
    pub(crate) fn fill(&mut self, io: &Io) -> Result<()> {
        let entries = self.read..self.read + self.left().min(STRETCH);
        if self.taken < self.buffer.len() || entries.is_empty() {
            return Ok(());
        }
        let bad = || self.corrupt("an entry is not where it should be");
        let span = self.open.shape.span(entries.clone()).ok_or_else(bad)?;
        let bytes: Vec<u8> = self.open.segment.list(io, span.start, span.len())?;
        self.buffer.clear();
        for i in entries.clone() {
            while i >= self.in_slot.end {
                self.slot += 1;
                if self.slot == self.open.shape.slots() {
                    return Err(self.corrupt("table out of order"));
                }
                let next = self.open.slot(io, self.slot)?;
                if next.start != self.in_slot.end {
                    return Err(self.corrupt("table out of order"));
                }
                self.in_slot = next;
            }
            let entry = self.open.shape.unpack(&bytes, entries.start, i, self.slot);
            self.buffer.push(entry.ok_or_else(|| self.corrupt("ends too early"))?);
        }
        (self.read, self.taken) = (entries.end, 0);
        Ok(())
    }

    /// The entries that were read and not taken.
    pub(crate) fn rest(&self) -> &[RunEntry] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// Takes the first `n` of them.
    pub(crate) const fn take(&mut self, n: usize) {
        self.taken += n;
    }
}
