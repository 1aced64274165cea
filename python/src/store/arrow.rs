//! Arrow: the stream that other programs read, and streams that are taken in. The tables are made by
//! `vlstore.arrow`, in Python; this says which records are read together.

use crate::error::Outcome;
use crate::store::class::Store;
use crate::store::view::View;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Records of one batch, at most.
const MOST: u64 = 1 << 20;

#[pymethods]
impl Store {
    /// The records as a stream of Arrow, for every library that reads it: ``pandas.DataFrame.from_arrow(store)``,
    /// ``pyarrow.table(store)``; Polars and DuckDB take what :func:`vlstore.arrow.reader` returns. Needs
    /// ``pyarrow``.
    ///
    /// See :func:`vlstore.arrow.reader`, which also chooses fields.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reader = slf.py().import("vlstore.arrow")?.call_method1("reader", (slf,))?;
        reader.call_method1("__arrow_c_stream__", (requested_schema,))
    }

    /// Puts the rows of a stream of Arrow behind the records: anything with ``__arrow_c_stream__``, such as a
    /// ``pyarrow`` table, a frame of pandas or Polars, a relation of DuckDB, another store. Returns the number of
    /// records. Needs ``pyarrow``. See :func:`vlstore.arrow.extend`, which has the same arguments.
    #[pyo3(signature = (stream, **options))]
    fn extend_arrow<'py>(
        slf: &Bound<'py, Self>,
        stream: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("vlstore.arrow")?.getattr("extend")?.call((slf, stream), options)
    }

    /// Where the batch ends that begins with the record at `start`: where a chunk ends, behind `bytes` at
    /// least, so that no chunk is decoded for two batches.
    fn _batch_end(&self, py: Python<'_>, start: u64, bytes: u64) -> PyResult<u64> {
        Ok(self.handle().read(py, |v| batch_end(&v, start, bytes))?)
    }
}

fn batch_end(view: &View<'_>, start: u64, bytes: u64) -> Outcome<u64> {
    let chunk_size = u64::from(view.layout().chunk()).max(1);
    let (mut sum, mut last) = (0_u64, None);
    for ordinal in start..view.len().min(start.saturating_add(MOST)) {
        let member = match view {
            View::Set(set) => set.place(ordinal)?.0,
            _ => 0,
        };
        let place = view.location_at(ordinal)?;
        let here = (member, place.start / chunk_size);
        if last.is_some_and(|last| last != here) && sum >= bytes {
            return Ok(ordinal);
        }
        sum = sum.saturating_add(place.len());
        last = Some((member, place.end.saturating_sub(1).max(place.start) / chunk_size));
    }
    Ok(view.len().min(start.saturating_add(MOST)))
}
