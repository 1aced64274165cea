//! Where a store lies, and what is said where it is not closed as it should be.

use crate::error::Failure;
use pyo3::exceptions::{PyResourceWarning, PyRuntimeWarning};
use pyo3::prelude::*;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a store lies.
#[derive(Debug, Clone)]
pub(crate) enum StorePath {
    File(PathBuf),
    /// An object that a Python object reads, with what it is called.
    Object(String, Arc<Py<PyAny>>),
    Memory,
}

impl StorePath {
    /// The path, whatever the current folder.
    pub(crate) fn absolute(&self) -> Option<PathBuf> {
        match self {
            // An address is the same in every folder.
            Self::File(path) if vlstore::remote::is_url(path) => Some(path.clone()),
            Self::File(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Self::Object(..) | Self::Memory => None,
        }
    }

    /// The place for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Object(name, _) => name.clone(),
            Self::Memory => "the store".into(),
        }
    }
}

/// Warns that a store could not be closed.
pub(crate) fn lost(py: Python<'_>, place: &StorePath, error: Failure) -> PyResult<()> {
    let why = PyErr::from(error).value(py).str()?.to_string();
    let text = format!(
        "{}: what was put since the last commit is lost, it could not be committed at the end: {why}",
        place.shown()
    );
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &CString::new(text)?, 1)
}

/// Warns that nobody closed a store.
pub(crate) fn unclosed(py: Python<'_>, place: &StorePath) -> PyResult<()> {
    let text = format!("unclosed store {}: what was put is committed", place.shown());
    let category = py.get_type::<PyResourceWarning>();
    PyErr::warn(py, &category, &CString::new(text)?, 1)
}
