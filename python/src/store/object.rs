//! An object that Python code reads by ranges: stores of obstore, file systems of fsspec.

use pyo3::exceptions::{PyFileNotFoundError, PyKeyboardInterrupt, PyPermissionError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use vlstore::backend::{Begun, RangeSource};
use vlstore::{Error, Result};

/// An object of Python with a `name`, `begin(most)` and `read(ranges, version)`; see `vlstore._remote`.
pub(crate) struct ObjectReader {
    object: Arc<Py<PyAny>>,
    name: String,
}

impl ObjectReader {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = object.getattr("name")?.cast::<PyString>()?.to_str()?.to_owned();
        Ok(Self { object: Arc::new(object.clone().unbind()), name })
    }

    pub(crate) fn object(&self) -> Arc<Py<PyAny>> {
        self.object.clone()
    }

    fn failed(&self, py: Python<'_>, error: &PyErr) -> Error {
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return Error::Interrupted;
        }
        let class = error.get_type(py).name().map_or_else(|_| String::new(), |n| n.to_string());
        if class == "ReplacedError" {
            return Error::Replaced.at(self.name.as_ref());
        }
        let kind = if error.is_instance_of::<PyFileNotFoundError>(py) {
            io::ErrorKind::NotFound
        } else if error.is_instance_of::<PyPermissionError>(py) {
            io::ErrorKind::PermissionDenied
        } else {
            io::ErrorKind::Other
        };
        let why = format!("{}: {class}: {}", self.name, error.value(py));
        Error::io("read", io::Error::new(kind, why))
    }
}

impl RangeSource for ObjectReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&self, most: u64) -> Result<Begun> {
        Python::attach(|py| {
            let ask = || -> PyResult<Begun> {
                let found = self.object.bind(py).call_method1("begin", (most,))?;
                let (len, version, bytes) =
                    found.extract::<(u64, Option<String>, Bound<'_, PyBytes>)>()?;
                Ok(Begun { len, version: version.map(Into::into), bytes: bytes.as_bytes().into() })
            };
            ask().map_err(|e| self.failed(py, &e))
        })
    }

    fn read(&self, ranges: &[Range<u64>], version: Option<&str>) -> Result<Vec<Vec<u8>>> {
        Python::attach(|py| {
            let ask = || -> PyResult<Vec<Vec<u8>>> {
                let pairs: Vec<(u64, u64)> = ranges.iter().map(|r| (r.start, r.end)).collect();
                let found = self.object.bind(py).call_method1("read", (pairs, version))?;
                let mut out = Vec::new();
                for bytes in found.try_iter()? {
                    out.push(bytes?.cast::<PyBytes>()?.as_bytes().to_vec());
                }
                Ok(out)
            };
            ask().map_err(|e| self.failed(py, &e))
        })
    }
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader").field("name", &self.name).finish_non_exhaustive()
    }
}
