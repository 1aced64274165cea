//! `vlstore._core._Run`: the batches of an epoch.

use crate::array::numpy::unset;
use crate::error::from_error;
use crate::loader::batch::{Form, Prepared};
use crate::store::typed::Typed;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vlstore::codec::DType;
use vlstore::loader::Loaded;

/// A batch as the Python half takes it: content, ordinals, whether another rank has it too, and
/// where the next one begins.
type Given = (Py<PyAny>, Py<PyAny>, bool, (u64, u64, u64));

/// How long a signal may wait for its turn.
const PATIENCE: Duration = Duration::from_millis(50);

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

    /// The next batch. A signal whose handler raises, as that of Ctrl-C does, ends the run at once: its
    /// thread ends by itself behind the window that it reads.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Loaded<Prepared>>> {
        if let Ok(mut inner) = self.inner.try_lock()
            && let Some(run) = inner.run.as_mut().filter(|run| run.at_hand())
        {
            return run.next().transpose().map_err(|e| from_error(py, &e));
        }
        loop {
            let come = py.detach(|| {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(run) = &mut inner.run else { return Some(None) };
                run.wait(PATIENCE).then(|| run.next())
            });
            if let Some(come) = come {
                return come.transpose().map_err(|e| from_error(py, &e));
            }
            if let Err(raised) = py.check_signals() {
                if let Ok(mut inner) = self.inner.try_lock()
                    && let Some(run) = inner.run.take()
                {
                    inner.skipped = run.skipped();
                    run.leave();
                }
                return Err(raised);
            }
        }
    }
}

#[pymethods]
impl Run {
    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Given>> {
        let Some(loaded) = self.next(py)? else { return Ok(None) };
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

    /// Ends the run and frees what it has read ahead. A signal whose handler raises is not kept waiting.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // Not waited for: whoever holds the lock may be a thread that a fork has left behind.
        let Ok(mut inner) = self.inner.try_lock() else { return Ok(()) };
        if let Some(mut run) = inner.run.take() {
            inner.skipped = run.skipped();
            // Its thread ends behind the window that it is at.
            while !py.detach(|| run.end(PATIENCE)) {
                if let Err(raised) = py.check_signals() {
                    run.leave();
                    return Err(raised);
                }
            }
        }
        Ok(())
    }
}
