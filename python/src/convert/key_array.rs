//! Keys in an array of NumPy, of integers or of text of one width: without a Python object for each.

use crate::array::buffer::Bytes;
use crate::error::{from_error, invalid};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::Key;

/// The keys in `any`, if it is an array with one axis of integers, text or bytes; `None` for anything else.
pub(crate) fn keys_of_array(any: &Bound<'_, PyAny>) -> PyResult<Option<Vec<Key>>> {
    let class = any.get_type();
    if class.name()? != "ndarray" || class.module()? != "numpy" {
        return Ok(None);
    }
    let (py, dtype) = (any.py(), any.getattr("dtype")?);
    let axes: usize = any.getattr("ndim")?.extract()?;
    let kind: char = dtype.getattr("kind")?.extract()?;
    let size: usize = dtype.getattr("itemsize")?.extract()?;
    if axes != 1 || size == 0 {
        return Ok(None);
    }
    match kind {
        'i' => Ok(Some(integers(&bytes(any, "int64")?, i64::from_ne_bytes))),
        'u' => Ok(Some(integers(&bytes(any, "uint64")?, u64::from_ne_bytes))),
        'U' | 'S' => {
            // In the byte order of the machine.
            let native = dtype.call_method1("newbyteorder", ("=",))?;
            let all = bytes(any, native)?;
            let parts = all.chunks_exact(size);
            let keys: PyResult<Vec<Key>> = match kind {
                'S' => parts.map(|part| Ok(Key::from(shortened(part, |b| *b == 0)))).collect(),
                _ => parts.map(|part| text(py, part)).collect(),
            };
            let keys = keys?;
            keys.iter().try_for_each(Key::check).map_err(|e| from_error(py, &e))?;
            Ok(Some(keys))
        }
        _ => Ok(None),
    }
}

/// The memory of an array of these numbers, side by side.
fn bytes<'py>(any: &Bound<'py, PyAny>, dtype: impl IntoPyObject<'py>) -> PyResult<Bytes> {
    let py = any.py();
    let how = PyDict::new(py);
    how.set_item("order", "C")?;
    how.set_item("copy", false)?;
    let array = any.call_method("astype", (dtype,), Some(&how))?;
    let flat = py.import("numpy")?.call_method1("ascontiguousarray", (array,))?;
    Bytes::get(&flat.call_method1("view", ("uint8",))?, "keys")
}

fn integers<T: Copy, const N: usize>(bytes: &[u8], of: fn([u8; N]) -> T) -> Vec<Key>
where
    Key: From<T>,
{
    bytes.as_chunks::<N>().0.iter().map(|number| Key::from(of(*number))).collect()
}

/// What stands before the zeros at the end: NumPy fills with these what is shorter than the others.
fn shortened<T>(all: &[T], is_zero: impl Fn(&T) -> bool) -> &[T] {
    let len = all.len() - all.iter().rev().take_while(|item| is_zero(item)).count();
    all.get(..len).unwrap_or_default()
}

/// Text of four bytes for each character.
fn text(py: Python<'_>, part: &[u8]) -> PyResult<Key> {
    let words = shortened(part.as_chunks::<4>().0, |word| *word == [0; 4]);
    let read: Option<String> =
        words.iter().map(|word| char::from_u32(u32::from_ne_bytes(*word))).collect();
    let why = "a string key must be valid Unicode: this one has a lone surrogate";
    read.map(Key::from).ok_or_else(|| invalid(py, why))
}
