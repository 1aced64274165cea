//! Points between NumPy and the crate.

use crate::array::buffer::{Bytes, Record};
use crate::array::numpy::{unset, view};
use crate::array::numpy_c_api::Owner;
use crate::error::invalid;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vlstore::codec::DType;
use vlstore::series::{Points, Series, Stored};

/// Times and values of a caller: arrays of float64, contiguous; the values channel by channel.
pub(crate) struct Given {
    times: Option<Bytes>,
    values: Bytes,
    channels: usize,
}

impl Given {
    pub(crate) fn get(
        times: Option<&Bound<'_, PyAny>>,
        values: &Bound<'_, PyAny>,
        channels: usize,
    ) -> PyResult<Self> {
        let py = values.py();
        let times = times.map(|t| Bytes::get(t, "times")).transpose()?;
        let values = Bytes::get(values, "values")?;
        let given = Self { times, values, channels };
        let aligned = |b: &Bytes| b.is_empty() || bytemuck::try_cast_slice::<u8, f64>(b).is_ok();
        if channels == 0
            || !aligned(&given.values)
            || given.times.as_ref().is_some_and(|t| !aligned(t))
        {
            return Err(invalid(py, "times and values must be contiguous arrays of float64"));
        }
        Ok(given)
    }

    pub(crate) fn points(&self) -> vlstore::Result<Points<'_>> {
        let numbers: &[f64] = bytemuck::try_cast_slice(&self.values).unwrap_or_default();
        let len = numbers.len() / self.channels.max(1);
        let channels = if len == 0 {
            vec![&[][..]; self.channels]
        } else {
            numbers.chunks_exact(len).take(self.channels).collect()
        };
        let times = self.times.as_ref().map(|t| bytemuck::try_cast_slice(t).unwrap_or_default());
        Points::new(times, channels)
    }
}

/// A new array of these numbers, writable.
pub(crate) fn array(py: Python<'_>, numbers: &[f64]) -> PyResult<Py<PyAny>> {
    let (array, mut memory) = unset(py, DType::F64, &[numbers.len()])?;
    memory.as_mut_slice().copy_from_slice(bytemuck::cast_slice(numbers));
    Ok(array)
}

/// Times and the values of each channel as views of the buffer of the series.
pub(crate) fn viewed(py: Python<'_>, series: &Series) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>)> {
    let record = Bound::new(py, Record::stored(series.record().clone()))?;
    let one = |at: usize| -> PyResult<Py<PyAny>> {
        Ok(view(Owner::of(&record), DType::F64, &[series.len()], at)?.unbind())
    };
    let times = series.times_at().map(&one).transpose()?;
    let channels = (0..series.channels()).map(|c| one(series.channel_at(c)));
    let channels = channels.collect::<PyResult<Vec<_>>>()?;
    Ok((times, PyTuple::new(py, channels)?.into_any().unbind()))
}

/// Times and the values of each channel as new arrays.
pub(crate) fn stored(py: Python<'_>, points: &Stored) -> PyResult<(Option<Py<PyAny>>, Py<PyAny>)> {
    let times = points.times.as_ref().map(|t| array(py, t)).transpose()?;
    let channels = points.channels.iter().map(|c| array(py, c));
    let channels = channels.collect::<PyResult<Vec<_>>>()?;
    Ok((times, PyTuple::new(py, channels)?.into_any().unbind()))
}
