//! Compacting: a store without its dead space, in a new file that takes the place of the old.

use crate::backend::{Access, Backend, StagedFile, WriterLock};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::maintain::shared_transfer::{Refers, SharedTransfer};
use crate::maintain::transfer::{RecordTransfer, stream};
use crate::store::Readable;
use crate::store::open::Store;
use crate::store::options::{Durability, OriginalTable, ReadOptions, StoreOptions, WriteOptions};
use crate::store::read::newest_state::Opened;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::writer::Writer;
use std::path::Path;
use std::sync::Arc;

/// How [`compact`] goes about it. What the file itself keeps (chunk size, codec and the like)
/// stays as it is.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// Threads that decode and compress; 0 takes as many as there are cores.
    pub threads: usize,
    /// How the files are read.
    pub access: Access,
    /// Whether the new file names its records for the original program.
    pub original_table: OriginalTable,
    /// Whether every checksum of the new file is read back before it takes the place of the
    /// old one.
    pub verify: bool,
    /// Whether a store whose newest commit cannot be read may be compacted: that commit is then
    /// lost for good. Without, such a store is refused.
    pub accept_older: bool,
    /// How records refer to shared ones (`Some(codec::refers)`): those to which none refers are
    /// dropped. `None` keeps all.
    pub refers: Option<Refers>,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            access: Access::Auto,
            original_table: OriginalTable::Auto,
            verify: true,
            accept_older: false,
            refers: None,
        }
    }
}

/// What [`compact`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Records in the new file: all live ones of the old.
    pub records: u64,
    /// Their bytes, decoded.
    pub record_bytes: u64,
    /// Records that were deleted or replaced before, and are gone now.
    pub dead_records: u64,
    /// Their bytes, decoded.
    pub dead_bytes: u64,
    /// Shared records in the new file.
    pub shared: u64,
    /// Shared records to which no record referred any more, and that are gone now.
    pub dead_shared: u64,
    /// Length of the old file in bytes.
    pub bytes_before: u64,
    /// Length of the new file in bytes.
    pub bytes_after: u64,
}

