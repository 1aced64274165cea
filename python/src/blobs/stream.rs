//! A content that is read piece by piece.

use crate::array::buffer::copied_bytes;
use crate::error::{Failure, Outcome};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vlstore::blobs::ByteStream;

/// The pieces of a content; used by :mod:`vlstore.blobs`.
#[pyclass(frozen, module = "vlstore", name = "_BlobStream")]
pub(crate) struct BlobStream {
    inner: Mutex<Option<Box<dyn ByteStream>>>,
    /// Memory of a piece, for the next one.
    space: Mutex<Vec<u8>>,
}

impl BlobStream {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> Self {
        Self { inner: Mutex::new(Some(stream)), space: Mutex::default() }
    }

    fn space(&self) -> MutexGuard<'_, Vec<u8>> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next piece; whether there is one.
    fn read(&self, piece: &mut Vec<u8>) -> Outcome<bool> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        piece.clear();
        let Some(stream) = inner.as_mut() else { return Ok(false) };
        loop {
            match stream.next_into(piece) {
                Ok(true) if piece.is_empty() => {}
                Ok(true) => return Ok(true),
                Ok(false) => {
                    *inner = None;
                    return Ok(!piece.is_empty());
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
        let mut space = std::mem::take(&mut *self.space());
        // Whoever waits for the stream does not hold the interpreter.
        let piece = match py.detach(|| self.read(&mut space)) {
            Ok(true) => copied_bytes(py, &space).map(Some),
            Ok(false) => Ok(None),
            Err(e) => Err(PyErr::from(e)),
        };
        *self.space() = space;
        piece
    }

    /// Drops what is left.
    fn close(&self, py: Python<'_>) {
        let left = py.detach(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(left);
    }
}
