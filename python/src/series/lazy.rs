//! `vlstore._core._Lazy`: a chain of operations on series.

use crate::error::{Failure, Outcome, from_error, invalid};
use crate::series::floats::{array, stored};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use vlstore::series::Series;
use vlstore::series::lazy::{
    Binary, Expr, Resample, Unary, What, Windows, aggregate, percentiles, summary,
};

/// A chain of operations; used by :class:`vlstore.series.Lazy`.
#[pyclass(frozen, module = "vlstore", name = "_Lazy")]
pub(crate) struct Lazy {
    expr: Expr,
}

impl Lazy {
    pub(crate) const fn new(expr: Expr) -> Self {
        Self { expr }
    }

    pub(crate) const fn expr(&self) -> &Expr {
        &self.expr
    }

    fn made(py: Python<'_>, expr: vlstore::Result<Expr>) -> PyResult<Self> {
        expr.map(Self::new).map_err(|e| from_error(py, &e))
    }
}

fn known<T>(py: Python<'_>, name: &str, op: Option<T>) -> PyResult<T> {
    op.ok_or_else(|| invalid(py, &format!("unknown operation {name:?}")))
}

fn detached<T: Send>(py: Python<'_>, f: impl FnOnce() -> vlstore::Result<T> + Send) -> PyResult<T> {
    let done: Outcome<T> = py.detach(|| f().map_err(Failure::from));
    Ok(done?)
}

#[pymethods]
impl Lazy {
    /// An operation on each value.
    fn each(&self, py: Python<'_>, op: &str) -> PyResult<Self> {
        Self::made(py, self.expr.each(known(py, op, Unary::from_name(op))?))
    }

    /// An operation with a number.
    fn number(&self, py: Python<'_>, op: &str, number: f64, first: bool) -> PyResult<Self> {
        let op = known(py, op, Binary::from_name(op))?;
        let made = if first {
            self.expr.after_number(number, op)
        } else {
            self.expr.with_number(op, number)
        };
        Self::made(py, made)
    }

    /// An operation with another chain.
    fn pair(&self, py: Python<'_>, op: &str, other: &Bound<'_, Self>) -> PyResult<Self> {
        let op = known(py, op, Binary::from_name(op))?;
        Self::made(py, self.expr.with(op, &other.get().expr))
    }

    /// The points from ``start`` to before ``stop``.
    fn slice(&self, py: Python<'_>, start: u64, stop: u64) -> PyResult<Self> {
        Self::made(py, self.expr.slice(start..stop))
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.expr.len())?)
    }

    /// Number of channels.
    #[getter]
    const fn channels(&self) -> usize {
        self.expr.channels()
    }

    /// Times or ``None``, and the values of each channel, from ``start`` to before ``stop``.
    fn read(
        &self,
        py: Python<'_>,
        start: u64,
        stop: u64,
    ) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>)> {
        let points = detached(py, || self.expr.read(start..stop))?;
        stored(py, &points)
    }

    /// Count, min, max, mean, sum and the standard deviation of each channel.
    #[expect(clippy::type_complexity, reason = "a row for each channel")]
    fn summary(&self, py: Python<'_>, ddof: u64) -> PyResult<Vec<(u64, f64, f64, f64, f64, f64)>> {
        let found = detached(py, || summary(&self.expr))?;
        let row = |s: &vlstore::series::lazy::Summary| {
            (s.count, s.min, s.max, s.mean, s.sum, s.std(ddof))
        };
        Ok(found.iter().map(row).collect())
    }

    /// Percentiles of each channel.
    fn percentiles(&self, py: Python<'_>, wanted: Vec<f64>) -> PyResult<Vec<Vec<f64>>> {
        detached(py, || {
            let all = 0..self.expr.len();
            let one = |channel| percentiles(&self.expr, channel, all.clone(), &wanted);
            (0..self.expr.channels()).map(one).collect()
        })
    }

    /// Times, and for each number that was asked for an array for each channel.
    #[pyo3(signature = (points, width, origin, wanted))]
    #[expect(clippy::type_complexity, reason = "times, and arrays by name and channel")]
    fn aggregate(
        &self,
        py: Python<'_>,
        points: Option<u64>,
        width: Option<f64>,
        origin: Option<f64>,
        wanted: Vec<String>,
    ) -> PyResult<(Py<PyAny>, Vec<Vec<Py<PyAny>>>)> {
        let windows = match (points, width) {
            (Some(n), None) => Windows::Points(n),
            (None, Some(width)) => Windows::Time { width, origin },
            _ => return Err(invalid(py, "give either points or width")),
        };
        let wanted =
            wanted.iter().map(|name| What::from_name(name)).collect::<vlstore::Result<Vec<_>>>();
        let wanted = wanted.map_err(|e| from_error(py, &e))?;
        let found = detached(py, || aggregate(&self.expr, windows, &wanted))?;
        let column = |channels: &Vec<Vec<f64>>| {
            channels.iter().map(|c| array(py, c)).collect::<PyResult<Vec<_>>>()
        };
        let columns = found.columns.iter().map(column).collect::<PyResult<_>>()?;
        Ok((array(py, &found.times)?, columns))
    }

    /// The series on a regular grid.
    #[pyo3(signature = (step, start, count))]
    fn resample(
        &self,
        py: Python<'_>,
        step: f64,
        start: Option<f64>,
        count: Option<u64>,
    ) -> PyResult<Grid> {
        let made = detached(py, || Resample::new(&self.expr, step, start, count))?;
        Ok(Grid { inner: Mutex::new(made) })
    }
}

/// A series in memory, to be computed with.
#[pyfunction]
pub(crate) fn _lazy_of(
    py: Python<'_>,
    times: Option<&Bound<'_, PyAny>>,
    values: &Bound<'_, PyAny>,
    channels: usize,
) -> PyResult<Lazy> {
    let given = crate::series::floats::Given::get(times, values, channels)?;
    let series = given.points().and_then(|points| Series::of_points(&points, 0));
    series.map(|s| Lazy::new(Expr::held(s))).map_err(|e| from_error(py, &e))
}

/// A series on a regular grid, block by block; used by :class:`vlstore.series.Lazy`.
#[pyclass(frozen, module = "vlstore", name = "_Grid")]
pub(crate) struct Grid {
    inner: Mutex<Resample>,
}

#[pymethods]
impl Grid {
    fn __len__(&self) -> PyResult<usize> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(usize::try_from(inner.len())?)
    }

    /// The next points; ``None`` behind the last.
    #[expect(clippy::type_complexity, reason = "times and channels, as for every part of a series")]
    fn next_block(&self, py: Python<'_>) -> PyResult<Option<(Option<Py<PyAny>>, Py<PyAny>)>> {
        let block = detached(py, || {
            self.inner.lock().unwrap_or_else(PoisonError::into_inner).next_block()
        })?;
        block.map(|points| stored(py, &points)).transpose()
    }
}
