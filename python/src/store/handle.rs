//! One open store behind any number of Python objects and threads.
//!
//! A lock that is taken with the interpreter detached is given back before it is attached again,
//! so that two threads never wait for each other; that of a reader is taken attached and for a
//! moment only, so that no child of a fork can inherit it taken.

use crate::array::buffer;
use crate::error::{Failure, Outcome};
use crate::frame::topology::Topology;
use crate::store::store_path::{StorePath, lost, unclosed};
use crate::store::view::View;
use pyo3::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{ThreadId, current};
use vlstore::Digest;
use vlstore::Readable;
use vlstore::dataset::DataSet;
use vlstore::maintain::{CompactOptions, Compacted};
use vlstore::trajectory::arrays::{ArrayRequest, Collator};
use vlstore::{Closed, Error, Result, Store, StoreOptions, WriteOptions, Writer};

/// Topologies that are kept, at most.
const KEPT: usize = 1024;
/// Collators that are kept, at most.
const COLLATORS: usize = 8;

/// An open store.
pub(crate) struct Handle {
    inner: Inner,
    pub(crate) place: StorePath,
    pub(crate) mode: &'static str,
    /// The options it was opened with.
    pub(crate) options: WriteOptions,
    process: u32,
    /// Where the file is, whatever the current folder.
    pub(crate) absolute: Option<PathBuf>,
    /// The thread that compacts and calls back meanwhile.
    busy: Mutex<Option<ThreadId>>,
    is_busy: AtomicBool,
    /// Changes made through this handle, so that an iteration notices them.
    writes: AtomicU64,
    topologies: Topologies,
    /// Those that were used last.
    collators: Mutex<Vec<Arc<Collator>>>,
}

/// Topologies that were read, and digests of those that a writer is known to have.
#[derive(Default)]
struct Topologies {
    read: Mutex<HashMap<Digest, Py<Topology>>>,
    there: Mutex<HashSet<Digest>>,
}

enum Inner {
    Reader(Mutex<Option<Store>>),
    Set(Mutex<Option<DataSet>>),
    Writer(Box<RwLock<Option<Writer>>>),
}

impl Handle {
    pub(crate) fn reader(store: Store, place: StorePath, options: WriteOptions) -> Self {
        Self::new(Inner::Reader(Mutex::new(Some(store))), place, "r", options)
    }

    pub(crate) fn set(set: DataSet, place: StorePath, options: WriteOptions) -> Self {
        Self::new(Inner::Set(Mutex::new(Some(set))), place, "r", options)
    }

    pub(crate) fn writer(
        writer: Writer,
        place: StorePath,
        mode: &'static str,
        options: WriteOptions,
    ) -> Self {
        let inner = Inner::Writer(Box::new(RwLock::new(Some(writer))));
        Self::new(inner, place, mode, options)
    }

    fn new(inner: Inner, place: StorePath, mode: &'static str, options: WriteOptions) -> Self {
        Self {
            inner,
            absolute: place.absolute(),
            busy: Mutex::new(None),
            is_busy: AtomicBool::new(false),
            place,
            mode,
            options,
            process: std::process::id(),
            writes: AtomicU64::new(0),
            topologies: Topologies::default(),
            collators: Mutex::default(),
        }
    }

