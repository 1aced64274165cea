//! Stores in object stores: uploading, fetching, and Ctrl-C while waiting.

use crate::convert::progress::Progress;
use crate::error::Outcome;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::thread::{ThreadId, current};
use vlstore::remote::{PullOptions, PushOptions, RemoteOptions};
use vlstore::{Error, Result};

static MAIN: std::sync::OnceLock<ThreadId> = std::sync::OnceLock::new();

/// Lets Ctrl-C end waits of the thread that imported this module, which is the one that Python tells of it.
pub(crate) fn watch() {
    let _ = MAIN.set(current().id());
    vlstore::remote::on_wait(|| -> Result<()> {
        if MAIN.get() != Some(&current().id()) {
            return Ok(());
        }
        Python::attach(|py| py.check_signals()).map_err(|_| Error::Interrupted)
    });
}

/// Uploads the store in `file` to `url`.
#[pyfunction]
#[pyo3(signature = (file, url, overwrite, progress))]
pub(crate) fn _push<'py>(
    py: Python<'py>,
    file: PathBuf,
    url: String,
    overwrite: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut progress = Progress::new(progress)?;
    let done = py.detach(|| -> Outcome<_> {
        let options = PushOptions { overwrite, remote: RemoteOptions::from_env()? };
        let done =
            vlstore::dataset::push(&file, &url, &options, |done, total| progress.step(done, total));
        progress.end(done)
    })?;
    let out = PyDict::new(py);
    out.set_item("bytes", done.bytes)?;
    out.set_item("sent", done.sent)?;
    out.set_item("unchanged", done.unchanged)?;
    Ok(out)
}

/// Fetches the store at `url` to `file`.
#[pyfunction]
#[pyo3(signature = (url, file, overwrite, progress))]
pub(crate) fn _pull<'py>(
    py: Python<'py>,
    url: String,
    file: PathBuf,
    overwrite: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut progress = Progress::new(progress)?;
    let done = py.detach(|| -> Outcome<_> {
        let options = PullOptions { overwrite, remote: RemoteOptions::from_env()? };
        let done =
            vlstore::dataset::pull(&url, &file, &options, |done, total| progress.step(done, total));
        progress.end(done)
    })?;
    let out = PyDict::new(py);
    out.set_item("bytes", done.bytes)?;
    out.set_item("fetched", done.fetched)?;
    out.set_item("kept", done.kept)?;
    out.set_item("unchanged", done.unchanged)?;
    Ok(out)
}
