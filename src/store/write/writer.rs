//! The state of a writer, and what keeps it from doing harm: after an error, and after a fork. What it does
//! is in the files beside this one.

use crate::backend::{Backend, process_id};
use crate::error::{Error, Result};
use crate::frame::HEADER_LEN;
use crate::index::layout::Extent;
use crate::index::slot::Slot;
use crate::store::index::flush::flush;
use crate::store::index::next_segment::Space;
use crate::store::index::root::{Base, Root};
use crate::store::index::row_chunk::RowStyle;
use crate::store::options::{Durability, Layout, WriteOptions};
use crate::store::read::info::{Info, Parts, log_room};
use crate::store::read::newest_state::Opened;
use crate::store::read::readable::HasReader;
use crate::store::read::reader::Reader;
use crate::store::read::rows::Maker;
use crate::store::write::block_size::Lengths;
use crate::store::write::pool::{Finished, Pool};
use crate::store::write::text_key_bound::TextBound;
use crate::wire::{AlignedBuf, U32, U64};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of index in memory above which a leaf is written.
pub(super) const LEAF_WEIGHT: usize = 768 << 10;

/// How much of the memtable is in the log already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logged {
    pub(crate) records: usize,
    pub(crate) keys: usize,
    pub(crate) chunks: usize,
    pub(crate) sums: usize,
    pub(crate) dead: usize,
    /// Bytes of the open chunk.
    pub(crate) open: u32,
    /// Where the next record may start in the logical byte space.
    pub(crate) cursor: u64,
}

impl Logged {
    /// As if all of it was logged.
    pub(crate) fn all_of(reader: &Reader) -> Self {
        let memtable = &reader.memtable;
        Self {
            records: memtable.records.len(),
            keys: memtable.keys.len(),
            chunks: memtable.chunks.len(),
            sums: memtable.sums.len(),
            dead: memtable.dead.len(),
            open: used(reader),
            cursor: reader.totals.cursor,
        }
    }
}

/// Adds records to a store. One at a time for a file; what it adds is seen by itself at once
/// and by others from the next commit.
///
/// Dropping a writer commits nothing: what was not committed is gone. [`Writer::close`] commits.
#[derive(Debug)]
pub struct Writer {
    pub(crate) reader: Reader,
    pub(crate) layout: Layout,
    pub(crate) write: WriteOptions,
    pub(crate) attributes: Attributes,
    /// How the file was found.
    pub(crate) opened: Opened,
    pub(crate) filler: Filler,
    /// Makes the rows of records that come without one.
    pub(super) maker: Option<Maker>,
    pub(crate) row_style: RowStyle,
    pub(super) text_bound: TextBound,
    pub(crate) space: Space,
    pub(crate) log: Log,
    pub(crate) commits: Commits,
    pub(super) auto_commit: AutoCommit,
    /// Numbers of the records that were deleted or replaced since a step began that can be undone.
    pub(super) undo_list: Option<Vec<u64>>,
    guarded: Guarded,
}

/// What the user keeps with the store: a JSON object.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) bytes: Vec<u8>,
    /// Whether they are other ones than in the last commit.
    pub(crate) changed: bool,
}

/// Chunks from the first record in them until they are in the file.
#[derive(Debug)]
pub(crate) struct Filler {
    pub(crate) pool: Pool,
    /// Lengths of the records in the open chunk, and in the one before.
    pub(crate) lengths: Lengths,
    pub(crate) before: Lengths,
    /// A chunk was closed since the last look at whether a commit is due.
    pub(crate) chunk_closed: bool,
    /// From where on the memory of the open chunk holds bytes of an earlier one.
    pub(crate) stale: Option<usize>,
    /// Compressed chunks that are not in the file yet: they come there together, behind the
    /// leaf with their records.
    pub(crate) finished: Vec<Finished>,
    /// Memory of chunks that are in the file, for the next ones.
    pub(crate) spare: Vec<AlignedBuf>,
}

/// The log behind the last root.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) capacity: u64,
    /// All logs of the file, those that can be used again among them.
    pub(crate) extents: Vec<Extent>,
    pub(crate) logged: Logged,
}

/// The last commit, and what the next one needs to know of it.
#[derive(Debug)]
pub(crate) struct Commits {
    pub(crate) slot: Slot,
    /// Number of the next commit.
    pub(crate) next: u64,
    /// The newest generation that was in the file when it was opened, or published since.
    pub(crate) published: u64,
    pub(crate) base: Option<Base>,
    /// Index that was written for the next commit but that no slot names yet.
    pub(crate) flushed: bool,
}

