//! What changes a store: putting, deleting, committing, closing.

use crate::convert::key::key;
use crate::convert::options;
use crate::error::{described, is_poisoned, raise, wrong_type};
use crate::store::class::Store;
use crate::store::encoded::Encoded;
use crate::store::report::warn;
use crate::store::store_path::StorePath;
use crate::store::typed::Typed;
use crate::store::view::free;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyListMethods, PyString, PyTuple};
use std::path::PathBuf;
use vlstore::{Existing, Key, OriginalTable};

/// Records that are gathered before the interpreter is let go for them.
const MANY: usize = 256;
/// Bytes of them.
const MANY_BYTES: usize = 4 << 20;

type Put = (Option<Key>, Encoded, u32);

#[pymethods]
impl Store {
    fn __setitem__(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.put(py, key, value).map(drop)
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = self::key(key)?;
        Ok(self.handle().write(py, |w| {
            free(w, Some(&key), self.typed.keyed)?;
            Ok(w.delete(key)?)
        })?)
    }

    /// Puts a record under ``key`` and returns its ordinal; a record that is there is replaced, as
    /// by ``store[key] = value``. :meth:`insert` refuses instead.
    ///
    /// The value is looked at before anything is changed: a put that is refused leaves what was
    /// there. This handle sees the record at once, others from the next commit on; commits
    /// happen by themselves, see ``commit_bytes`` and ``commit_interval`` of
    /// :func:`vlstore.open`. The value must not be changed by another thread meanwhile.
    fn put(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        self.put_as(py, key, value, Existing::Replace)
    }

    /// As :meth:`put`, but a record that is there is kept, and the new one refused.
    ///
    /// Raises :class:`~vlstore.errors.RecordExistsError`, which names the key, if there is one.
    fn insert(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        self.put_as(py, key, value, Existing::Refuse)
    }

    /// Adds a record without a key and returns its ordinal, under which the mapping has it.
    fn push(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        let (bytes, weight) = self.typed.encode(value)?;
        let handle = self.handle();
        Ok(handle.write(py, |w| bytes.put(w, handle, None, weight, Existing::Refuse))?)
    }

    /// Puts many records: a mapping, or an iterable of pairs of key and value, which may be a
    /// generator. Returns their number.
    ///
    /// A record that is there is replaced; with ``overwrite=False`` the new one is refused, as by
    /// :meth:`insert`. Not all or nothing: an error leaves those before it.
    #[pyo3(signature = (items, *, overwrite=true))]
    fn put_many(&self, py: Python<'_>, items: &Bound<'_, PyAny>, overwrite: bool) -> PyResult<u64> {
        let pairs = match items.getattr_opt("items")? {
            Some(method) => method.call0()?.try_iter()?,
            None => items.try_iter().map_err(|_| {
                wrong_type(py, "items must be a mapping, or an iterable of pairs of key and value")
            })?,
        };
        let puts = pairs.map(|pair| {
            let pair = pair?;
            // A list of two will do, as it does for a dict.
            let of_two = pair.cast::<PyList>().map(PyListMethods::to_tuple);
            let taken = of_two.as_ref().map_or(&pair, |tuple| tuple.as_any());
            let Ok((name, value)) = taken.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
                return Err(wrong_type(
                    py,
                    &described("an item must be a pair of key and value", &pair)?,
                ));
            };
            let (bytes, weight) = self.typed.encode(&value)?;
            Ok((Some(key(&name)?), bytes, weight))
        });
        self.all(py, puts, Existing::of(overwrite))
    }

    /// Adds many records without keys, from any iterable of values. Returns their number.
    fn push_many(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<u64> {
        let Ok(values) = values.try_iter() else {
            return Err(wrong_type(
                py,
                &described("values must be an iterable of values", values)?,
            ));
        };
        let puts = values.map(|value| {
            let (bytes, weight) = self.typed.encode(&value?)?;
            Ok((None, bytes, weight))
        });
        self.all(py, puts, Existing::Refuse)
    }

    /// Makes everything that was put survive a crash, and shows it to readers that open or
    /// refresh. Returns the number of the commit. Costs what was added, not what is there.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.handle().write(py, |w| Ok(w.commit()?))?)
    }

    /// Writes what the last commit holds to a new file at ``path``: for a writer that was told by
    /// :class:`~vlstore.errors.ReplacedError` that its own file was deleted or replaced, as long as it
    /// is open. The writer itself stays with its file.
    fn save_as(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(self.handle().write(py, |w| Ok(w.save_as(&path)?))?)
    }

    /// Commits, and brings the Blosc2 frame up to it, so that other programs see all records
    /// too. Costs 8 bytes and more for each record of the store. Returns the number of the
    /// commit.
    fn seal(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.handle().write(py, |w| Ok(w.seal()?))?)
    }

    /// Moves a store that is open for reading on to the newest commit; whether there was a
    /// newer one. What was read before stays valid.
    ///
    /// Raises :class:`~vlstore.errors.ReplacedError` if another file has taken the place of the one
    /// that is open.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        let newer = self.handle().refresh(py)?;
        if newer {
            warn(py, self.handle())?;
        }
        Ok(newer)
    }

    /// Closes the store; a writer commits first, and seals when that is cheap, or in any case with
    /// ``original_table="always"``. Views and arrays stay valid. Closing twice does nothing.
    ///
    /// A ``RuntimeWarning`` says so if other programs do not see the newest records of the file, as
    /// the last seal is older. Not with ``original_table="never"``.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let handle = self.handle();
        let closed = handle.close(py, true)?.filter(|closed| !closed.sealed);
        let (Some(closed), StorePath::File(path)) = (closed, &handle.place) else { return Ok(()) };
        if handle.options.original_table == OriginalTable::Never {
            return Ok(());
        }
        let text = format!(
            "other programs see {} as it was at its last seal, with {} of {} records; call seal() \
             before close(), or open with original_table=\"always\"",
            path.display(),
            closed.seen,
            closed.records
        );
        let text = std::ffi::CString::new(text)?;
        PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyRuntimeWarning>(), &text, 1)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes. An exception changes nothing about that: what was put before it is committed.
    #[pyo3(signature = (*why))]
    fn __exit__(&self, py: Python<'_>, why: &Bound<'_, PyTuple>) -> PyResult<()> {
        let raised = why.get_item(0).is_ok_and(|kind| !kind.is_none());
        match self.close(py) {
            // The exception that is raised says what failed first.
            Err(error) if raised && is_poisoned(py, &error) => Ok(()),
            closed => closed,
        }
    }

    /// Travels to another process as path, id of the file, commit and options: there the store is
    /// opened for reading. One in memory travels with its content.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let handle = this.handle();
        let dirty = handle.read(py, |v| Ok(v.is_dirty()))?;
        if dirty {
            let why = "the store has records that are not committed: commit before it travels";
            return Err(raise(py, "PickleError", why));
        }
        let file = handle.read(py, |v| Ok(v.id()?))?;
        let seen = (file, this.generation(py)?);
        let codec = this.codec(py);
        if let Some(codec) = &codec {
            picklable(py, codec.bind(py))?;
        }
        let place = match &handle.place {
            // An address is no path: its slashes would be taken together.
            StorePath::File(url) if vlstore::remote::is_url(url) => {
                PyString::new(py, &url.to_string_lossy()).into_any()
            }
            StorePath::File(path) => {
                handle.absolute.as_ref().unwrap_or(path).into_pyobject(py)?.into_any()
            }
            StorePath::Object(_, object) => object.bind(py).clone(),
            StorePath::Memory => this.to_bytes(py)?.into_any(),
        };
        let codec = codec.unwrap_or_else(|| PyString::new(py, "bytes").into_any().unbind());
        let reopen = py.import("vlstore._core")?.getattr("_reopen")?;
        let own = options::own(py, &handle.options)?;
        Ok((reopen, (place, seen, own, codec).into_pyobject(py)?))
    }
}

