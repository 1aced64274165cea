//! Records in order: windows of whole blocks, decoded ahead by threads that live as long as
//! the scan.

use crate::backend::process_id;
use crate::error::{Error, Result};
use crate::index::leaf::Place;
use crate::store::read::readable::Readable;
use crate::store::read::reader::{InOrder, Reader};
use crate::store::read::record::Record;
use crate::store::read::share_out::ended;
use crate::store::read::snapshot::Snapshot;
use crate::wire::{AlignedBuf, to_usize};
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Bytes of a window, at least; it ends with a block.
const WINDOW: u64 = 1 << 20;
/// Records of a window, at most.
const RECORDS: usize = 1 << 16;

/// Records in order; see [`Snapshot::scan`].
#[derive(Debug)]
pub struct Scan {
    snapshot: Snapshot,
    /// The ordinal of the next record to plan for.
    planned: u64,
    end: u64,
    window: Arc<AlignedBuf>,
    covers: Range<u64>,
    entries: std::vec::IntoIter<Place>,
    ahead: VecDeque<Plan>,
    workers: Option<Workers>,
    /// Windows that no record holds any more, for the next ones.
    spare: Vec<AlignedBuf>,
    windows: u64,
}

/// A window to come: its records and the whole blocks that they lie in.
#[derive(Debug)]
struct Plan {
    number: u64,
    entries: Vec<Place>,
    covers: Range<u64>,
}

impl Plan {
    const fn bytes(&self) -> u64 {
        self.covers.end - self.covers.start
    }
}

#[derive(Debug)]
struct Task {
    number: u64,
    covers: Range<u64>,
    out: AlignedBuf,
}

type Decoded = Result<AlignedBuf>;

/// Threads that decode ahead. The caller takes tasks from the same queue while it waits.
#[derive(Debug)]
struct Workers {
    tasks: Option<Sender<Task>>,
    todo: Receiver<Task>,
    results: Receiver<(u64, Decoded)>,
    done: BTreeMap<u64, Decoded>,
    threads: Vec<JoinHandle<()>>,
    process: u32,
}

impl Scan {
    pub(crate) fn new(snapshot: Snapshot, range: Range<u64>) -> Self {
        let end = range.end.min(snapshot.len());
        Self {
            snapshot,
            planned: range.start,
            end,
            window: Arc::default(),
            covers: 0..0,
            entries: Vec::new().into_iter(),
            ahead: VecDeque::new(),
            workers: None,
            spare: Vec::new(),
            windows: 0,
        }
    }

    fn reader(&self) -> &Reader {
        &self.snapshot.inner().reader
    }

    /// The next record, or why it cannot be read; an error of its own ends the scan.
    fn advance(&mut self) -> Result<Option<Result<Record>>> {
        let entry = loop {
            if let Some(entry) = self.entries.next() {
                break entry;
            }
            if !self.refill()? {
                return Ok(None);
            }
        };
        Ok(Some(self.record(&entry)))
    }

    fn record(&self, entry: &Place) -> Result<Record> {
        let span = self.reader().span(entry)?;
        if span.is_empty() {
            return Ok(Record::empty());
        }
        if self.covers.start <= span.start && span.end <= self.covers.end {
            let at = to_usize(span.start - self.covers.start).unwrap_or(usize::MAX);
            let end = at + to_usize(span.end - span.start).unwrap_or(usize::MAX);
            if at.is_multiple_of(8) {
                return Record::of(self.window.clone(), at..end);
            }
            let bytes = self.window.get(at..end).unwrap_or_default();
            return AlignedBuf::copy_of(bytes).map(Record::owned);
        }
        self.reader().record(entry)
    }

    /// Takes the next window; whether there was one.
    fn refill(&mut self) -> Result<bool> {
        if self.workers.as_ref().is_some_and(|w| w.process != process_id()) {
            // A forked child has no such threads: what they were to do is planned again.
            std::mem::forget(self.workers.take());
            let lost: usize = self.ahead.iter().map(|p| p.entries.len()).sum();
            self.planned -= lost as u64;
            self.ahead.clear();
        }
        let old = std::mem::take(&mut self.window);
        self.spare.extend(Arc::into_inner(old).filter(|b| !b.is_empty()));
        let threads = self.reader().threads;
        let depth = if threads > 1 && self.windows > 0 { threads + 1 } else { 1 };
        let enough = depth as u64 * WINDOW;
        let bytes = |ahead: &VecDeque<Plan>| ahead.iter().map(Plan::bytes).sum::<u64>();
        while self.ahead.len() < depth && bytes(&self.ahead) <= enough {
            let Some(plan) = self.plan()? else { break };
            let mut out = self.spare.pop().unwrap_or_default();
            out.resize(to_usize(plan.bytes()).unwrap_or(usize::MAX))?;
            let task = Task { number: plan.number, covers: plan.covers.clone(), out };
            if depth == 1 {
                let out = decode(&self.snapshot, task).1;
                self.take(plan, out)?;
                return Ok(true);
            }
            self.ahead.push_back(plan);
            if self.workers.is_none() {
                self.workers = Some(Workers::start(&self.snapshot, threads - 1)?);
            }
            self.workers
                .as_ref()
                .and_then(|w| w.tasks.as_ref()?.send(task).ok())
                .ok_or_else(ended)?;
        }
        let Some(plan) = self.ahead.pop_front() else { return Ok(false) };
        let out = match &mut self.workers {
            Some(workers) => workers.wait(plan.number, &self.snapshot),
            None => return Err(ended()),
        };
        self.take(plan, out)?;
        Ok(true)
    }