/// When the next commit happens by itself.
#[derive(Debug)]
pub(super) struct AutoCommit {
    /// Bytes that no commit holds yet, with 64 for each record.
    pub(super) added: u64,
    pub(super) last_commit: Instant,
}

/// What keeps a writer from doing harm.
#[derive(Debug)]
struct Guarded {
    poisoned: bool,
    /// The process that opened it.
    process: u32,
    /// Keeps the lock of the file for as long as the writer lives.
    lock: Option<Box<dyn Any + Send + Sync>>,
}

/// Leaves out log extents that cannot be of this file: a writer would write over something else.
fn usable(extents: &mut Vec<Extent>, slot: &Slot) {
    extents.sort_by_key(|e| e.offset.get());
    let mut free_from = HEADER_LEN as u64;
    extents.retain(|e| {
        let end = e.offset.get().checked_add(e.capacity.get());
        let Some(end) = end.filter(|end| *end <= slot.end.get()) else { return false };
        let good = e.offset.get() >= free_from && e.retired.get() <= slot.generation.get();
        free_from = free_from.max(end);
        good
    });
}

impl HasReader for Writer {
    fn reader(&self) -> &Reader {
        &self.reader
    }

    fn kept_layout(&self) -> &Layout {
        &self.layout
    }

    fn commit_number(&self) -> u64 {
        self.commits.slot.generation.get()
    }

    fn how_opened(&self) -> Opened {
        self.opened
    }

    fn attribute_bytes(&self) -> &[u8] {
        &self.attributes.bytes
    }
}

impl Writer {
    pub(crate) fn from_state(
        state: crate::store::read::newest_state::State,
        write: WriteOptions,
        lock: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        let crate::store::read::newest_state::State {
            reader,
            slot,
            root,
            layout,
            opened,
            attributes,
            newest_seen,
            ..
        } = state;
        let Root { base, mut extents, garbage, .. } = root;
        usable(&mut extents, &slot);
        let threads = crate::store::read::batch::threads(write.threads);
        let pool = Pool::new(layout.params(), reader.io.file(), threads, reader.chunk_size);
        let logged = Logged::all_of(&reader);
        let base = base.filter(|_| reader.open.block != 0 && root.chunks == reader.open.number);
        let mut slot = slot;
        slot.seal_garbage = U64::new(slot.seal_garbage.get().min(reader.io.len()));
        let mut end = slot.end.get();
        let older = matches!(opened, Opened::OlderCommit { .. } | Opened::LastSeal { .. });
        if older {
            // What lies behind may be all that is left of a damaged commit.
            end = end.max(reader.io.len());
        }
        // The next commit must be newer than any slot that still parses, and must go into the
        // slot that does not lead to this state.
        let here = slot.generation.get();
        // What a writer left there that ended before it committed has the number after that
        // of the newest slot: no commit of ours is to have it too.
        let left = reader.io.len() > slot.end.get();
        let next = newest_seen.max(here) + if left { 3 } else { 1 };
        let next = if next % 2 == here % 2 { next + 1 } else { next };
        // The other slot still refers to what was given up only with the newest one.
        for e in extents.iter_mut().filter(|e| e.retired.get() == here) {
            e.retired = U64::new(next - 1);
        }
        let maker = Maker::new(&write, &layout);
        let capacity = extents
            .iter()
            .find(|e| e.retired.get() == 0)
            .map_or(slot.log_len.get(), |e| e.capacity.get());
        Self {
            reader,
            attributes: Attributes { bytes: attributes, changed: false },
            opened,
            filler: Filler {
                pool,
                lengths: Lengths::default(),
                before: Lengths::default(),
                chunk_closed: false,
                stale: None,
                finished: Vec::new(),
                spare: Vec::new(),
            },
            row_style: row_style(&layout, maker.is_some()),
            maker,
            text_bound: TextBound::default(),
            space: Space { end, garbage },
            log: Log { capacity, extents, logged },
            commits: Commits {
                slot,
                next,
                published: here,
                base,
                // An older state becomes the newest with the next commit, whatever is in it.
                flushed: older,
            },
            auto_commit: AutoCommit { added: 0, last_commit: Instant::now() },
            undo_list: None,
            guarded: Guarded { poisoned: false, process: process_id(), lock },
            layout,
            write,
        }
    }

    /// Replaces the user's attributes, a JSON object.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not an object, [`Error::Limit`] above 1 MiB.
    pub fn set_attributes(&mut self, attributes: &serde_json::Value) -> Result<()> {
        self.usable()?;
        if !attributes.is_object() {
            return Err(Error::invalid("attributes", "must be a JSON object: names and values"));
        }
        let bytes = attributes.to_string().into_bytes();
        let max = crate::limits::ATTRIBUTES_MAX;
        if bytes.len() > max {
            let asked = bytes.len() as u64;
            return Err(Error::Limit { what: "attributes", asked, max: max as u64 });
        }
        self.attributes.changed |= bytes != self.attributes.bytes;
        self.attributes.bytes = bytes;
        Ok(())
    }