    pub(crate) fn is_writer(&self) -> bool {
        matches!(self.inner, Inner::Writer(_))
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Whether the lock of a writer may be touched: in the child of a fork it may be held by a
    /// thread that is not there.
    fn here(&self) -> Outcome<()> {
        if std::process::id() != self.process {
            return Err(Failure::Forked);
        }
        if self.is_busy.load(Ordering::Relaxed)
            && *self.busy.lock().unwrap_or_else(PoisonError::into_inner) == Some(current().id())
        {
            let why = "is being compacted by this thread: wait until that is done";
            return Err(Error::invalid("store", why).into());
        }
        Ok(())
    }

    /// Compacts a writer's store and goes on with the new file. `progress` must not use the store.
    pub(crate) fn compact(
        &self,
        py: Python<'_>,
        options: &CompactOptions,
        progress: &mut (dyn FnMut(u64, u64) -> Result<()> + Send),
    ) -> Outcome<Compacted> {
        let Inner::Writer(writer) = &self.inner else { return Err(Error::ReadOnly.into()) };
        self.here()?;
        py.detach(|| {
            let mut slot = writer.write().map_err(|_| Error::Poisoned)?;
            self.writes.fetch_add(1, Ordering::Relaxed);
            *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(current().id());
            self.is_busy.store(true, Ordering::Relaxed);
            let done = match &self.absolute {
                Some(path) => self.compact_file(&mut slot, path, options, progress),
                None => compact_memory(&mut slot, progress),
            };
            self.is_busy.store(false, Ordering::Relaxed);
            // Shared records to which nothing refers any more are gone.
            self.topologies.there.lock().unwrap_or_else(PoisonError::into_inner).clear();
            done
        })
    }

    fn compact_file(
        &self,
        slot: &mut Option<Writer>,
        path: &Path,
        options: &CompactOptions,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Outcome<Compacted> {
        let writer = slot.take().ok_or(Failure::Closed)?;
        let file = writer.snapshot()?.file_id();
        writer.close()?;
        let done = Store::open_with(path, &self.options.reading()).and_then(|there| {
            if there.file_id() != file {
                return Err(Error::Replaced.at(path));
            }
            drop(there);
            vlstore::maintain::compact(path, options, progress)
        });
        if matches!(&done, Err(error) if matches!(error.root(), Error::Replaced)) {
            return Ok(done?);
        }
        // Also after an error: the file is as it was.
        *slot = Some(Writer::open(path, &self.options)?);
        Ok(done?)
    }

    /// Reads with the interpreter detached.
    pub(crate) fn read<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(View<'_>) -> Outcome<T> + Send,
    ) -> Outcome<T> {
        match &self.inner {
            Inner::Reader(store) => {
                let snapshot = {
                    let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                    store.as_ref().map(Store::snapshot).ok_or(Failure::Closed)?
                };
                py.detach(move || f(View::Reader(&snapshot)))
            }
            Inner::Set(set) => {
                let set = set.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let set = set.ok_or(Failure::Closed)?;
                py.detach(move || f(View::Set(&set)))
            }
            Inner::Writer(writer) => {
                self.here()?;
                py.detach(|| {
                    let writer = writer.read().map_err(|_| Error::Poisoned)?;
                    f(View::Writer(writer.as_ref().ok_or(Failure::Closed)?))
                })
            }
        }
    }

    /// The topology with this digest, read once.
    pub(crate) fn topology(&self, py: Python<'_>, digest: &Digest) -> PyResult<Py<Topology>> {
        let known = || self.topologies.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topology) = known().get(digest) {
            return Ok(topology.clone_ref(py));
        }
        let name = format!("topology {digest}");
        let record = self.read(py, |view| {
            Ok(view.shared(digest).map_err(|e| match e {
                Error::NotFound { .. } => Error::NotFound { key: name.as_str().into() },
                Error::Record { source, .. } => source.of_record(&name),
                other => other,
            })?)
        })?;
        let topology = Py::new(py, Topology::over(py, buffer::Record::stored(record))?)?;
        let mut known = known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(*digest, topology.clone_ref(py));
        Ok(topology)
    }

    /// What makes arrays for this request: the one that did before, which knows how frames look.
    pub(crate) fn collator(&self, request: ArrayRequest) -> Arc<Collator> {
        let mut known = self.collators.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().position(|c| *c.request() == request);
        let collator = match found {
            Some(i) => known.remove(i),
            None => Arc::new(Collator::new(request)),
        };
        known.truncate(COLLATORS - 1);
        known.insert(0, collator.clone());
        collator
    }

    /// Whether a shared record is known to be in the writer.
    pub(crate) fn has_shared(&self, digest: &Digest) -> bool {
        self.topologies.there.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// Notes that a shared record is in the writer, where it stays.
    pub(crate) fn note_shared(&self, digest: &Digest) {
        let mut there = self.topologies.there.lock().unwrap_or_else(PoisonError::into_inner);
        if there.len() >= KEPT {
            there.clear();
        }
        there.insert(*digest);
    }

    /// Writes with the interpreter detached.
    pub(crate) fn write<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut Writer) -> Outcome<T> + Send,
    ) -> Outcome<T> {
        match &self.inner {
            Inner::Reader(store) => {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                Err(if store.is_some() { Error::ReadOnly.into() } else { Failure::Closed })
            }
            Inner::Set(set) => {
                let set = set.lock().unwrap_or_else(PoisonError::into_inner);
                Err(if set.is_some() { Error::ReadOnly.into() } else { Failure::Closed })
            }
            Inner::Writer(writer) => {
                self.here()?;
                py.detach(|| {
                    let mut writer = writer.write().map_err(|_| Error::Poisoned)?;
                    self.writes.fetch_add(1, Ordering::Relaxed);
                    f(writer.as_mut().ok_or(Failure::Closed)?)
                })
            }
        }
    }

