//! Fetching a store: what an older copy has is taken from there.

use super::address::local_path;
use super::object::ObjectSource;
use super::open::source;
use super::options::RemoteOptions;
use crate::backend::{
    Access, Backend, FileBackend, PagedBackend, RangeSource, StagedFile, remove_abandoned,
};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::frame::HEADER_LEN;
use crate::store::read::parts::common;
use crate::store::{Opened, ReadOptions, Readable, Snapshot, Store};
use crate::wire::{memory, to_usize};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one request.
const PIECE: u64 = 1 << 20;
/// Bytes that are fetched between two calls of `progress`.
const ROUND: u64 = 16 << 20;

/// Age at which an unfinished file belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// How [`pull`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Whether a file is replaced that is no older copy of the same store.
    pub overwrite: bool,
    /// Requests, deadlines.
    pub remote: RemoteOptions,
}

/// What was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulled {
    /// Length of the store in bytes.
    pub bytes: u64,
    /// Bytes that came from the object store, without those that opening it took.
    pub fetched: u64,
    /// Bytes that the older copy had.
    pub kept: u64,
    /// Whether the copy was up to date already; then nothing was written.
    pub unchanged: bool,
}

/// Fetches the store at the address `url` to a file. If there is an older copy of the same store, chunks and
/// parts of the index that both have are taken from it, each compared with its checksums; only the others are
/// fetched. The file appears, or replaces the older copy, when all of it is there and every chunk agrees with
/// its checksums.
///
/// `progress` is told the bytes done and to do; its error ends the work, and nothing has changed then.
///
/// # Errors
/// [`Error::Exists`] if the file is another store, or has commits that the object does not have;
/// [`Error::Locked`] if somebody writes to it; [`Error::Older`] if the newest commit of the object cannot be
/// read, as after an upload that another program cut short; [`Error::Corrupt`] if what came does not agree with its
/// checksums; [`Error::Replaced`] if the object was replaced meanwhile; else as [`open`](super::open()).
pub fn pull(
    url: &str,
    file: impl AsRef<Path>,
    options: &PullOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Pulled> {
    if local_path(url).is_some() {
        return Err(Error::invalid("address", "is a file of this machine: copy it"));
    }
    let source = Arc::new(source(url, &options.remote)?);
    pull_from(&source, file.as_ref(), options, &mut progress)
}

pub(super) fn pull_from(
    source: &Arc<ObjectSource>,
    file: &Path,
    options: &PullOptions,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Pulled> {
    let remote = &options.remote;
    let far = PagedBackend::open(source.clone(), remote.memory, remote.disk.as_ref())?;
    let version = far.version().map(str::to_owned);
    let far: Arc<dyn Backend> = Arc::new(far);
    let there = Store::open_in(far.clone(), &ReadOptions::default())
        .map_err(|e| e.at(source.name().as_ref()))?;
    if let Opened::OlderCommit { generation } | Opened::LastSeal { generation } = there.opened() {
        let cut = Error::Older { generation, records: there.len() };
        return Err(cut.at(source.name().as_ref()));
    }
    let bytes = far.len()?;
    let mut old = None;
    if file.try_exists().unwrap_or(true) {
        match older(file, &there, &far) {
            Ok(Known::Same) => return Ok(Pulled { bytes, unchanged: true, ..Pulled::default() }),
            Ok(Known::Older(backend, store)) => old = Some((backend, store)),
            Err(_) if options.overwrite => {}
            Err(e) => return Err(e.at(file)),
        }
    }
    let existing =
        if old.is_some() || options.overwrite { Existing::Replace } else { Existing::Refuse };
    remove_abandoned(file, ABANDONED);
    let staged = StagedFile::over(file, Access::Pread)?;
    staged.backend().set_len(bytes)?;
    let mut here: Vec<Range<u64>> = Vec::new();
    if let Some((backend, store)) = &old {
        let mut copied = 0;
        common(&store.snapshot(), &there.snapshot(), |part| {
            let len = to_usize(part.range.end - part.range.start).unwrap_or(usize::MAX);
            if part.range.end > bytes.min(backend.len()?) {
                return Ok(());
            }
            let mut held = memory::zeroed(len)?;
            backend.read_at(part.range.start, &mut held)?;
            if part.is_intact(&held) {
                staged.backend().write_at(part.range.start, &held)?;
                copied += len as u64;
                here.push(part.range);
                progress(copied.min(bytes), bytes)?;
            }
            Ok(())
        })?;
    }
    let missing = rest(here, bytes);
    let fetched: u64 = missing.iter().map(|range| range.end - range.start).sum();
    let mut done = bytes - fetched;
    let mut round = Vec::new();
    for piece in missing.iter().flat_map(pieces) {
        round.push(piece);
        if round.iter().map(|r| r.end - r.start).sum::<u64>() >= ROUND {
            done += fetch(source, &staged, &round, version.as_deref())?;
            round.clear();
            progress(done, bytes)?;
        }
    }
    done += fetch(source, &staged, &round, version.as_deref())?;
    check(&staged, &there)?;
    progress(done, bytes)?;
    drop(old);
    staged.publish(existing)?;
    Ok(Pulled { bytes, fetched, kept: bytes - fetched, unchanged: false })
}

enum Known {
    Same,
    Older(Arc<FileBackend>, Store),
}

/// What the file is to the store that is fetched.
fn older(file: &Path, there: &Store, far: &Arc<dyn Backend>) -> Result<Known> {
    let backend = Arc::new(FileBackend::open_read(file, Access::Pread)?);
    let store = Store::open_in(backend.clone(), &ReadOptions::default())?;
    let other = |what: &str| Error::Exists {
        what: what.into(),
        instead: Some("`overwrite` (--overwrite)"),
    };
    if store.file_id() != there.file_id() {
        return Err(other("another store"));
    }
    if store.generation() > there.generation() {
        return Err(other("a newer state of this store, which is not in the object store,"));
    }
    let head = |backend: &dyn Backend| -> Result<Vec<u8>> {
        let mut head = memory::zeroed(HEADER_LEN.min(to_usize(backend.len()?).unwrap_or(0)))?;
        backend.read_at(0, &mut head)?;
        Ok(head)
    };
    let same = backend.len()? == far.len()? && head(&*backend)? == head(&**far)?;
    Ok(if same { Known::Same } else { Known::Older(backend, store) })
}

/// What lies outside of these ranges, up to `end`.
fn rest(mut ranges: Vec<Range<u64>>, end: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let (mut out, mut at) = (Vec::new(), 0);
    for range in ranges {
        if range.start > at {
            out.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < end {
        out.push(at..end);
    }
    out
}

fn pieces(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let (start, end) = (range.start, range.end);
    let count = (end - start).div_ceil(PIECE);
    (0..count).map(move |i| start + i * PIECE..(start + (i + 1) * PIECE).min(end))
}

fn fetch(
    source: &ObjectSource,
    staged: &StagedFile,
    ranges: &[Range<u64>],
    version: Option<&str>,
) -> Result<u64> {
    if ranges.is_empty() {
        return Ok(0);
    }
    let got = source.read(ranges, version)?;
    for (range, bytes) in ranges.iter().zip(&got) {
        staged.backend().write_at(range.start, bytes)?;
    }
    Ok(got.iter().map(|bytes| bytes.len() as u64).sum())
}

/// Whether what was fetched opens as the state that is there, and every part agrees with its checksums.
fn check(staged: &StagedFile, there: &Snapshot) -> Result<()> {
    let backend: Arc<dyn Backend> = staged.backend().clone();
    let new = Store::open_in(backend.clone(), &ReadOptions::default())?;
    let damaged = |offset| Error::corrupt("part of the object", offset, "checksum differs");
    if new.generation() != there.generation() || new.opened() != there.opened() {
        return Err(damaged(0));
    }
    let snapshot = new.snapshot();
    common(&snapshot, &snapshot, |part| {
        let len = to_usize(part.range.end.saturating_sub(part.range.start)).unwrap_or(usize::MAX);
        let mut held = memory::zeroed(len)?;
        backend.read_at(part.range.start, &mut held)?;
        if part.is_intact(&held) { Ok(()) } else { Err(damaged(part.range.start)) }
    })
}
