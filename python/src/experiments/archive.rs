//! Whole experiments: archives, consolidated files, imports; and single arrays in HDF5.

use super::values::{Given, ndarray};
use crate::convert::progress::Progress;
use crate::convert::text::text;
use crate::error::Failure;
use pyo3::prelude::*;
use std::path::PathBuf;
use vlstore::Existing;
use vlstore::experiments::{
    Added, ArchiveOptions, Array, ConsolidateOptions, Storage, add_hdf5, import_experiment,
    open_experiment, read_hdf5, storage_from_zip, storage_to_hdf5, storage_to_zip,
    unfinished_trials,
};

/// Works with the interpreter detached; what `progress` raises ends it.
fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&mut Progress) -> vlstore::Result<T> + Send,
) -> PyResult<T> {
    let mut progress = Progress::new(progress)?;
    let done = py.detach(|| work(&mut progress));
    Ok(progress.end(done)?)
}

#[pyfunction]
#[pyo3(signature = (path, outfile, overwrite, views, progress))]
pub(crate) fn _to_zip(
    py: Python<'_>,
    path: PathBuf,
    outfile: Option<PathBuf>,
    overwrite: bool,
    views: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<PathBuf> {
    let options = ArchiveOptions { existing: Existing::of(overwrite), views };
    run(py, progress, |p| {
        storage_to_zip(&path, outfile.as_deref(), options, |done, total| p.step(done, total))
    })
}

#[pyfunction]
#[pyo3(signature = (path, folder, progress))]
pub(crate) fn _from_zip(
    py: Python<'_>,
    path: PathBuf,
    folder: Option<PathBuf>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<PathBuf> {
    run(py, progress, |p| storage_from_zip(&path, folder.as_deref(), |d, t| p.step(d, t)))
}

/// The file, how many unfinished trials are not in it, and what else.
#[pyfunction]
#[pyo3(signature = (path, outfile, overwrite, level, progress))]
pub(crate) fn _to_hdf5(
    py: Python<'_>,
    path: PathBuf,
    outfile: Option<PathBuf>,
    overwrite: bool,
    level: u32,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(PathBuf, u64, Vec<String>)> {
    let options = ConsolidateOptions { existing: Existing::of(overwrite), level };
    run(py, progress, |p| {
        let from = open_experiment(&path)?;
        let (unfinished, left_out) = (unfinished_trials(&*from)?, from.left_out()?);
        let step = |d, t| p.step(d, t);
        let made = storage_to_hdf5(&*from, &path, outfile.as_deref(), options, step)?;
        Ok((made, unfinished, left_out))
    })
}

/// Tasks, trials, what was left out, and how many unfinished trials.
#[pyfunction]
#[pyo3(signature = (path, root, progress))]
pub(crate) fn _import_experiment(
    py: Python<'_>,
    path: PathBuf,
    root: PathBuf,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(u64, u64, Vec<String>, u64)> {
    let done = run(py, progress, |p| {
        // Looked at first: a root is not made for what is no experiment.
        drop(open_experiment(&path)?);
        import_experiment(&path, &Storage::create(root)?, |d, t| p.step(d, t))
    })?;
    Ok((done.tasks, done.trials, done.left_out, done.unfinished))
}

/// Why nothing can be added to the file here, which is unchanged then; nothing if the array is in it.
#[pyfunction]
pub(crate) fn _write_hdf5(
    py: Python<'_>,
    path: PathBuf,
    data: &Bound<'_, PyAny>,
    dataset: &Bound<'_, PyAny>,
) -> PyResult<Option<String>> {
    let name = text(dataset, "the name of a data set")?;
    let given = Given::get(data, "the data")?;
    let added = py.detach(|| add_hdf5(&path, Array::of(&given.view()?)?, &name));
    Ok(match added.map_err(Failure::from)? {
        Added::Done => None,
        Added::Refused(reason) => Some(reason.into()),
    })
}

#[pyfunction]
pub(crate) fn _read_hdf5(
    py: Python<'_>,
    path: PathBuf,
    dataset: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let name = text(dataset, "the name of a data set")?;
    let array = py.detach(|| read_hdf5(&path, &name)).map_err(Failure::from)?;
    ndarray(py, &array)
}
