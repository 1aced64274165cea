//! Numbers between Python and the crate.

use crate::error::{described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

/// A number that is no boolean, or a refusal that names it.
pub(crate) fn real(any: &Bound<'_, PyAny>, what: &str) -> PyResult<f64> {
    let py = any.py();
    let refused = any.is_instance_of::<PyBool>() || any.is_instance_of::<PyString>();
    match any.extract::<f64>() {
        Ok(value) if !refused => Ok(value),
        _ => Err(wrong_type(py, &described(&format!("{what} must be a number"), any)?)),
    }
}

/// An integer of 64 bits, or a refusal that names it.
pub(crate) fn integer(any: &Bound<'_, PyAny>, what: &str) -> PyResult<i64> {
    let py = any.py();
    if !any.is_instance_of::<PyBool>()
        && let Ok(index) = any.call_method0("__index__")
    {
        return index
            .extract()
            .map_err(|_| invalid(py, &format!("{what}: {index} does not fit 64 bits")));
    }
    Err(wrong_type(py, &described(&format!("{what} must be an integer"), any)?))
}
