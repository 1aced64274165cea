//! `vlstore._core._SeriesStore`: the crate's storage manager; the classes in Python stand before it.

use crate::convert::key::{key, to_python};
use crate::error::{Failure, Outcome, described, from_error, invalid, wrong_type};
use crate::series::floats::{Given, viewed};
use crate::series::lazy::Lazy;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vlstore::codec::Packing;
use vlstore::series::lazy::Expr;
use vlstore::series::{
    SeriesOptions, SeriesStore, TimeRule, Unlisted, check_id, import_folder, new_id,
};
use vlstore::{Durability, Error, Existing, Key};

/// The crate's store of series; used by :class:`vlstore.series.FileStorageManager`.
#[pyclass(frozen, module = "vlstore", name = "_SeriesStore")]
pub(crate) struct Store {
    inner: Mutex<Option<SeriesStore>>,
    process: u32,
    /// Whether it was said that an older state than the newest is read.
    told: AtomicBool,
}

/// What an older state than the newest lacks, with the path.
fn lost(store: &SeriesStore) -> Option<String> {
    let path = store.path().unwrap_or(Path::new("")).display();
    store.lost().map(|lost| format!("{path}: {lost}"))
}

impl Store {
    /// Calls `f` with the interpreter detached.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&mut SeriesStore) -> vlstore::Result<T> + Send,
    ) -> PyResult<T> {
        // In the child of a fork the lock may be held by a thread that is not there.
        if std::process::id() != self.process {
            return Err(Failure::Forked.into());
        }
        let (done, lost): (Outcome<T>, _) = py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(store) = inner.as_mut() else { return (Err(Failure::Closed), None) };
            let done = f(store).map_err(Failure::from);
            (done, lost(store))
        });
        // Behind the method of the manager that called.
        self.tell(py, lost, 2)?;
        Ok(done?)
    }

    /// Says once that an older state than the newest is read.
    fn tell(&self, py: Python<'_>, lost: Option<String>, level: i32) -> PyResult<()> {
        let told = self.told.swap(lost.is_some(), Ordering::Relaxed);
        match lost {
            Some(lost) if !told => {
                let class = py.import("vlstore.errors")?.getattr("RecoveredWarning")?;
                PyErr::warn(py, &class, &CString::new(lost)?, level)
            }
            _ => Ok(()),
        }
    }
}

/// The id that a Python object stands for.
fn id(any: &Bound<'_, PyAny>) -> PyResult<Key> {
    let py = any.py();
    let id = match key(any) {
        Ok(Key::Bytes(_)) => None,
        Err(error) if error.is_instance_of::<PyTypeError>(py) => None,
        id => Some(id?),
    };
    let Some(id) = id else {
        return Err(wrong_type(py, &described("an id must be a str or an int", any)?));
    };
    check_id(&id).map_err(|e| from_error(py, &e))?;
    Ok(id)
}

/// The id of a series that should be there: what no series can be called is unknown, too.
fn known(any: &Bound<'_, PyAny>) -> PyResult<Key> {
    let py = any.py();
    id(any).or_else(|error| {
        if !error.is_instance_of::<PyValueError>(py) {
            return Err(error);
        }
        let mut shown: String = any.repr()?.to_string_lossy().chars().take(61).collect();
        if shown.chars().count() > 60 {
            shown.push_str("...");
        }
        let key = format!("of the series {shown}, and no series can have this id").into();
        Err(from_error(py, &Error::NotFound { key }))
    })
}

