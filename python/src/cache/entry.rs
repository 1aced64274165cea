//! Entries as Python sees them: the text of the head, and arrays.

use crate::array::buffer::{Bytes, Record};
use crate::error::{from_error, invalid};
use crate::store::document_records::arrays_of;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use vlstore::Error;
use vlstore::cache::Entry;
use vlstore::codec::{ArrayView, Codec as _, DType, DocumentCodec};

/// The head of an entry, and its arrays: read-only, without a copy.
pub(super) fn parts<'py>(py: Python<'py>, entry: Entry) -> PyResult<(String, Bound<'py, PyList>)> {
    let record = Bound::new(py, Record::stored(entry.record().clone()))?;
    let all: &[u8] = record.get();
    let document = py.detach(|| DocumentCodec.decode(all)).map_err(|e| damaged(py, &e))?;
    let arrays = arrays_of(&record, &document)?;
    Ok((document.head().to_owned(), arrays))
}

/// An array that Python gave, held until it is stored.
pub(super) struct Given {
    dtype: DType,
    shape: Vec<u64>,
    bytes: Bytes,
}

impl Given {
    /// A contiguous array of a type that a record holds.
    pub(super) fn new(array: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = array.py();
        let name: String = array.getattr("dtype")?.getattr("name")?.extract()?;
        let dtype = DType::from_name(&name)
            .ok_or_else(|| invalid(py, &format!("an array of {name} is not one of a record")))?;
        let axes: Vec<usize> = array.getattr("shape")?.extract()?;
        let shape = axes
            .into_iter()
            .map(u64::try_from)
            .collect::<Result<_, _>>()
            .map_err(|e| PyOverflowError::new_err(e.to_string()))?;
        Ok(Self { dtype, shape, bytes: Bytes::get(array, "an array of a result")? })
    }

    pub(super) fn view(&self) -> vlstore::Result<ArrayView<'_>> {
        ArrayView::new(self.dtype, &self.shape, &self.bytes)
    }
}

/// The error of an entry: that it is damaged, if it is; else what it is.
pub(super) fn of_entry(py: Python<'_>, error: &Error) -> PyErr {
    match error.root() {
        Error::Corrupt(_) | Error::Codec { .. } | Error::Unsupported { .. } => damaged(py, error),
        _ => from_error(py, error),
    }
}

fn damaged(py: Python<'_>, error: &Error) -> PyErr {
    let class = py
        .import("vlstore.cache._errors")
        .and_then(|module| module.getattr("DamagedEntryError"))
        .and_then(|class| Ok(class.cast_into::<pyo3::types::PyType>()?));
    match class {
        Ok(class) => {
            let raised = PyErr::from_type(class, (error.to_string(),));
            raised.set_cause(py, Some(from_error(py, error)));
            raised
        }
        Err(other) => other,
    }
}
