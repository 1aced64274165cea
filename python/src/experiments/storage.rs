//! `vlstore._core._Storage` and `_Experiment`: subjects and tasks.

use super::reader::Task;
use super::writer::TaskWriter;
use crate::convert::text::text;
use crate::error::{Failure, invalid};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::Duration;
use vlstore::experiments::{Storage as Inner, Subjects, TaskOptions, open_experiment};
use vlstore::{Durability, Existing};

/// The folder of an experiment; used by :class:`vlstore.experiments.Storage`.
#[pyclass(frozen, module = "vlstore", name = "_Storage")]
pub(crate) struct Storage {
    inner: Inner,
}

fn name(any: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    text(any, &format!("the name of a {what}"))
}

fn options(py: Python<'_>, interval: f64, durable: Option<&str>) -> PyResult<TaskOptions> {
    let commit_interval = Duration::try_from_secs_f64(interval).map_err(|_| {
        invalid(py, &format!("commit_interval: {interval} is not a time in seconds"))
    })?;
    let known = |name: &str| {
        Durability::from_name(name).ok_or_else(|| {
            let why = format!("durability: {name:?} is not one of kernel, sync, none");
            invalid(py, &why)
        })
    };
    let durability = durable.map(known).transpose()?.unwrap_or_default();
    Ok(TaskOptions { commit_interval, durability })
}

#[pymethods]
impl Storage {
    /// The experiment at `root`, which is made if `make` says so.
    #[new]
    fn new(root: PathBuf, make: bool) -> PyResult<Self> {
        let inner = if make { Inner::create(root) } else { Inner::open(root) };
        Ok(Self { inner: inner.map_err(Failure::from)? })
    }

    /// Names of the subjects.
    fn subjects(&self) -> PyResult<Vec<String>> {
        Ok(self.inner.subjects().map_err(Failure::from)?)
    }

    /// Takes a subject or makes it.
    fn make_subject(&self, subject: &Bound<'_, PyAny>) -> PyResult<()> {
        let subject = name(subject, "subject")?;
        Ok(self.inner.make_subject(&subject).map(drop).map_err(Failure::from)?)
    }

    /// Names of the tasks of a subject.
    fn tasks(&self, subject: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        Ok(self.inner.tasks(&name(subject, "subject")?).map_err(Failure::from)?)
    }

    /// Makes a task.
    #[pyo3(signature = (subject, task, overwrite, interval, durability))]
    fn create_task(
        &self,
        py: Python<'_>,
        subject: &Bound<'_, PyAny>,
        task: &Bound<'_, PyAny>,
        overwrite: bool,
        interval: f64,
        durability: Option<&str>,
    ) -> PyResult<TaskWriter> {
        let (subject, task) = (name(subject, "subject")?, name(task, "task")?);
        let options = options(py, interval, durability)?;
        let existing = Existing::of(overwrite);
        let made = py.detach(|| self.inner.create_task(&subject, &task, existing, options));
        Ok(TaskWriter::over(made.map_err(Failure::from)?))
    }

    /// Opens a task to append trials, or makes it.
    #[pyo3(signature = (subject, task, interval, durability))]
    fn append_task(
        &self,
        py: Python<'_>,
        subject: &Bound<'_, PyAny>,
        task: &Bound<'_, PyAny>,
        interval: f64,
        durability: Option<&str>,
    ) -> PyResult<TaskWriter> {
        let (subject, task) = (name(subject, "subject")?, name(task, "task")?);
        let options = options(py, interval, durability)?;
        let opened = py.detach(|| self.inner.append_task(&subject, &task, options));
        Ok(TaskWriter::over(opened.map_err(Failure::from)?))
    }

    /// Opens a task for reading.
    fn require_task(
        &self,
        py: Python<'_>,
        subject: &Bound<'_, PyAny>,
        task: &Bound<'_, PyAny>,
    ) -> PyResult<Task> {
        let (subject, task) = (name(subject, "subject")?, name(task, "task")?);
        let opened = py.detach(|| self.inner.require_task(&subject, &task));
        Ok(Task::stored(opened.map_err(Failure::from)?))
    }

    /// Brings the tasks of another experiment here; returns how many.
    fn merge(&self, py: Python<'_>, other: PathBuf) -> PyResult<u64> {
        let merged = py.detach(|| self.inner.merge(&Inner::open(other)?));
        Ok(merged.map_err(Failure::from)?)
    }
}

/// An experiment in whatever form; used by :class:`vlstore.experiments.Experiment`.
#[pyclass(frozen, module = "vlstore", name = "_Experiment")]
pub(crate) struct Experiment {
    inner: Box<dyn Subjects>,
}

#[pymethods]
impl Experiment {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let inner = py.detach(|| open_experiment(path)).map_err(Failure::from)?;
        Ok(Self { inner })
    }

    /// Names of the subjects.
    fn subjects(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.inner.subjects()).map_err(Failure::from)?)
    }

    /// Names of the tasks of a subject.
    fn tasks(&self, py: Python<'_>, subject: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let subject = name(subject, "subject")?;
        Ok(py.detach(|| self.inner.tasks(&subject)).map_err(Failure::from)?)
    }

    /// What is in no task.
    fn left_out(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.inner.left_out()).map_err(Failure::from)?)
    }

    /// One task.
    fn task(
        &self,
        py: Python<'_>,
        subject: &Bound<'_, PyAny>,
        task: &Bound<'_, PyAny>,
    ) -> PyResult<Task> {
        let (subject, task) = (name(subject, "subject")?, name(task, "task")?);
        let opened = py.detach(|| self.inner.task(&subject, &task));
        Ok(Task::other(opened.map_err(Failure::from)?))
    }
}
