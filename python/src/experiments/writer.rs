//! `vlstore._core._TaskWriter`: the crate's writer of one task.

use super::values::{Given, attributes};
use crate::array::buffer::Bytes;
use crate::convert::text::text;
use crate::error::{Failure, Outcome, invalid, raise};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use vlstore::experiments::{Acquired, Object, StackAxis, TaskWriter as Inner};

/// Writes the trials of one task; used by :class:`vlstore.experiments.TaskWriter`.
#[pyclass(frozen, module = "vlstore", name = "_TaskWriter")]
pub(crate) struct TaskWriter {
    inner: Mutex<Option<Inner>>,
}

impl TaskWriter {
    pub(super) fn over(inner: Inner) -> Self {
        Self { inner: Mutex::new(Some(inner)) }
    }

    /// Does `work` with the interpreter detached.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Inner) -> vlstore::Result<T> + Send,
    ) -> Outcome<T> {
        py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            match inner.as_mut() {
                Some(inner) => Ok(work(inner)?),
                None => Err(Failure::Python(Python::attach(|py| {
                    raise(py, "ClosedError", "the task is closed: open it again")
                }))),
            }
        })
    }
}

fn axis(number: u64) -> Outcome<StackAxis> {
    Ok(StackAxis::from_number(number)?)
}

#[pymethods]
impl TaskWriter {
    /// Begins a trial with these attributes; returns its token.
    fn begin(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<u64> {
        let given = attributes(given)?;
        Ok(self.with(py, |w| w.begin(&given))?)
    }

    /// Adds a piece to an array of a trial that was begun.
    fn stack(
        &self,
        py: Python<'_>,
        token: u64,
        name: &Bound<'_, PyAny>,
        along: u64,
        piece: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let name = text(name, "the name of an array")?;
        let given = Given::get(piece, &format!("array {name:?}"))?;
        let axis = axis(along)?;
        Ok(self.with(py, |w| w.stack(token, &name, axis, &given.view()?))?)
    }

    /// Empties an array of a trial that was begun.
    fn clear(&self, py: Python<'_>, token: u64, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = text(name, "the name of an array")?;
        Ok(self.with(py, |w| w.clear(token, &name))?)
    }

    /// `arrays` are names, axes, and arrays or `None` for what was stacked.
    #[pyo3(signature = (token, given, arrays))]
    fn write(
        &self,
        py: Python<'_>,
        token: Option<u64>,
        given: &Bound<'_, PyAny>,
        arrays: Vec<(Bound<'_, PyAny>, u64, Option<Bound<'_, PyAny>>)>,
    ) -> PyResult<u64> {
        let converted = || -> PyResult<_> {
            let given = attributes(given)?;
            let mut owned = Vec::new();
            for (name, along, array) in &arrays {
                let name = text(name, "the name of an array")?;
                let what = format!("array {name:?}");
                let array = array.as_ref().map(|a| Given::get(a, &what)).transpose()?;
                owned.push((name, axis(*along)?, array));
            }
            Ok((given, owned))
        };
        let (given, owned) = match converted() {
            Ok(converted) => converted,
            Err(error) => {
                // What is refused here leaves nothing behind either.
                if let Some(token) = token {
                    self.with(py, |w| w.abandon(token))?;
                }
                return Err(error);
            }
        };
        let written = self.with(py, |w| {
            let arrays = owned.iter().map(|(name, axis, array)| {
                let acquired = match array {
                    Some(array) => Acquired::Whole(array.view()?),
                    None => Acquired::Stacked,
                };
                Ok((name.as_str(), *axis, acquired))
            });
            w.write(token, &given, &arrays.collect::<vlstore::Result<Vec<_>>>()?)
        });
        Ok(written?)
    }

    /// Discards a trial that was begun.
    fn abandon(&self, py: Python<'_>, token: u64) -> PyResult<()> {
        Ok(self.with(py, |w| w.abandon(token))?)
    }

    /// Removes what earlier runs left of trials; returns how many.
    fn discard_unfinished(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.with(py, Inner::discard_unfinished)?)
    }

    /// `form` is `bytes`, `array` or `json`, the last with a text.
    fn put_object(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        form: &str,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let name = text(name, "the name of an object")?;
        let object = match form {
            "bytes" => Object::Bytes(Bytes::get(value, "the object")?.to_vec()),
            "array" => {
                let given = Given::get(value, "the object")?;
                let view = given.view().map_err(Failure::from)?;
                Object::Array(vlstore::experiments::Array::of(&view).map_err(Failure::from)?)
            }
            _ => {
                let json = serde_json::from_str(&text(value, "the object")?);
                Object::Json(json.map_err(|e| invalid(py, &format!("the object: {e}")))?)
            }
        };
        Ok(self.with(py, |w| w.put_object(&name, &object))?)
    }

    /// Commits what waits.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.with(py, Inner::commit)?)
    }

    /// Commits and ends; nothing if it is closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let ended = py.detach(|| {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
            inner.map_or(Ok(()), Inner::close)
        });
        Ok(ended.map_err(Failure::from)?)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Number of trials.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let trials = self.with(py, |w| Ok(w.trials()))?;
        Ok(usize::try_from(trials)?)
    }

    /// Whether the file system keeps a second writer out.
    #[getter]
    fn locked(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.with(py, |w| Ok(w.is_locked()))?)
    }
}
