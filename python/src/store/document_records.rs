//! Records that are a JSON value with NumPy arrays beside it: the codec `document`.

use crate::array::buffer::Record;
use crate::array::numpy::view;
use crate::array::numpy_c_api::Owner;
use crate::error::{described, from_error, invalid, wrong_type};
use crate::store::array_records as arrays;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use vlstore::AlignedBuf;
use vlstore::codec::{ArrayCodec, Codec as _, DocumentCodec, DocumentRef, DocumentView};

/// The record of a `Document`, or of a pair like it, and its weight.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, u32)> {
    let py = value.py();
    let Ok((head, given)) = value.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let what = "a value of a document depot must be a Document, or a pair of head and arrays";
        return Err(wrong_type(py, &described(what, value)?));
    };
    let options = PyDict::new(py);
    options.set_item("ensure_ascii", false)?;
    options.set_item("allow_nan", false)?;
    options.set_item("separators", (",", ":"))?;
    let head: String = py
        .import("json")?
        .call_method("dumps", (head,), Some(&options))
        .and_then(|s| s.extract())?;
    let mut records = Vec::new();
    for array in given.try_iter()? {
        let (bytes, _) = arrays::encode(&array?)?;
        records.push(AlignedBuf::copy_of(&bytes).map_err(|e| from_error(py, &e))?);
    }
    let mut out = Vec::new();
    py.detach(|| {
        let arrays =
            records.iter().map(|r| ArrayCodec.decode(r)).collect::<vlstore::Result<Vec<_>>>()?;
        DocumentCodec.encode(&DocumentRef { head: &head, arrays: &arrays }, &mut out)
    })
    .map_err(|e| from_error(py, &e))?;
    Ok((out, 0))
}

/// The document in a record; its arrays are read-only, without a copy.
pub(crate) fn decode(py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
    let record = Bound::new(py, Record::stored(record))?;
    let document = DocumentCodec.decode(record.get()).map_err(|e| from_error(py, &e))?;
    let head = py.import("json")?.call_method1("loads", (document.head(),))?;
    let class = py.import("vlstore._document")?.getattr("Document")?;
    Ok(class.call1((head, arrays_of(&record, &document)?))?.unbind())
}

/// The arrays of the document in `record`: read-only, without a copy.
pub(crate) fn arrays_of<'py>(
    record: &Bound<'py, Record>,
    document: &DocumentView<'_>,
) -> PyResult<Bound<'py, PyList>> {
    let py = record.py();
    let all: &[u8] = record.get();
    let arrays = PyList::empty(py);
    for array in document.arrays() {
        let shape = array
            .shape()
            .iter()
            .map(|n| usize::try_from(*n))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| invalid(py, "the array is larger than this machine's memory"))?;
        let at = array.data().as_ptr().addr() - all.as_ptr().addr();
        arrays.append(view(Owner::of(record), array.dtype(), &shape, at)?)?;
    }
    Ok(arrays)
}
