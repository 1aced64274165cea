//! Attributes and arrays of trials between Python and the crate.

use crate::array::buffer::Bytes;
use crate::array::numpy::{dtype, unmasked, unset};
use crate::convert::text::text;
use crate::error::{Failure, described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyFloat, PyInt, PyString};
use vlstore::codec::{ArrayView, DType};
use vlstore::experiments::{Array, Attributes, Scalar, Value};

/// Pairs of names and values.
pub(super) fn attributes(given: &Bound<'_, PyAny>) -> PyResult<Attributes> {
    let mut out = Vec::new();
    for pair in given.try_iter()? {
        let (name, found): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let name = text(&name, "the name of an attribute")?;
        let value = value(&found, &name)?;
        out.push((name, value));
    }
    Ok(out)
}

/// The value of the attribute `name`.
fn value(any: &Bound<'_, PyAny>, name: &str) -> PyResult<Value> {
    let py = any.py();
    let what = || format!("attribute {name:?}");
    // Before the types of Python: a float64 of NumPy is a float, too.
    if any.is_instance(&py.import("numpy")?.getattr("generic")?)? {
        return scalar(any, &what());
    }
    if any.is_none() {
        Ok(Value::Missing)
    } else if any.is_instance_of::<PyBool>() {
        Ok(Value::Bool(any.is_truthy()?))
    } else if any.is_instance_of::<PyInt>() {
        any.extract().map(Value::Int).map_err(|_| {
            let why = format!(
                "{} does not fit 64 bits with a sign; give it as text, or as numpy.uint64",
                what()
            );
            invalid(py, &why)
        })
    } else if any.is_instance_of::<PyFloat>() {
        Ok(Value::Float(any.extract()?))
    } else if any.is_instance_of::<PyString>() {
        Ok(Value::Text(text(any, &what())?))
    } else if any.is_instance_of::<PyComplex>() {
        let single = py.import("numpy")?.getattr("complex128")?.call1((any,))?;
        scalar(&single, &what())
    } else {
        let wanted = format!(
            "{} is None, a bool, an int, a float, a str or a number of NumPy (arrays: `add_array`)",
            what()
        );
        Err(wrong_type(py, &described(&wanted, any)?))
    }
}

/// A single value of NumPy.
fn scalar(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    let py = any.py();
    if any.is_instance_of::<PyString>() {
        return Ok(Value::Text(text(any, what)?));
    }
    let found = any.getattr("dtype")?;
    let name: String = found.getattr("name")?.extract()?;
    let Some(kind) = DType::from_name(&name) else {
        return Err(wrong_type(py, &format!("{what}: a value of {name} cannot be kept")));
    };
    let array = py.import("numpy")?.call_method1("asarray", (any, dtype(py, kind)?))?;
    let bytes = Bytes::get(&array, what)?;
    Ok(Value::Scalar(Scalar::new(kind, &bytes).map_err(Failure::from)?))
}

/// A value as Python has it.
pub(super) fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Missing => py.None().into_bound(py),
        Value::Bool(b) => PyBool::new(py, *b).to_owned().into_any(),
        Value::Int(n) => n.into_pyobject(py)?.into_any(),
        Value::Float(x) => PyFloat::new(py, *x).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Scalar(scalar) => {
            let bytes = PyBytes::new(py, scalar.bytes());
            let kind = dtype(py, scalar.dtype())?;
            py.import("numpy")?.call_method1("frombuffer", (bytes, kind))?.get_item(0)?
        }
    })
}

/// Names and values, in order.
pub(super) fn pairs<'py>(
    py: Python<'py>,
    attributes: &[(String, Value)],
) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    attributes.iter().map(|(name, value)| Ok((name.clone(), object(py, value)?))).collect()
}

/// An array of somebody else, in the form of records.
pub(super) struct Given {
    kind: DType,
    shape: Vec<u64>,
    bytes: Bytes,
}

impl Given {
    pub(super) fn get(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let py = any.py();
        if any.is_none() {
            return Err(wrong_type(py, &format!("{what} must be an array, not None")));
        }
        unmasked(any, what)?;
        let np = py.import("numpy")?;
        let array = np.call_method1("asarray", (any,)).map_err(|error| {
            let raised =
                wrong_type(py, &format!("{what}: NumPy cannot make an array of this: {error}"));
            raised.set_cause(py, Some(error));
            raised
        })?;
        let found = array.getattr("dtype")?;
        let name: String = found.getattr("name")?.extract()?;
        let Some(kind) = DType::from_name(&name) else {
            let known = DType::ALL.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
            let why = format!("{what}: an array of {found} cannot be stored; the types: {known}");
            return Err(wrong_type(py, &why));
        };
        let shape: Vec<u64> = array.getattr("shape")?.extract()?;
        let array = np.call_method1("ascontiguousarray", (array, dtype(py, kind)?))?;
        Ok(Self { kind, shape, bytes: Bytes::get(&array, what)? })
    }

    pub(super) fn view(&self) -> vlstore::Result<ArrayView<'_>> {
        ArrayView::new(self.kind, &self.shape, &self.bytes)
    }
}

/// An array as NumPy has it, with memory of its own.
pub(super) fn ndarray(py: Python<'_>, array: &Array) -> PyResult<Py<PyAny>> {
    let shape = array
        .shape
        .iter()
        .map(|n| usize::try_from(*n))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid(py, "the array is larger than the memory of this machine"))?;
    let (out, mut memory) = unset(py, array.dtype, &shape)?;
    let place = memory.as_mut_slice();
    if place.len() != array.data.len() {
        return Err(invalid(py, "the array does not have the length of its shape"));
    }
    place.copy_from_slice(&array.data);
    Ok(out)
}
