//! Reading blobs of a store: the newest state of the file, or what this process is writing.

use super::digest::Hasher;
use super::records::{self, Head, part_key};
use super::session::{Shared, found};
use super::stream::ByteStream;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::store::{ReadOptions, Readable, Record, Snapshot, Store};
use crate::wire::{memory, to_usize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes of a part that are given out at a time.
const PIECE: usize = 256 << 10;
/// Records that are read together in a search.
const WINDOW: usize = 256;

/// The state of the file that was seen last.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    options: ReadOptions,
    store: Mutex<Store>,
}

/// The record of a content, and where its parts are.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) head: Head,
    record: Record,
    /// The file; none if the record is not committed.
    snapshot: Snapshot,
}

impl Reader {
    pub(super) fn open(path: &Path, options: ReadOptions) -> Result<Self> {
        let store = open(path, options)?;
        Ok(Self { path: path.into(), options, store: Mutex::new(store) })
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Snapshot {
        self.store().snapshot()
    }

    /// The newest state.
    fn newest(&self) -> Result<Snapshot> {
        let mut store = self.store();
        // A file that is replaced may have got a commit before that: only the end of it leads on.
        loop {
            match store.refresh() {
                Ok(true) => {}
                Ok(false) => return Ok(store.snapshot()),
                // Compacted, or otherwise another file.
                Err(e) if matches!(e.root(), Error::Replaced) => {
                    *store = open(&self.path, self.options)?;
                }
                Err(e) => return Err(e.at(&self.path)),
            }
        }
    }

    /// The blob at `place`: here, or if it is not here in the store at `written`, where it was written.
    pub(super) fn blob(&self, shared: &Shared, written: &str, place: &str) -> Result<Option<Blob>> {
        let key = Key::from(place);
        let elsewhere = Path::new(written);
        if elsewhere != self.path
            && let Ok(other) = open(elsewhere, self.options)
            && let Some(record) = found(&*other, &key)?
        {
            return blob(record, other.snapshot()).map(Some);
        }
        let seen = self.seen();
        if let Some(record) = found(&seen, &key)? {
            return blob(record, seen).map(Some);
        }
        if let Some(record) = shared.find_open(&key)? {
            // Its parts were committed before it.
            return blob(record, self.newest()?).map(Some);
        }
        let newest = self.newest()?;
        found(&newest, &key)?.map(|record| blob(record, newest)).transpose()
    }

    /// The newest record under `key`.
    pub(super) fn fresh(&self, shared: &Shared, key: &Key) -> Result<Option<Record>> {
        match shared.find_open(key)? {
            Some(record) => Ok(Some(record)),
            None => found(&self.newest()?, key),
        }
    }

    /// Calls `f` with the newest state: that of the writer of this process, if it is open, or else of the file.
    pub(super) fn newest_of(
        &self,
        shared: &Shared,
        f: &mut dyn FnMut(&dyn Readable) -> Result<()>,
    ) -> Result<()> {
        match shared.with_open(|writer| f(writer))? {
            Some(()) => Ok(()),
            None => f(&self.newest()?),
        }
    }
}

fn open(path: &Path, options: ReadOptions) -> Result<Store> {
    let store = Store::open_with(path, &options)?;
    records::check(&*store).map_err(|e| e.at(path))?;
    Ok(store)
}

fn blob(record: Record, snapshot: Snapshot) -> Result<Blob> {
    Ok(Blob { head: records::head(&record)?, record, snapshot })
}

/// Calls `f` with key and record of each key that `wanted` is true for, in the order of insertion.
pub(super) fn each_record(
    reader: &dyn Readable,
    wanted: impl Fn(&str) -> bool,
    f: &mut dyn FnMut(&str, &Record) -> Result<()>,
) -> Result<()> {
    let mut found = Vec::new();
    reader.visit_index(&mut |ordinal, key, _| {
        if let Some(Key::Str(key)) = key
            && wanted(&key)
        {
            found.push((ordinal, key));
        }
        Ok(())
    })?;
    for window in found.chunks(WINDOW) {
        let ordinals: Vec<u64> = window.iter().map(|(ordinal, _)| *ordinal).collect();
        let batch = reader.get_batch_at(&ordinals)?;
        for (i, (_, key)) in window.iter().enumerate() {
            if let Some(record) = batch.record(i) {
                f(key, &record)?;
            }
        }
    }
    Ok(())
}

impl Blob {
    /// Bytes of part `n`, as a record.
    fn part(&self, token: &str, n: u64) -> Result<Record> {
        self.snapshot.get_key(&part_key(token, n)).map_err(|e| match e {
            Error::NotFound { .. } => {
                Error::corrupt("content", n, "a part of it is missing").of_record(&token)
            }
            other => other,
        })
    }

