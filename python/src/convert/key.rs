//! Keys between Python and the crate: `str`, `int` and `bytes`.

use crate::convert::iterable::gathered;
use crate::convert::key_array::keys_of_array;
use crate::error::{described, from_error, invalid, wrong_type};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use vlstore::{Error, Key};

/// The key that a Python object stands for. NumPy's integers count as `int`.
pub(crate) fn key(any: &Bound<'_, PyAny>) -> PyResult<Key> {
    let py = any.py();
    let key = if let Ok(text) = any.cast::<PyString>() {
        let text = text.to_str().map_err(|_| {
            invalid(py, "a string key must be valid Unicode: this one has a lone surrogate")
        })?;
        Key::from(text)
    } else if let Ok(bytes) = any.cast::<PyBytes>() {
        Key::from(bytes.as_bytes())
    } else {
        return integer(any);
    };
    key.check().map_err(|e| from_error(py, &e))?;
    Ok(key)
}

fn integer(any: &Bound<'_, PyAny>) -> PyResult<Key> {
    let py = any.py();
    let refused = any.is_instance_of::<PyBool>() || any.is_instance_of::<PyFloat>();
    let number = if any.is_exact_instance_of::<PyInt>() {
        any.clone()
    } else {
        match any.getattr("__index__").ok().filter(|_| !refused).map(|index| index.call0()) {
            Some(Ok(number)) => number,
            _ => {
                return Err(wrong_type(
                    py,
                    &described("a key must be a str, an int or bytes", any)?,
                ));
            }
        }
    };
    if let Ok(number) = number.extract::<i64>() {
        return Ok(Key::from(number));
    }
    number.extract::<u64>().map(Key::from).map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(py) {
            let why = "is outside the range of integer keys, -2^63 to 2^64-1";
            from_error(py, &Error::invalid("key", format!("{number} {why}")))
        } else {
            error
        }
    })
}

/// A key as a Python object; `None` for a record without one.
pub(crate) fn to_python(py: Python<'_>, key: Option<&Key>) -> PyResult<Py<PyAny>> {
    Ok(match key {
        None => py.None(),
        Some(Key::Str(text)) => PyString::new(py, text).into_any().unbind(),
        Some(Key::Bytes(bytes)) => PyBytes::new(py, bytes).into_any().unbind(),
        Some(Key::Int(number)) => match i64::try_from(*number) {
            Ok(small) => small.into_pyobject(py)?.into_any().unbind(),
            Err(_) => number.into_pyobject(py)?.into_any().unbind(),
        },
    })
}

/// All keys of an iterable; text and bytes are keys, not iterables of them.
pub(crate) fn keys(any: &Bound<'_, PyAny>) -> PyResult<Vec<Key>> {
    let py = any.py();
    if any.is_instance_of::<PyString>() || any.is_instance_of::<PyBytes>() {
        return Err(wrong_type(py, &described("keys must be an iterable of keys", any)?));
    }
    if let Some(keys) = keys_of_array(any)? {
        return Ok(keys);
    }
    let Ok(items) = any.try_iter() else {
        return Err(wrong_type(py, &described("keys must be an iterable of keys", any)?));
    };
    gathered(&items, key)
}