    /// Number of records that the last commit holds: what is left if the process is undo_list now.
    ///
    /// Commits that happen by themselves need not hold the newest records, so that they need
    /// not wait until these are compressed; [`Writer::commit`] always does.
    #[must_use]
    pub const fn committed_len(&self) -> u64 {
        self.commits.slot.records.get()
    }

    /// Counts and sizes, with what is not committed yet, and with what the last commit left behind; reads
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if the length of the file cannot be asked for.
    pub fn info(&self) -> Result<Info> {
        Parts {
            reader: &self.reader,
            slot: &self.commits.slot,
            opened: self.opened,
            layout: &self.layout,
            garbage: self.space.garbage,
            log_room: log_room(&self.log.extents),
        }
        .info()
    }

    /// Whether other writers are kept out. Not on a file system without locks, nor over a
    /// backend of the caller's: then it is up to the caller that there is one writer.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.guarded.lock.is_some()
    }

    /// The backend under the store, for a store in memory to be saved.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        self.reader.io.backend()
    }

    pub(crate) fn usable(&self) -> Result<()> {
        if self.guarded.poisoned {
            // If that was because nothing leads to the file, it is said again.
            self.backend().check_place()?;
            return Err(Error::Poisoned);
        }
        if self.guarded.process != process_id() {
            return Err(Error::invalid(
                "writer",
                "was opened before a fork; only the process that opened it may write",
            ));
        }
        Ok(())
    }

    /// Runs a step that must not be repeated if it fails half-way.
    pub(crate) fn guard<R>(&mut self, step: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let out = step(self);
        self.guarded.poisoned |= out.is_err();
        out
    }

    pub(super) fn commit_if_due(&mut self) -> Result<()> {
        if self.write.durability == Durability::None {
            return Ok(());
        }
        if self.auto_commit.last_commit.elapsed() >= self.write.commit_interval {
            return self.commit().map(drop);
        }
        // Where a chunk has just been closed hardly anything of the open one has to be saved
        // in the log; so a commit that would become due within the next chunk happens here.
        let closed = std::mem::take(&mut self.filler.chunk_closed);
        let bytes = self.auto_commit.added + if closed { self.reader.chunk_size } else { 0 };
        let most = self.write.commit_bytes;
        if bytes < most || (closed && self.guard(|w| w.commit_partially(most / 2))?) {
            return Ok(());
        }
        self.commit().map(drop)
    }

    pub(crate) fn committed(&mut self) {
        self.auto_commit.added = 0;
        self.auto_commit.last_commit = Instant::now();
    }

    /// Whether the memtable has grown enough for a leaf.
    pub(crate) fn memtable_is_full(&self) -> bool {
        self.reader.memtable.weight() >= LEAF_WEIGHT
    }

    pub(crate) fn flush_memtable(&mut self) -> Result<()> {
        let generation = self.commits.next;
        let (reader, rows) = (&mut self.reader, &self.row_style);
        flush(
            &reader.io,
            &mut self.space,
            &mut reader.stored_index,
            &mut reader.memtable,
            generation,
            rows,
        )?;
        let Logged { open, cursor, .. } = self.log.logged;
        self.log.logged = Logged { open, cursor, ..Logged::default() };
        self.commits.flushed = true;
        Ok(())
    }

    /// Bytes of the open chunk that are in use.
    pub(crate) fn open_used(&self) -> u32 {
        used(&self.reader)
    }
}

/// How rows are made; `derived` says whether they follow from the records.
fn row_style(layout: &Layout, derived: bool) -> RowStyle {
    let columns = layout.columns().iter().filter(|_| derived).scan(0, |at, column| {
        let start = *at;
        *at += column.count as usize;
        Some(start..*at)
    });
    RowStyle { params: layout.row_params(), derived: columns.collect() }
}

fn used(reader: &Reader) -> u32 {
    if reader.open.block == 0 {
        return 0;
    }
    let start = reader.open.number * reader.chunk_size;
    u32::try_from(reader.totals.cursor.saturating_sub(start)).unwrap_or(u32::MAX)
}

pub(crate) fn sum_index(n: usize) -> Result<U32> {
    u32::try_from(n).map(U32::new).map_err(|_| Error::Limit {
        what: "blocks between two leaves",
        asked: n as u64,
        max: u64::from(u32::MAX),
    })
}
