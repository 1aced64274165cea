//! `vlstore._core._Run`: the batches of an epoch.

use crate::array::numpy::unset;
use crate::error::from_error;
use crate::loader::batch::{Form, Prepared};
use crate::store::typed::Typed;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use vlstore::codec::DType;

/// A batch as the Python half takes it: content, ordinals, whether another rank has it too, and
/// where the next one begins.
type Given = (Py<PyAny>, Py<PyAny>, bool, (u64, u64, u64));

/// The batches of an epoch; used by :class:`vlstore.loader.Loader`.
#[pyclass(frozen, module = "vlstore", name = "_Run")]
pub(crate) struct Run {
    typed: Typed,
    form: Form,
    inner: Mutex<Inner>,
}

/// A run until it was closed, and then what it had skipped.
struct Inner {
    run: Option<vlstore::loader::Run<Prepared>>,
    skipped: u64,
}

impl Run {
    pub(super) fn new(typed: Typed, form: Form, run: vlstore::loader::Run<Prepared>) -> Self {
        Self { typed, form, inner: Mutex::new(Inner { run: Some(run), skipped: 0 }) }
    }
}

#[pymethods]
impl Run {
    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Given>> {
        let loaded = py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.run.as_mut().and_then(Iterator::next).transpose()
        });
        let Some(loaded) = loaded.map_err(|e| from_error(py, &e))? else { return Ok(None) };
        let step = loaded.step();
        let content = self.form.content(py, &self.typed, loaded.made(), loaded.places(), step)?;
        let (ordinals, mut memory) = unset(py, DType::I64, &[step.records.len()])?;
        let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
        for (place, ordinal) in places.iter_mut().zip(&step.records) {
            *place = ordinal.to_ne_bytes();
        }
        let at = step.after;
        Ok(Some((content, ordinals, step.repeated, (at.epoch, at.round, at.batch))))
    }

    /// Damaged records that were left out so far.
    #[getter]
    fn skipped(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.run.as_ref().map_or(inner.skipped, vlstore::loader::Run::skipped)
    }

    /// Ends the run and frees what it has read ahead.
    fn close(&self, py: Python<'_>) {
        // Not waited for: whoever holds the lock may be a thread that a fork has left behind.
        let Ok(mut inner) = self.inner.try_lock() else { return };
        if let Some(run) = inner.run.take() {
            inner.skipped = run.skipped();
            // Its thread ends behind the piece that it is at.
            py.detach(|| drop(run));
        }
    }
}