    fn take(&mut self, plan: Plan, out: Decoded) -> Result<()> {
        (self.window, self.covers) = match out {
            Ok(out) => (Arc::new(out), plan.covers),
            // A damaged block costs its own records: those of this window are read one by one.
            Err(Error::Corrupt(_)) => (Arc::default(), 0..0),
            Err(e) => return Err(e),
        };
        self.entries = plan.entries.into_iter();
        Ok(())
    }

    /// The next records whose blocks make a window: all that start before the end of the block
    /// in which the window is full. So windows share a block only if a record crosses it.
    fn plan(&mut self) -> Result<Option<Plan>> {
        let reader = &self.snapshot.inner().reader;
        let (mut entries, mut in_order) = (Vec::new(), InOrder::default());
        let mut span: Option<Range<u64>> = None;
        let mut limit = 0;
        while self.planned < self.end && entries.len() < RECORDS {
            let entry = in_order.place(reader, reader.id_at(self.planned)?)?;
            let place = reader.span(&entry)?;
            if !place.is_empty() {
                match &mut span {
                    None => {
                        limit = reader.block_end(place.start)?;
                        while limit < place.start + WINDOW && limit < reader.totals.cursor {
                            limit = reader.block_end(limit)?;
                        }
                        span = Some(place);
                    }
                    // Records of another writer may lie in any order.
                    Some(s) if place.start >= limit || place.start < s.start => break,
                    Some(s) => s.end = s.end.max(place.end),
                }
            }
            entries.push(entry);
            self.planned += 1;
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let covers = match span {
            None => 0..0,
            Some(s) => reader.block_start(s.start)?..reader.block_end(s.end - 1)?,
        };
        self.windows += 1;
        Ok(Some(Plan { number: self.windows, entries, covers }))
    }
}

impl Iterator for Scan {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(r) => r,
            Err(e) => {
                self.planned = self.end;
                self.ahead.clear();
                self.entries = Vec::new().into_iter();
                Some(Err(e))
            }
        }
    }
}

fn decode(snapshot: &Snapshot, task: Task) -> (u64, Decoded) {
    let Task { number, covers, mut out } = task;
    let read = AssertUnwindSafe(|| snapshot.inner().reader.read(covers, &mut out));
    // Whoever waits for this window must hear of it, whatever happens.
    let done = catch_unwind(read).unwrap_or_else(|_| Err(ended()));
    (number, done.map(|()| out))
}

impl Workers {
    fn start(snapshot: &Snapshot, threads: usize) -> Result<Self> {
        let (tasks, todo) = unbounded();
        let (finished, results) = unbounded();
        let threads = (0..threads)
            .map(|i| {
                let (snapshot, todo, finished) = (snapshot.clone(), todo.clone(), finished.clone());
                let work = move || {
                    for task in &todo {
                        if finished.send(decode(&snapshot, task)).is_err() {
                            return;
                        }
                    }
                };
                std::thread::Builder::new()
                    .name(format!("vlstore-scan-{i}"))
                    .spawn(work)
                    .map_err(|e| Error::io("start a reading thread", e))
            })
            .collect::<Result<_>>()?;
        let process = process_id();
        Ok(Self { tasks: Some(tasks), todo, results, done: BTreeMap::new(), threads, process })
    }

    /// The window `number`; decodes others meanwhile.
    fn wait(&mut self, number: u64, snapshot: &Snapshot) -> Decoded {
        loop {
            self.done.extend(self.results.try_iter());
            if let Some(done) = self.done.remove(&number) {
                return done;
            }
            let (at, done) = match self.todo.try_recv() {
                Ok(task) => decode(snapshot, task),
                Err(_) => self.results.recv().map_err(|_| ended())?,
            };
            self.done.insert(at, done);
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if self.workers.as_ref().is_some_and(|w| w.process != process_id()) {
            // A forked child has no such threads, and their locks may be held for ever.
            std::mem::forget(self.workers.take());
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        self.tasks = None;
        // What nobody waits for any more is not decoded.
        while self.todo.try_recv().is_ok() {}
        for t in threads {
            drop(t.join());
        }
    }
}

impl Snapshot {
    /// The records at the ordinals `range` in order, decoded window by window: each block once,
    /// nothing copied, memory bounded. A damaged block costs its own records: their places in the
    /// sequence hold the error, and it goes on. Any other error is the last item.
    #[must_use]
    pub fn scan(&self, range: Range<u64>) -> Scan {
        Scan::new(self.clone(), range)
    }
}