    /// Closes: a writer commits, or discards what is not committed. What other programs see then,
    /// if there was a writer.
    pub(crate) fn close(&self, py: Python<'_>, commit: bool) -> Outcome<Option<Closed>> {
        match &self.inner {
            Inner::Reader(store) => {
                drop(store.lock().unwrap_or_else(PoisonError::into_inner).take());
                Ok(None)
            }
            Inner::Set(set) => {
                drop(set.lock().unwrap_or_else(PoisonError::into_inner).take());
                Ok(None)
            }
            Inner::Writer(_) if self.here().is_err() => Ok(None),
            Inner::Writer(writer) => py.detach(|| {
                let mut slot = writer.write().unwrap_or_else(PoisonError::into_inner);
                match slot.take() {
                    Some(writer) if commit => Ok(Some(writer.close()?)),
                    _ => Ok(None),
                }
            }),
        }
    }

    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        match &self.inner {
            Inner::Reader(store) => store.lock().unwrap_or_else(PoisonError::into_inner).is_none(),
            Inner::Set(set) => set.lock().unwrap_or_else(PoisonError::into_inner).is_none(),
            Inner::Writer(_) if self.here().is_err() => false,
            Inner::Writer(writer) => {
                py.detach(|| writer.read().unwrap_or_else(PoisonError::into_inner).is_none())
            }
        }
    }

    /// Moves a reader on to the newest commit; whether there was a newer one.
    pub(crate) fn refresh(&self, py: Python<'_>) -> Outcome<bool> {
        if let Inner::Set(slot) = &self.inner {
            return refresh_set(py, slot);
        }
        let Inner::Reader(slot) = &self.inner else { return Ok(false) };
        let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
        let mut store = lock().clone().ok_or(Failure::Closed)?;
        let (newer, store) = py.detach(move || store.refresh().map(|newer| (newer, store)))?;
        if newer {
            // Two threads may refresh at once: the newer state stays.
            let mut slot = lock();
            let current = slot.as_ref().ok_or(Failure::Closed)?.generation();
            if store.generation() >= current {
                *slot = Some(store);
            }
        }
        Ok(newer)
    }
}

fn refresh_set(py: Python<'_>, slot: &Mutex<Option<DataSet>>) -> Outcome<bool> {
    let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
    let mut set = lock().clone().ok_or(Failure::Closed)?;
    let (newer, set) = py.detach(move || set.refresh().map(|newer| (newer, set)))?;
    if newer {
        *lock() = Some(set);
    }
    Ok(newer)
}

fn compact_memory(
    slot: &mut Option<Writer>,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Outcome<Compacted> {
    let writer = slot.as_mut().ok_or(Failure::Closed)?;
    writer.commit()?;
    let snapshot = writer.snapshot()?;
    let bytes_before = writer.backend().len()?;
    let options = StoreOptions::from(snapshot.layout().clone());
    let mut new = Writer::in_memory(&options)?;
    let done = vlstore::maintain::compact_into(&snapshot, &mut new, progress)?;
    new.commit()?;
    let bytes_after = new.backend().len()?;
    *slot = Some(new);
    Ok(Compacted { bytes_before, bytes_after, ..done })
}

impl Drop for Handle {
    /// Closes a writer that nobody closed, as Python's files do: what was put is committed.
    fn drop(&mut self) {
        if std::process::id() != self.process {
            return;
        }
        let Inner::Writer(writer) = &mut self.inner else { return };
        let slot = writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What is in memory is gone either way.
        let Some(writer) = slot.take().filter(|_| matches!(self.place, StorePath::File(_))) else {
            return;
        };
        let place = &self.place;
        let mut writer = Some(writer);
        let told = Python::try_attach(|py| {
            let writer = writer.take();
            let done = py.detach(|| writer.map_or(Ok(()), |w| w.close().map(drop)));
            let warned = match done {
                Ok(()) => unclosed(py, place),
                Err(error) => lost(py, place, error.into()),
            };
            if let Err(error) = warned {
                error.write_unraisable(py, None);
            }
        });
        // At the end of the interpreter there is nobody left to tell.
        if told.is_none()
            && let Some(writer) = writer
        {
            let _ = writer.close();
        }
    }
}
