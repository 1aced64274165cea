//! What is wanted of many frames: which fields, and what stands where a frame lacks one.

use crate::convert::iterable::fields as names;
use crate::convert::number::{integer, real};
use crate::convert::text::text;
use crate::error::{described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use vlstore::trajectory::arrays::{ArrayRequest, Fill, FillValue};

/// What is asked of the arrays of a batch.
pub(crate) fn array_request(
    fields: Option<&Bound<'_, PyAny>>,
    missing: Option<&Bound<'_, PyAny>>,
    fill_value: Option<&Bound<'_, PyAny>>,
    mask: bool,
) -> PyResult<ArrayRequest> {
    let fields = names(fields)?;
    let given = fill_value.map(fill).transpose()?;
    let fill = match missing {
        None => given.or_else(|| mask.then(Fill::default)),
        Some(any) => match any.cast::<PyString>().ok().and_then(|t| t.extract().ok()) {
            Some("fill") => Some(given.unwrap_or_default()),
            Some("error") if given.is_none() => None,
            Some("error") => {
                let why = "fill_value: has no effect with missing=\"error\"";
                return Err(invalid(any.py(), why));
            }
            _ => {
                let wanted = "missing must be \"error\" or \"fill\"";
                return Err(wrong_type(any.py(), &described(wanted, any)?));
            }
        },
    };
    if let (Some(fields), Some(fill), Some(any)) = (&fields, &fill, fill_value)
        && let Some((name, _)) = fill.each.iter().find(|(name, _)| !fields.contains(name))
    {
        let why = format!("fill_value: {name:?} is not one of the fields: {}", fields.join(", "));
        return Err(invalid(any.py(), &why));
    }
    Ok(ArrayRequest { fields, fill, mask, ..ArrayRequest::default() })
}

fn fill(any: &Bound<'_, PyAny>) -> PyResult<Fill> {
    let Ok(dict) = any.cast::<PyDict>() else {
        return Ok(Fill { all: Some(number(any, "fill_value")?), each: Vec::new() });
    };
    let each = dict.iter().map(|(name, value)| {
        let name = text(&name, "the name of a field in fill_value")?;
        let number = number(&value, &format!("fill_value of {name:?}"))?;
        Ok((name, number))
    });
    Ok(Fill { all: None, each: each.collect::<PyResult<_>>()? })
}

fn number(any: &Bound<'_, PyAny>, what: &str) -> PyResult<FillValue> {
    if let Ok(truth) = any.cast::<PyBool>() {
        return Ok(FillValue::Int(truth.is_true().into()));
    }
    if any.hasattr("__index__")? {
        return integer(any, what).map(FillValue::Int);
    }
    real(any, what).map(FillValue::Real)
}
