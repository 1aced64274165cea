//! What a dict can do to itself beside `[]` and `del`.

use crate::error::{Outcome, raise, wrong_type};
use crate::store::class::Store;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use vlstore::Readable;

#[pymethods]
impl Store {
    /// Puts all values of a mapping, or of pairs of key and value, and those that are given by
    /// name; as :meth:`put_many` does.
    #[pyo3(signature = (other=None, /, **more))]
    fn update(
        slf: &Bound<'_, Self>,
        other: Option<&Bound<'_, PyAny>>,
        more: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        if let Some(other) = other {
            slf.call_method1("put_many", (other,))?;
        }
        if let Some(more) = more {
            slf.call_method1("put_many", (more,))?;
        }
        Ok(())
    }

    /// Removes the record under ``key`` and returns its value; ``default``, if one is given, where
    /// there is none.
    #[pyo3(signature = (key, *default))]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            return Err(wrong_type(slf.py(), "pop takes a key and one default"));
        }
        if let Ok(default) = default.get_item(0)
            && !slf.contains(key)?
        {
            return Ok(default);
        }
        let value = slf.as_any().get_item(key)?;
        slf.as_any().del_item(key)?;
        Ok(value)
    }

    /// Removes the last record and returns its key and its value. Raises ``KeyError`` if there is
    /// none.
    fn popitem<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = slf.py();
        let handle = slf.get().handle();
        let last = handle.read(py, |v| Ok(v.len()))?.checked_sub(1);
        let Some(last) = last else {
            return Err(raise(py, "NotFoundError", "the store is empty"));
        };
        let at = slf.getattr("at")?;
        let key = at.call_method1("key", (last,))?;
        let key = if key.is_none() { last.into_pyobject(py)?.into_any() } else { key };
        let value = at.get_item(last)?;
        handle.write(py, |w| Ok(w.delete_at(last)?))?;
        Ok((key, value))
    }

    /// The value under ``key``; if there is none, ``default`` is put there first.
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !slf.contains(key)? {
            slf.as_any().set_item(key, default)?;
        }
        slf.as_any().get_item(key)
    }

    /// Removes every record, with a key or without. The file keeps its size until the store is
    /// compacted.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let delete = |w: &mut vlstore::Writer| -> Outcome<()> {
            while let Some(last) = w.len().checked_sub(1) {
                w.delete_at(last)?;
            }
            Ok(())
        };
        Ok(self.handle().write(py, delete)?)
    }
}
