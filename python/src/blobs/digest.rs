//! A digest that grows with a stream.

use crate::blobs::source::outcome;
use pyo3::prelude::*;
use vlstore::blobs::{ContentKind, GetDigest};

use crate::array::buffer::Bytes;

/// The digest of a stream, as far as it was read; used by :mod:`vlstore.blobs`.
#[pyclass(frozen, module = "vlstore", name = "_GrowingDigest")]
pub(crate) struct GrowingDigest {
    pub(super) inner: GetDigest,
}

#[pymethods]
impl GrowingDigest {
    /// That of a stream of which nothing has come.
    #[new]
    fn new(py: Python<'_>, content_type: &str, encoding: Option<&str>) -> PyResult<Self> {
        let kind = outcome(py, ContentKind::new(content_type, encoding))?;
        Ok(Self { inner: GetDigest::new(kind) })
    }

    /// Counts a piece in.
    fn count(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = Bytes::get(data, "a piece of the stream")?;
        py.detach(|| self.inner.count(&data));
        Ok(())
    }

    /// Notes that the stream has ended.
    fn end(&self) {
        self.inner.end();
    }

    /// Whether the stream has ended.
    fn is_complete(&self) -> bool {
        self.inner.so_far().is_complete()
    }

    /// The digest as JSON.
    fn json(&self) -> String {
        self.inner.so_far().to_json().to_string()
    }
}
