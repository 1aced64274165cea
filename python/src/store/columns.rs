//! Numbers of all records without the records.

use crate::array::numpy::fresh;
use crate::error::invalid;
use crate::store::codec::RecordCodec;
use crate::store::typed::Typed;
use pyo3::prelude::*;
use vlstore::codec::{AnyCodec, ArrayCodec, DType, FlatF32Codec, MdFrameCodec, RawCodec};
use vlstore::depot::Columns;
use vlstore::{Column, ColumnData, ColumnValues};

impl Typed {
    fn any(&self) -> &'static dyn AnyCodec {
        match self.codec.as_deref() {
            Some(RecordCodec::MdFrame) => &MdFrameCodec,
            Some(RecordCodec::Array) => &ArrayCodec,
            Some(RecordCodec::FlatF32) => &FlatF32Codec,
            _ => &RawCodec,
        }
    }

    /// A column as an array.
    pub(crate) fn column(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let codec = self.any();
        let found = self.handle.read(py, |v| Ok(v.column_by(codec, name, 0..v.len())?))?;
        array(py, found, codec.name() == MdFrameCodec.name())
    }

    /// Names of all columns: those of the store, those of the codec, and those of every store.
    pub(crate) fn column_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let made = self.any().rows().map_or(&[][..], |maker| maker.columns);
        let kept = self.handle.read(py, |v| Ok(v.columns().to_vec()))?;
        let mut names: Vec<String> = Vec::new();
        for column in kept.iter().chain(made).chain(&[Column::WEIGHT, Column::BYTES]) {
            if !names.contains(&column.name.to_string()) {
                names.push(column.name.to_string());
            }
        }
        Ok(names)
    }
}

/// `(records,)`, or `(records, count)`; vectors of a cell `(records, 3, 3)`.
fn array(py: Python<'_>, data: ColumnData, of_frames: bool) -> PyResult<Py<PyAny>> {
    let count = data.column.count as usize;
    let records = data.values.len() / count.max(1);
    let shape = match (count, of_frames && data.column.name == "cell") {
        (1, _) => vec![records],
        (9, true) => vec![records, 3, 3],
        _ => vec![records, count],
    };
    let kind = match &data.values {
        ColumnValues::I64(_) => DType::I64,
        ColumnValues::F64(_) => DType::F64,
    };
    let (array, mut memory) = fresh(py, kind, &shape)?;
    let bytes: &[u8] = match &data.values {
        ColumnValues::I64(v) => bytemuck::cast_slice(v),
        ColumnValues::F64(v) => bytemuck::cast_slice(v),
    };
    let out = memory.as_mut_slice();
    if out.len() != bytes.len() {
        return Err(invalid(py, "a column is not as long as its records"));
    }
    out.copy_from_slice(bytes);
    Ok(array)
}
