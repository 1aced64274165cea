//! The class of an open cache.

use crate::cache::entry::{Given, of_entry, parts};
use crate::error::{from_error, invalid};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use vlstore::cache::{Cache, CacheOptions, EntryInfo};
use vlstore::codec::DocumentRef;
use vlstore::{Compression, Error, Readable};

/// How long a thread waits for its turn until it looks whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(200);

/// Results in a store file. Used by `vlstore.cache.StorageFile` alone.
#[pyclass(frozen, module = "vlstore._core", name = "_Cache")]
pub(crate) struct _Cache {
    cache: Cache,
}

impl _Cache {
    /// Tries a write again and again until its turn comes, with the interpreter detached.
    fn turn<T: Send>(
        &self,
        py: Python<'_>,
        write: impl Fn(&Cache, Duration) -> vlstore::Result<T> + Sync,
    ) -> PyResult<T> {
        let begun = Instant::now();
        loop {
            let left = self.cache.options().lock_wait.saturating_sub(begun.elapsed());
            match py.detach(|| write(&self.cache, left.min(LOOK))) {
                Err(e) if matches!(e.root(), Error::Locked) && !left.is_zero() => {
                    py.check_signals()?;
                }
                done => return done.map_err(|e| from_error(py, &e)),
            }
        }
    }
}

#[pymethods]
impl _Cache {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the Python half names them")]
    #[pyo3(signature = (path, *, truncate, readonly, max_bytes, lock_timeout, compression, accept_older))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        truncate: bool,
        readonly: bool,
        max_bytes: Option<u64>,
        lock_timeout: f64,
        compression: &str,
        accept_older: bool,
    ) -> PyResult<Self> {
        let lock_wait = Duration::try_from_secs_f64(lock_timeout)
            .map_err(|_| invalid(py, "lock_timeout: must be a number of seconds, 0 or more"))?;
        let compression = Compression::from_name(compression).ok_or_else(|| {
            let known = Compression::ALL.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ");
            invalid(py, &format!("compression: {compression:?} is not one of {known}"))
        })?;
        let options = CacheOptions {
            max_bytes,
            lock_wait,
            read_only: readonly,
            accept_older,
            compression,
            ..CacheOptions::default()
        };
        let open = || {
            if truncate { Cache::replace(&path, &options) } else { Cache::open(&path, &options) }
        };
        Ok(Self { cache: py.detach(open).map_err(|e| from_error(py, &e))? })
    }

    /// Where the file is.
    #[getter]
    fn path(&self) -> PathBuf {
        self.cache.path().to_owned()
    }

    /// Head and arrays of the entry with this key; `None` if there is none.
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
    ) -> PyResult<Option<(String, Bound<'py, PyList>)>> {
        // Attached: the child of a fork never inherits the lock in which the newest state is kept.
        let snapshot = self.cache.snapshot().map_err(|e| from_error(py, &e))?;
        let found = py.detach(|| self.cache.find(&snapshot, key)).map_err(|e| of_entry(py, &e))?;
        let Some(entry) = found else { return Ok(None) };
        let out = parts(py, entry)?;
        self.cache.note_use(key);
        Ok(Some(out))
    }

    /// Head and arrays of a listed entry; `None` if it is gone meanwhile.
    fn read<'py>(
        &self,
        py: Python<'py>,
        listed: &Listed,
    ) -> PyResult<Option<(String, Bound<'py, PyList>)>> {
        let found = self.cache.entry(&listed.info).map_err(|e| of_entry(py, &e))?;
        found.map(|entry| parts(py, entry)).transpose()
    }

    /// Whether there is an entry with this key; reads no entry.
    fn contains(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        self.cache.contains(key).map_err(|e| from_error(py, &e))
    }

    /// Stores an entry whose head says `key` and `stored`; how many had to go for it.
    fn put(
        &self,
        py: Python<'_>,
        key: &str,
        stored: f64,
        head: &str,
        arrays: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let given =
            arrays.try_iter()?.map(|array| Given::new(&array?)).collect::<PyResult<Vec<_>>>()?;
        let views = given
            .iter()
            .map(Given::view)
            .collect::<vlstore::Result<Vec<_>>>()
            .map_err(|e| from_error(py, &e))?;
        let document = DocumentRef { head, arrays: &views };
        self.turn(py, |cache, wait| cache.put_document(key, stored, &document, wait))
    }

    /// All entries, in the order in which they were stored; reads the index alone.
    fn entries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let found = self.cache.entries().map_err(|e| from_error(py, &e))?;
        let out = PyList::empty(py);
        for info in found {
            out.append(Bound::new(py, Listed { info })?)?;
        }
        Ok(out)
    }

    /// Deletes listed entries; how many were still there.
    fn remove(&self, py: Python<'_>, listed: Vec<PyRef<'_, Listed>>) -> PyResult<u64> {
        let infos: Vec<EntryInfo> = listed.iter().map(|entry| entry.info.clone()).collect();
        self.turn(py, |cache, wait| cache.remove_entries(&infos, wait))
    }

    /// Deletes everything; how many entries there were.
    fn clear(&self, py: Python<'_>) -> PyResult<u64> {
        self.turn(py, Cache::clear_within)
    }

    /// Deletes the entry with this key; whether there was one.
    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        Ok(self.turn(py, |cache, wait| cache.remove_within([key], wait))? > 0)
    }

    /// Number of entries.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let n = self.cache.len().map_err(|e| from_error(py, &e))?;
        Ok(usize::try_from(n)?)
    }

    /// What tells one state of the file from another.
    fn state(&self, py: Python<'_>) -> PyResult<(String, u64)> {
        let snapshot = self.cache.snapshot().map_err(|e| from_error(py, &e))?;
        Ok((snapshot.file_id(), snapshot.generation()))
    }

    /// Counts and sizes.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.cache.info().map_err(|e| from_error(py, &e))?;
        let out = PyDict::new(py);
        out.set_item("entries", info.entries)?;
        out.set_item("bytes", info.bytes)?;
        out.set_item("file_bytes", info.file_bytes)?;
        out.set_item("reclaimable", info.reclaimable)?;
        Ok(out)
    }

    /// Rewrites the file without dead space.
    fn repack(&self, py: Python<'_>) -> PyResult<()> {
        self.turn(py, |cache, _| cache.repack().map(drop))
    }

    /// Writes down what was used, for other processes and later runs.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.turn(py, Cache::flush_within)
    }
}

/// What is known of an entry without reading it.
#[pyclass(frozen, module = "vlstore._core", name = "_Listed")]
pub(crate) struct Listed {
    info: EntryInfo,
}

#[pymethods]
impl Listed {
    /// The key; `None` if it is so long that it stands in the head alone.
    #[getter]
    fn key(&self) -> Option<&str> {
        Some(&*self.info.key).filter(|key| !key.starts_with('#'))
    }

    /// When it was stored, in seconds since 1970 (UTC).
    #[getter]
    const fn stored(&self) -> f64 {
        self.info.stored
    }

    /// Its length before compression, in bytes.
    #[getter]
    const fn bytes(&self) -> u64 {
        self.info.bytes
    }
}