fn picklable(py: Python<'_>, codec: &Bound<'_, PyAny>) -> PyResult<()> {
    py.import("pickle")?.call_method1("dumps", (codec,)).map(drop).map_err(|error| {
        let why = format!(
            "the codec of this depot cannot travel to another process ({error}): define its \
             functions or its class at the top of a module"
        );
        let raised = raise(py, "PickleError", &why);
        raised.set_cause(py, Some(error));
        raised
    })
}

impl Store {
    fn put_as(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        existing: Existing,
    ) -> PyResult<u64> {
        let key = self::key(key)?;
        let (bytes, weight) = self.typed.encode(value)?;
        Ok(self.handle().write(py, |w| {
            free(w, Some(&key), self.typed.keyed)?;
            bytes.put(w, self.handle(), Some(&key), weight, existing)
        })?)
    }

    fn all(
        &self,
        py: Python<'_>,
        puts: impl Iterator<Item = PyResult<Put>>,
        existing: Existing,
    ) -> PyResult<u64> {
        let mut done = 0;
        let mut gathered: Vec<Put> = Vec::new();
        let mut bytes = 0;
        // Refuses what is closed or read-only before anything is drawn from an iterator.
        self.handle().write(py, |_| Ok(()))?;
        for put in puts {
            let put = match put {
                Ok(put) => put,
                Err(error) => {
                    flush(&self.typed, py, &mut gathered, existing)?;
                    return Err(error);
                }
            };
            bytes += put.1.len();
            gathered.push(put);
            if gathered.len() >= MANY || bytes >= MANY_BYTES {
                done += flush(&self.typed, py, &mut gathered, existing)?;
                bytes = 0;
                py.check_signals()?;
            }
        }
        Ok(done + flush(&self.typed, py, &mut gathered, existing)?)
    }
}

fn flush(
    typed: &Typed,
    py: Python<'_>,
    gathered: &mut Vec<Put>,
    existing: Existing,
) -> PyResult<u64> {
    let puts = std::mem::take(gathered);
    Ok(typed.handle.write(py, |w| {
        for (key, bytes, weight) in &puts {
            free(w, key.as_ref(), typed.keyed)?;
            bytes.put(w, &typed.handle, key.as_ref(), *weight, existing)?;
        }
        Ok(puts.len() as u64)
    })?)
}
