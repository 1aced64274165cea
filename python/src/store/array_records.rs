//! Records that are one NumPy array each: the codecs `array` and `flat-f32`.

use crate::array::buffer::{Bytes, Record};
use crate::array::numpy::{Input, Want, dtype, unmasked, view};
use crate::array::numpy_c_api::Owner;
use crate::error::{from_error, invalid, wrong_type};
use pyo3::prelude::*;
use vlstore::codec::{ArrayCodec, ArrayView, Codec, DType, FlatF32Codec, RealView};

/// The record of anything that NumPy makes an array of, and its weight.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, u32)> {
    let py = value.py();
    let np = py.import("numpy")?;
    if value.is_none() {
        return Err(wrong_type(py, "a value of an array depot must be an array, not None"));
    }
    unmasked(value, "a value of an array depot")?;
    let array = np.call_method1("asarray", (value,)).map_err(|error| {
        let raised = wrong_type(py, &format!("NumPy cannot make an array of this: {error}"));
        raised.set_cause(py, Some(error));
        raised
    })?;
    let found = array.getattr("dtype")?;
    let name: String = found.getattr("newbyteorder")?.call1(("=",))?.getattr("name")?.extract()?;
    let Some(kind) = DType::from_name(&name) else {
        let known = DType::ALL.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
        let why = format!("an array of {found} cannot be stored; the types are {known}");
        return Err(wrong_type(py, &why));
    };
    let shape: Vec<u64> = array.getattr("shape")?.extract()?;
    let array = np.call_method1("ascontiguousarray", (array, dtype(py, kind)?))?;
    let bytes = Bytes::get(&array, "the array")?;
    let mut out = Vec::new();
    let encoded = py
        .detach(|| ArrayCodec.encode(&ArrayView::new(kind, &shape, &bytes)?, &mut out))
        .map_err(|e| from_error(py, &e))?;
    Ok((out, encoded.weight))
}

/// The array in a record: read-only, without a copy.
pub(crate) fn decode(py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
    let record = Bound::new(py, Record::stored(record))?;
    let all: &[u8] = record.get();
    let array = ArrayCodec.decode(all).map_err(|e| from_error(py, &e))?;
    let shape = array
        .shape()
        .iter()
        .map(|n| usize::try_from(*n))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid(py, "the array is larger than this machine's memory"))?;
    let at = all.len() - array.data().len();
    Ok(view(Owner::of(&record), array.dtype(), &shape, at)?.unbind())
}

/// The record of an array of float32, without its shape, and its weight.
pub(crate) fn encode_flat(value: &Bound<'_, PyAny>) -> PyResult<(Vec<u8>, u32)> {
    let py = value.py();
    let what = "a value of a flat-f32 depot";
    let input = Input::get(value, what, Want::Real)?;
    let RealView::F32(values) = input.reals() else {
        let why = format!(
            "{what} must be an array of float32; narrow it first: array.astype(\"float32\")"
        );
        return Err(wrong_type(py, &why));
    };
    let mut out = Vec::new();
    let encoded =
        py.detach(|| FlatF32Codec.encode(values, &mut out)).map_err(|e| from_error(py, &e))?;
    Ok((out, encoded.weight))
}

/// The float32 values of a record in one row: read-only, without a copy.
pub(crate) fn decode_flat(py: Python<'_>, record: vlstore::Record) -> PyResult<Py<PyAny>> {
    let record = Bound::new(py, Record::stored(record))?;
    let len = FlatF32Codec.decode(record.get()).map_err(|e| from_error(py, &e))?.len();
    Ok(view(Owner::of(&record), DType::F32, &[len], 0)?.unbind())
}
