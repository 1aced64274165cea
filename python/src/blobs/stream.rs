//! A content that is read piece by piece.

use crate::array::buffer::copied_bytes;
use crate::blobs::source::outcome;
use crate::error::{Failure, Outcome};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};
use vlstore::blobs::ByteStream;

/// The pieces of a content; used by :mod:`vlstore.blobs`.
#[pyclass(frozen, module = "vlstore", name = "_BlobStream")]
pub(crate) struct BlobStream {
    inner: Mutex<Option<Box<dyn ByteStream>>>,
}

impl BlobStream {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> Self {
        Self { inner: Mutex::new(Some(stream)) }
    }

    fn piece(&self) -> Outcome<Option<Vec<u8>>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = inner.as_mut() else { return Ok(None) };
        let mut piece = Vec::new();
        loop {
            match stream.next_into(&mut piece) {
                Ok(true) if piece.is_empty() => {}
                Ok(true) => return Ok(Some(piece)),
                Ok(false) => {
                    *inner = None;
                    return Ok((!piece.is_empty()).then_some(piece));
                }
                Err(e) => {
                    *inner = None;
                    return Err(Failure::from(e));
                }
            }
        }
    }
}

#[pymethods]
impl BlobStream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let piece =
            outcome(py, Ok(())).and_then(|()| py.detach(|| self.piece()).map_err(PyErr::from))?;
        piece.map(|piece| copied_bytes(py, &piece)).transpose()
    }

    /// Gives up what is left.
    fn close(&self, py: Python<'_>) {
        let left = py.detach(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(left);
    }
}