    /// Copies all bytes to `out`; whether they have the digest of the blob, if that is to be checked. The
    /// digest of a large one is computed by a second thread.
    pub(super) fn copy_to(&self, out: &mut [u8], check: bool) -> Result<bool> {
        if !check {
            return self.copy_parts(out, &mut |_| ());
        }
        let mut hasher = Hasher::default();
        let whole = if self.head.parts.is_none() {
            self.copy_parts(out, &mut |part| hasher.update(part))?
        } else {
            let (send, copied) = mpsc::channel::<&[u8]>();
            let counting = &mut hasher;
            thread::scope(|scope| {
                scope.spawn(move || copied.iter().for_each(|part| counting.update(part)));
                // The other end is there until this one is dropped.
                self.copy_parts(out, &mut move |part| {
                    let _ = send.send(part);
                })
            })?
        };
        Ok(whole && hasher.now().0 == self.head.digest.hash())
    }

    /// Copies all bytes to `out`, and calls `copied` with each part there; whether `out` is full.
    fn copy_parts<'a>(&self, out: &'a mut [u8], copied: &mut dyn FnMut(&'a [u8])) -> Result<bool> {
        let mut rest = out;
        let count = self.head.parts.as_ref().map_or(1, |parts| parts.count);
        for n in 0..count {
            let part = match &self.head.parts {
                Some(parts) => self.part(&parts.token, n)?,
                None => self.record.clone(),
            };
            let bytes = records::bytes(&part)?;
            let Some((now, later)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len())
            else {
                return Err(Error::corrupt("content", n, "a part of it is too long"));
            };
            now.copy_from_slice(bytes);
            copied(now);
            rest = later;
        }
        Ok(rest.is_empty())
    }

    /// Some of the bytes; only the blocks in which they lie are decoded.
    pub(super) fn range(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        let bytes = |range: &Range<u64>| (to_usize(range.start), to_usize(range.end));
        let Some(parts) = &self.head.parts else {
            let data = records::bytes(&self.record)?;
            let (Some(start), Some(end)) = bytes(range) else { return Ok(Vec::new()) };
            return memory::copied(data.get(start..end).unwrap_or_default());
        };
        let size = self.head.digest.size();
        let mut wanted = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let n = at / parts.size;
            let first = n * parts.size;
            let end = size.min(first + parts.size);
            let key = part_key(&parts.token, n);
            let ordinal = self.snapshot.find_key(&key)?;
            let ordinal =
                ordinal.ok_or_else(|| Error::corrupt("content", n, "a part of it is missing"))?;
            let len = self.snapshot.location_at(ordinal)?.len();
            let until = end.min(range.end);
            let place = records::place_in(len, end - first, &(at - first..until - first))?;
            wanted.push((ordinal, place));
            at = until;
        }
        let batch = self.snapshot.get_parts_at(&wanted)?;
        let total = to_usize(range.end - range.start).unwrap_or(usize::MAX);
        let mut data = memory::with_room(total)?;
        batch.iter().try_for_each(|part| memory::append(&mut data, part))?;
        Ok(data)
    }
}

/// The parts of a blob as a stream.
pub(super) struct BlobParts {
    blob: Blob,
    /// The part that is being given out, and how much of it was.
    part: Option<(Record, usize)>,
    next: u64,
    path: PathBuf,
}

impl BlobParts {
    pub(super) fn new(blob: Blob, path: &Path) -> Self {
        Self { blob, part: None, next: 0, path: path.into() }
    }

    fn append(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.part.is_none() {
            let n = self.next;
            let record = match &self.blob.head.parts {
                None if n == 0 => self.blob.record.clone(),
                Some(parts) if n < parts.count => self.blob.part(&parts.token, n)?,
                _ => return Ok(false),
            };
            self.next += 1;
            self.part = Some((record, 0));
        }
        if let Some((record, at)) = &mut self.part {
            let rest = records::bytes(record)?.get(*at..).unwrap_or_default();
            let piece = rest.get(..PIECE).unwrap_or(rest);
            memory::append(out, piece)?;
            *at += piece.len();
            if piece.len() == rest.len() {
                self.part = None;
            }
        }
        Ok(true)
    }
}

impl ByteStream for BlobParts {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let before = out.len();
        self.append(out).map_err(|e| {
            out.truncate(before);
            e.at(&self.path)
        })
    }
}
