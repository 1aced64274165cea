//! Ordinals as Python gives them: one, a slice, a sequence or an array of them.

use crate::array::buffer::Bytes;
use crate::convert::iterable::gathered;
use crate::error::{described, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt};

/// One ordinal; negative ones count from the end.
pub(crate) fn one(any: &Bound<'_, PyAny>) -> PyResult<i64> {
    if any.is_exact_instance_of::<PyInt>() {
        // Nothing lies beyond 2^63: the answer is the same, no such record.
        return Ok(any.extract::<i64>().unwrap_or(i64::MAX));
    }
    if !any.is_instance_of::<PyBool>()
        && let Ok(index) = any.call_method0("__index__")
    {
        return Ok(index.extract::<i64>().unwrap_or(i64::MAX));
    }
    Err(wrong_type(any.py(), &described("an ordinal must be an integer", any)?))
}

/// Many ordinals: an array of integers, or anything that can be iterated over.
pub(crate) fn many(any: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    let py = any.py();
    if any.hasattr("__array_interface__")? {
        let kind: String = any.getattr("dtype")?.getattr("kind")?.extract()?;
        if !matches!(&*kind, "i" | "u") {
            let why =
                format!("ordinals must be integers, not an array of {}", any.getattr("dtype")?);
            return Err(wrong_type(py, &why));
        }
        let how = PyDict::new(py);
        how.set_item("dtype", "<i8")?;
        let array = py.import("numpy")?.call_method("ascontiguousarray", (any,), Some(&how))?;
        let bytes = Bytes::get(&array, "the array of ordinals")?;
        let (numbers, _) = bytes.as_chunks::<8>();
        return Ok(numbers.iter().map(|n| i64::from_le_bytes(*n)).collect());
    }
    let Ok(items) = any.try_iter() else {
        return Err(wrong_type(py, &described("ordinals must be a sequence of integers", any)?));
    };
    gathered(&items, one)
}
