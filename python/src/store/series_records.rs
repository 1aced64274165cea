//! Records of the codec `series`: parts of time series, and the account of how one has grown.

use crate::error::{Failure, from_error};
use crate::series::floats::{Given, viewed};
use pyo3::prelude::*;
use vlstore::codec::{AnyCodec as _, Codec as _, SeriesCodec, SeriesPart, SeriesRef};
use vlstore::series::Series;

/// The record of the start of a series: of whatever a storage manager takes as one.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, u32)> {
    let py = value.py();
    let points = py.import("vlstore.series._points")?;
    let pair = points
        .call_method1("points_of", (value,))?
        .extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
    let (times, values, channels): (Option<Bound<'_, PyAny>>, Bound<'_, PyAny>, usize) =
        points.call_method1("flat", pair)?.extract()?;
    let given = Given::get(times.as_ref(), &values, channels)?;
    let mut out = Vec::new();
    let encoded = given
        .points()
        .and_then(|p| SeriesCodec.encode(&SeriesRef::start(0, p.times(), p.channels())?, &mut out))
        .map_err(|e| from_error(py, &e))?;
    Ok((out, encoded.weight))
}

/// A part as a `TimeSeries`, whose arrays are views; an account as a dict.
pub(crate) fn decode(py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
    let head = SeriesCodec.peek(&record).map_err(Failure::from)?;
    if head.part == SeriesPart::Growth {
        let text = SeriesCodec.describe(&record).map_err(Failure::from)?;
        return Ok(py.import("json")?.call_method1("loads", (text,))?.unbind());
    }
    let series = Series::of_record(record).map_err(Failure::from)?;
    let (times, channels) = viewed(py, &series)?;
    let values = py.import("vlstore.series._points")?.call_method1("joined", (channels,))?;
    let class = py.import("vlstore.series._timeseries")?.getattr("TimeSeries")?;
    Ok(class.call_method1("_over", (times, values))?.unbind())
}
