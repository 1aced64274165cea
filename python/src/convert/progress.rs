//! Long work with the interpreter detached: told to a callable, ended by Ctrl-C.

use crate::error::{Failure, Outcome, described, wrong_type};
use pyo3::prelude::*;
use std::time::{Duration, Instant};
use vlstore::Error;

/// Between two looks at the interpreter.
const EACH: Duration = Duration::from_millis(50);

/// Who is told how far the work has come.
pub(crate) struct Progress {
    callable: Option<Py<PyAny>>,
    looked: Option<Instant>,
    raised: Option<PyErr>,
}

impl Progress {
    /// For a callable that takes what is done and what there is to do, or nobody.
    pub(crate) fn new(callable: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(callable) = callable.filter(|c| !c.is_callable()) {
            let why = described("progress must be a callable", callable)?;
            return Err(wrong_type(callable.py(), &why));
        }
        let callable = callable.map(|c| c.clone().unbind());
        Ok(Self { callable, looked: None, raised: None })
    }

    /// As far as this. Ends the work if a signal came or the callable raised, which it is asked
    /// for some times a second, and at the start and the end.
    pub(crate) fn step(&mut self, done: u64, total: u64) -> vlstore::Result<()> {
        let soon = self.looked.is_some_and(|at| at.elapsed() < EACH);
        if soon && done != total {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let told = Python::attach(|py| {
            py.check_signals()?;
            match &self.callable {
                Some(callable) => callable.call1(py, (done, total)).map(drop),
                None => Ok(()),
            }
        });
        told.map_err(|error| {
            self.raised = Some(error);
            Error::Interrupted
        })
    }

    /// What the work returned, or what was raised in it.
    pub(crate) fn end<T>(self, found: vlstore::Result<T>) -> Outcome<T> {
        match self.raised {
            Some(raised) => Err(Failure::Python(raised)),
            None => Ok(found?),
        }
    }
}
