//! `vlstore._core._Task`: one task, wherever it lies.

use super::values::{ndarray, object, pairs};
use crate::array::buffer::copied_bytes;
use crate::convert::text::text;
use crate::error::Failure;
use pyo3::prelude::*;
use pyo3::types::PyString;
use vlstore::experiments::{Array, Object, StoredTask, Task as Trials};

/// What holds a task.
enum Inner {
    Stored(Box<StoredTask>),
    Other(Box<dyn Trials>),
}

/// The trials of one task; used by :class:`vlstore.experiments.TaskReader`.
#[pyclass(frozen, module = "vlstore", name = "_Task")]
pub(crate) struct Task {
    inner: Inner,
}

/// Name, type and shape of an array.
type ArrayInfo = (String, &'static str, Vec<u64>);
/// Attributes of an unfinished trial, and names and stack axes of its arrays.
type Left<'py> = (Vec<(String, Bound<'py, PyAny>)>, Vec<(String, u8)>);

impl Task {
    pub(super) fn stored(task: StoredTask) -> Self {
        Self { inner: Inner::Stored(Box::new(task)) }
    }

    pub(super) fn other(task: Box<dyn Trials>) -> Self {
        Self { inner: Inner::Other(task) }
    }

    fn task(&self) -> &dyn Trials {
        match &self.inner {
            Inner::Stored(task) => &**task,
            Inner::Other(task) => &**task,
        }
    }

    fn read(
        py: Python<'_>,
        work: impl FnOnce() -> vlstore::Result<Array> + Send,
    ) -> PyResult<Py<PyAny>> {
        let array = py.detach(work).map_err(Failure::from)?;
        ndarray(py, &array)
    }
}

#[pymethods]
impl Task {
    /// Number of trials.
    fn __len__(&self) -> usize {
        self.task().trials().len()
    }

    /// Names and values of the columns.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Vec<Bound<'py, PyAny>>)>> {
        let table = self.task().table();
        let column = |(name, values): &(String, Vec<_>)| {
            let values = values.iter().map(|v| object(py, v)).collect::<PyResult<_>>()?;
            Ok((name.clone(), values))
        };
        table.columns.iter().map(column).collect()
    }

    /// Names and values of the attributes of a trial, as they were given.
    fn attributes<'py>(
        &self,
        py: Python<'py>,
        trial: usize,
    ) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        let found = self.task().trials().get(trial).map(|t| t.attributes.as_slice());
        pairs(py, found.unwrap_or_default())
    }

    /// The table as comma-separated text.
    fn csv(&self) -> String {
        self.task().table().csv()
    }

    /// Name, type and shape of each array of a trial.
    fn arrays(&self, trial: usize) -> Vec<ArrayInfo> {
        let found = self.task().trials().get(trial).map(|t| t.arrays.as_slice());
        let entries = found.unwrap_or_default().iter();
        entries.map(|a| (a.name.clone(), a.dtype.name(), a.shape.clone())).collect()
    }

    /// An array of a trial.
    fn array(&self, py: Python<'_>, trial: usize, name: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let name = text(name, "the name of an array")?;
        Self::read(py, || self.task().array(trial, &name))
    }

    /// What of the task cannot be read here.
    fn left_out(&self) -> Vec<String> {
        self.task().left_out().to_vec()
    }

    /// Names of the single objects.
    fn objects(&self) -> Vec<String> {
        self.task().objects().to_vec()
    }

    /// The form of an object, and the object: bytes, an array, or JSON as text.
    fn object<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
        let name = text(name, "the name of an object")?;
        let found = py.detach(|| self.task().object(&name)).map_err(Failure::from)?;
        Ok(match &found {
            Object::Bytes(bytes) => ("bytes", copied_bytes(py, bytes)?.into_any()),
            Object::Array(array) => ("array", ndarray(py, array)?.into_bound(py)),
            Object::Json(json) => ("json", PyString::new(py, &json.to_string()).into_any()),
        })
    }

    /// Attributes, and names and stack axes of arrays, of the trials that were begun and never written.
    fn unfinished<'py>(&self, py: Python<'py>) -> PyResult<Vec<Left<'py>>> {
        let one = |trial: &vlstore::experiments::Unfinished| {
            let axis = |name| trial.axis(name).unwrap_or_default().number();
            let arrays = trial.arrays().map(|name| (name.to_owned(), axis(name))).collect();
            Ok((pairs(py, &trial.attributes)?, arrays))
        };
        self.task().unfinished().iter().map(one).collect()
    }

    /// What is committed of an array of an unfinished trial.
    fn unfinished_array(
        &self,
        py: Python<'_>,
        place: usize,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let name = text(name, "the name of an array")?;
        let none = || vlstore::Error::invalid("trial", "no unfinished trial has this number");
        Self::read(py, || {
            let task = self.task();
            let trial = task.unfinished().get(place).ok_or_else(none)?;
            task.unfinished_array(trial, &name)
        })
    }
}