fn named<T>(py: Python<'_>, what: &str, name: &str, found: Option<T>, known: &str) -> PyResult<T> {
    found.ok_or_else(|| invalid(py, &format!("{what} must be one of {known}, not {name:?}")))
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (path, *, packing, times, durability, cache_bytes, wait, threads, writable, accept_older))]
    #[expect(clippy::too_many_arguments, reason = "the Python half names them")]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        packing: &str,
        times: &str,
        durability: &str,
        cache_bytes: usize,
        wait: f64,
        threads: usize,
        writable: bool,
        accept_older: bool,
    ) -> PyResult<Self> {
        let wait = Duration::try_from_secs_f64(wait)
            .map_err(|_| invalid(py, "lock_timeout must be a number of seconds, 0 or more"))?;
        let options = SeriesOptions {
            packing: named(py, "packing", packing, Packing::from_name(packing), "pco, plain")?,
            times: named(
                py,
                "times",
                times,
                TimeRule::from_name(times),
                "any, sorted, increasing",
            )?,
            durability: named(
                py,
                "durability",
                durability,
                Durability::from_name(durability),
                "kernel, sync, none",
            )?,
            cache_bytes,
            wait,
            threads,
            writable,
            accept_older,
        };
        let opened: Outcome<SeriesStore> = py.detach(|| {
            Ok(match path {
                Some(path) => SeriesStore::open(path, options)?,
                None => SeriesStore::in_memory(options)?,
            })
        });
        let opened = opened?;
        let lost = lost(&opened);
        let (inner, process) = (Mutex::new(Some(opened)), std::process::id());
        let made = Self { inner, process, told: AtomicBool::new(false) };
        // Behind the three methods that make a manager.
        made.tell(py, lost, 4)?;
        Ok(made)
    }

    /// Whether another process made it: then it is opened again.
    fn is_inherited(&self) -> bool {
        std::process::id() != self.process
    }

    /// Closes the file.
    fn close(&self, py: Python<'_>) {
        if !self.is_inherited() {
            py.detach(|| drop(self.inner.lock().unwrap_or_else(PoisonError::into_inner).take()));
        }
    }

    /// Stores a series; ``values`` are channel by channel.
    fn store(
        &self,
        name: &Bound<'_, PyAny>,
        times: Option<&Bound<'_, PyAny>>,
        values: &Bound<'_, PyAny>,
        channels: usize,
        replace: bool,
    ) -> PyResult<()> {
        let (key, given) = (id(name)?, Given::get(times, values, channels)?);
        self.with(name.py(), |s| s.store(&key, &given.points()?, Existing::of(replace)))
    }

    /// Stores a series under a new id, and returns the id.
    fn store_new(
        &self,
        py: Python<'_>,
        times: Option<&Bound<'_, PyAny>>,
        values: &Bound<'_, PyAny>,
        channels: usize,
    ) -> PyResult<Py<PyAny>> {
        let given = Given::get(times, values, channels)?;
        let key = self.with(py, |s| s.store_new(&given.points()?))?;
        to_python(py, Some(&key))
    }

    /// Stores a chain of operations, block by block.
    fn store_lazy(
        &self,
        name: &Bound<'_, PyAny>,
        lazy: &Bound<'_, Lazy>,
        replace: bool,
    ) -> PyResult<u64> {
        let (key, expr) = (id(name)?, lazy.get().expr().clone());
        self.with(name.py(), |s| {
            let first = expr.read(0..vlstore::series::lazy::BLOCK)?;
            s.store_all(&key, &first.points()?, Existing::of(replace), |len| {
                let next = expr.read(len..len + vlstore::series::lazy::BLOCK)?;
                Ok(Some(next).filter(|n| !n.is_empty()))
            })
        })
    }

    /// Stores more points; the new length.
    fn append(
        &self,
        name: &Bound<'_, PyAny>,
        times: Option<&Bound<'_, PyAny>>,
        values: &Bound<'_, PyAny>,
        channels: usize,
    ) -> PyResult<u64> {
        let (key, given) = (known(name)?, Given::get(times, values, channels)?);
        self.with(name.py(), |s| s.append(&key, &given.points()?))
    }

    /// Stores the points of a chain of operations behind the last one, block by block; the new length.
    fn append_lazy(&self, name: &Bound<'_, PyAny>, lazy: &Bound<'_, Lazy>) -> PyResult<u64> {
        let (key, expr) = (known(name)?, lazy.get().expr().clone());
        self.with(name.py(), |s| {
            s.append_all(&key, |done| {
                let next = expr.read(done..done + vlstore::series::lazy::BLOCK)?;
                // Channels and times must fit also where there are no points.
                Ok(Some(next).filter(|n| done == 0 || !n.is_empty()))
            })
        })
    }

    /// Replaces values from the position ``first`` on.
    fn set(
        &self,
        name: &Bound<'_, PyAny>,
        first: u64,
        values: &Bound<'_, PyAny>,
        channels: usize,
    ) -> PyResult<()> {
        let (key, given) = (known(name)?, Given::get(None, values, channels)?);
        self.with(name.py(), |s| s.set(&key, first, &given.points()?))
    }

    /// Removes a series.
    fn remove(&self, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = known(name)?;
        self.with(name.py(), |s| s.remove(&key))
    }

    /// Removes all series; how many there were.
    fn clear(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, SeriesStore::clear)
    }

    /// Number of points.
    fn size(&self, name: &Bound<'_, PyAny>) -> PyResult<u64> {
        let key = known(name)?;
        self.with(name.py(), |s| s.size(&key))
    }

    /// Points, channels, and whether there are times.
    fn shape(&self, name: &Bound<'_, PyAny>) -> PyResult<(u64, usize, bool)> {
        let key = known(name)?;
        self.with(name.py(), |s| s.shape(&key))
    }

    /// Whether there is a series under an id.
    fn contains(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = key(name)?;
        self.with(name.py(), |s| s.contains(&key))
    }

    /// Times or ``None``, and the values of each channel.
    fn get(&self, name: &Bound<'_, PyAny>) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>)> {
        let key = known(name)?;
        let series = self.with(name.py(), |s| s.get(&key))?;
        viewed(name.py(), &series)
    }

    /// As ``get``, of the positions from ``start`` to before ``stop`` as in a slice; and the first of them.
    fn range(
        &self,
        name: &Bound<'_, PyAny>,
        start: Option<i64>,
        stop: Option<i64>,
    ) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>, u64)> {
        let key = known(name)?;
        let series = self.with(name.py(), |s| s.slice(&key, start, stop))?;
        let (times, channels) = viewed(name.py(), &series)?;
        Ok((times, channels, series.first()))
    }

    /// As ``get``, of the times from ``start`` to before ``stop``; ``None`` if all has to be looked at.
    #[expect(clippy::type_complexity, reason = "times and channels, as for every part of a series")]
    fn between(
        &self,
        name: &Bound<'_, PyAny>,
        start: Option<f64>,
        stop: Option<f64>,
    ) -> PyResult<Option<(Option<Py<PyAny>>, Py<PyAny>)>> {
        let key = known(name)?;
        let series = self.with(name.py(), |s| s.between(&key, start, stop))?;
        series.map(|series| viewed(name.py(), &series)).transpose()
    }

    /// A dict of ids and lengths.
    fn lengths<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (key, len) in self.with(py, SeriesStore::lengths)? {
            out.set_item(to_python(py, Some(&key))?, len)?;
        }
        Ok(out)
    }

    /// Ids of what does not fit together, and why.
    fn check(&self, py: Python<'_>) -> PyResult<Vec<(Py<PyAny>, String)>> {
        let found = self.with(py, SeriesStore::check)?;
        found.into_iter().map(|d| Ok((to_python(py, d.id.as_ref())?, d.why))).collect()
    }

    /// Begins a batch.
    fn begin_batch(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, SeriesStore::begin_batch)
    }

    /// Ends a batch.
    fn end_batch(&self, py: Python<'_>, commit: bool) -> PyResult<()> {
        self.with(py, |s| s.end_batch(commit))
    }

    /// Bytes that are kept.
    fn cached(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |s| Ok(s.cached()))
    }

    /// A stored series, to be computed with.
    fn lazy(&self, name: &Bound<'_, PyAny>) -> PyResult<Lazy> {
        let key = known(name)?;
        let values = self.with(name.py(), |s| s.values(&key))?;
        Ok(Lazy::new(Expr::stored(values)))
    }

    /// Ids that came, what was broken with the reason, and what the map does not name.
    #[expect(clippy::type_complexity, reason = "what an import found, in three lists")]
    fn import_folder(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        replace: bool,
        unlisted: bool,
    ) -> PyResult<(Vec<Py<PyAny>>, Vec<(String, String)>, Vec<String>)> {
        let unlisted = if unlisted { Unlisted::Import } else { Unlisted::Leave };
        let done = self.with(py, |s| import_folder(s, &folder, Existing::of(replace), unlisted))?;
        let ids = done.ids.iter().map(|key| to_python(py, Some(key)));
        Ok((ids.collect::<PyResult<_>>()?, done.broken, done.unlisted))
    }
}

/// An id that no process has made before.
#[pyfunction]
pub(crate) fn _new_id(py: Python<'_>) -> PyResult<Py<PyAny>> {
    to_python(py, Some(&new_id()))
}
