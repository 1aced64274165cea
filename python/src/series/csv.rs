//! Series as comma-separated values.

use crate::error::Outcome;
use crate::series::floats::stored;
use crate::series::lazy::Lazy;
use pyo3::prelude::*;
use std::path::PathBuf;
use vlstore::Existing;
use vlstore::series::lazy::BLOCK;
use vlstore::series::{CsvOptions, Series, read_csv, write_csv};

/// Times, values of each channel, and names of the channels.
#[pyfunction]
#[pyo3(signature = (path, delimiter, time, values))]
#[expect(clippy::type_complexity, reason = "what a file holds")]
pub(crate) fn _read_csv(
    py: Python<'_>,
    path: PathBuf,
    delimiter: Option<char>,
    time: Option<String>,
    values: Vec<String>,
) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>, Vec<String>)> {
    let options = CsvOptions { delimiter, time, values };
    let table: Outcome<_> = py.detach(|| Ok(read_csv(&path, &options)?));
    let table = table?;
    let (times, values) = stored(py, &table.points)?;
    Ok((times, values, table.names))
}

/// Writes a series block by block; the number of points.
#[pyfunction]
pub(crate) fn _write_csv(
    py: Python<'_>,
    path: PathBuf,
    lazy: &Bound<'_, Lazy>,
    names: Vec<String>,
    replace: bool,
) -> PyResult<u64> {
    let expr = lazy.get().expr().clone();
    let done: Outcome<u64> = py.detach(|| {
        let mut at = 0;
        Ok(write_csv(&path, Existing::of(replace), &names, || {
            let block = expr.read(at..at + BLOCK)?;
            let first = at;
            at += block.len() as u64;
            if block.is_empty() {
                return Ok(None);
            }
            Series::of_points(&block.points()?, first).map(Some)
        })?)
    });
    Ok(done?)
}