/// Rewrites the store at `path` without dead records and without what commits and seals left
/// behind. Order, keys, weights, attributes and the options of the file stay.
///
/// The new file is built beside the old one and takes its place in one step, after a sync, under
/// the writer lock of the old one. Readers that have the old file open keep what they see. What
/// is left of a file of another program are its records: chunks that no record names are not
/// carried over; a file of the original program becomes one of ours.
///
/// `progress` is told the bytes done and to do, decoded; its error ends the work, and nothing
/// has changed then. Memory is bounded, disk space for the new file is needed.
///
/// # Errors
/// [`Error::Locked`] if there is a writer; [`Error::Corrupt`] with the record for the first
/// damage that stands in the way; [`Error::Older`] if the newest commit cannot be read (see
/// [`CompactOptions::accept_older`]); [`Error::Interrupted`] or what else `progress` returns;
/// [`Error::Io`]. After every error the store is as it was.
pub fn compact(
    path: impl AsRef<Path>,
    options: &CompactOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Compacted> {
    let path = path.as_ref();
    compact_file(path, options, &mut progress).map_err(|e| e.at(path))
}

fn compact_file(
    path: &Path,
    options: &CompactOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Compacted> {
    let (file, _lock) = WriterLock::open(path, options.access)?;
    let bytes_before = file.len()?;
    let write = WriteOptions {
        threads: options.threads,
        access: options.access,
        original_table: options.original_table,
        // One commit at the end; publishing syncs the file whatever is set here.
        durability: Durability::None,
        ..WriteOptions::default()
    };
    let snapshot = Store::open_in(file, &write.reading())?.snapshot();
    refuse_older(&snapshot, options.accept_older)?;
    let staged = StagedFile::new(path, options.access)?;
    let target: Arc<dyn Backend> = staged.backend().clone();
    let mut new = StoreOptions { layout: snapshot.layout().clone(), write };
    // It is the same store: the original program can still find its records.
    if new.write.original_table == OriginalTable::Auto
        && snapshot.info()?.original_table
        && !snapshot.is_empty()
    {
        new.write.original_table = OriginalTable::Always;
    }
    let mut writer = Writer::create_in(target.clone(), &new)?;
    let copied = rewrite(&snapshot, &mut writer, options.refers, &mut *progress)?;
    writer.close()?;
    check(&snapshot, &copied, target.clone(), &new.write.reading(), options.verify)?;
    let done = Compacted { bytes_before, bytes_after: target.len()?, ..copied };
    // The last moment at which nothing has changed.
    progress(done.record_bytes, done.record_bytes)?;
    staged.publish(Existing::Replace)?;
    Ok(done)
}

/// Writes all records of `snapshot`, shared ones and its attributes too, into `writer`, and
/// commits nothing: for stores that are not files. The lengths in the result are 0 before and that of the new backend
/// after.
///
/// # Errors
/// As [`compact`]; [`Error::Exists`] if `writer` has a record under one of the keys already.
pub fn compact_into(
    snapshot: &Snapshot,
    writer: &mut Writer,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Compacted> {
    rewrite(snapshot, writer, None, &mut progress)
}

fn rewrite(
    snapshot: &Snapshot,
    writer: &mut Writer,
    refers: Option<Refers>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Compacted> {
    let totals = snapshot.inner().reader.totals;
    let total = totals.record_bytes.saturating_sub(totals.dead_bytes);
    let mut out = Compacted {
        dead_records: totals.dead_records.saturating_sub(totals.shared),
        dead_bytes: totals.dead_bytes,
        ..Compacted::default()
    };
    progress(0, total)?;
    let mut records = RecordTransfer::new(snapshot, writer);
    let mut shared = SharedTransfer::new(snapshot, refers, writer)?;
    stream(
        snapshot,
        |_, _, _| Ok(true),
        |item| {
            shared.before(item.key, item.bytes, writer)?;
            records.put(writer, item.key, &item)?;
            out.records += 1;
            out.record_bytes += item.bytes.len() as u64;
            progress(out.record_bytes.min(total), total)
        },
    )?;
    let attributes = snapshot.attributes();
    if attributes.is_object() {
        writer.set_attributes(&attributes)?;
    }
    let before = snapshot.list_shared()?.len() as u64;
    out.shared = writer.reader.totals.shared;
    out.dead_shared = before.saturating_sub(out.shared);
    out.bytes_after = writer.backend().len()?;
    Ok(out)
}

/// A state that is not the newest is not what the caller believes it is.
pub(crate) fn refuse_older(snapshot: &Snapshot, accept: bool) -> Result<()> {
    match snapshot.opened() {
        Opened::OlderCommit { generation } | Opened::LastSeal { generation } if !accept => {
            Err(Error::Older { generation, records: snapshot.len() })
        }
        _ => Ok(()),
    }
}

/// Compares the new file with what was to go into it, before it replaces anything.
fn check(
    old: &Snapshot,
    copied: &Compacted,
    target: Arc<dyn Backend>,
    options: &ReadOptions,
    verify: bool,
) -> Result<()> {
    let new = Store::open_in(target, options)?;
    let totals = new.inner().reader.totals;
    let right = new.len() == old.len()
        && copied.records == old.len()
        && totals.dead_records == copied.shared
        && totals.shared == copied.shared
        && totals.record_bytes == copied.record_bytes + new.inner().reader.shared_bytes()?
        && new.attributes() == old.attributes();
    if !right {
        return Err(Error::corrupt("new file", 0, "does not hold what was written to it"));
    }
    if verify && let Some(damage) = new.verify(|_, _| Ok(()))?.damages.first() {
        return Err(Error::invalid("new file", format!("cannot be read back: {damage}")));
    }
    Ok(())
}
