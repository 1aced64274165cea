//! Where the fields of a record lie, and what each is in Python.

use crate::array::numpy::view;
use crate::array::numpy_c_api::Owner;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use vlstore::codec::{DType, PropertyView, RealView, ValuesView};

/// Where an array of real numbers begins in the record.
#[derive(Clone, Copy)]
pub(crate) struct Array {
    pub(crate) at: usize,
    pub(crate) kind: DType,
}

/// Where `part`, a slice of `all`, begins in it. Empty slices may lie anywhere.
pub(crate) fn offset<T>(all: &[u8], part: &[T]) -> usize {
    if part.is_empty() {
        return 0;
    }
    part.as_ptr().addr().saturating_sub(all.as_ptr().addr())
}

/// Where real numbers begin in the record, and in which width they are.
pub(crate) fn array(all: &[u8], values: Option<RealView<'_>>) -> Option<Array> {
    values.map(|values| match values {
        RealView::F32(v) => Array { at: offset(all, v), kind: DType::F32 },
        RealView::F64(v) => Array { at: offset(all, v), kind: DType::F64 },
    })
}

fn lengths(shape: &[u32]) -> impl Iterator<Item = usize> {
    shape.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX))
}

/// The value of an extra property; `lead` is the number of sites if it is one of the atoms.
pub(crate) fn property_value<'py>(
    owner: Owner<'_, 'py>,
    property: &PropertyView<'_>,
    lead: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = owner.py();
    let all = owner.bytes();
    let (kind, at) = match property.values {
        ValuesView::I32(v) => (DType::I32, offset(all, v)),
        ValuesView::I64(v) => (DType::I64, offset(all, v)),
        ValuesView::Bool(v) => (DType::Bool, offset(all, v)),
        ValuesView::Real(RealView::F32(v)) => (DType::F32, offset(all, v)),
        ValuesView::Real(RealView::F64(v)) => (DType::F64, offset(all, v)),
        ValuesView::Str(texts) => {
            if lead.is_none() && property.shape.is_empty() {
                return texts.get(0).unwrap_or_default().into_bound_py_any(py);
            }
            let mut axes: Vec<usize> = lead.into_iter().chain(lengths(property.shape)).collect();
            let mut list: Vec<Bound<'py, PyAny>> =
                texts.iter().map(|t| PyString::new(py, t).into_any()).collect();
            // The innermost lists first; the outermost is the one that is returned.
            while axes.len() > 1 {
                let inner = axes.pop().unwrap_or(1);
                let outer: usize = axes.iter().product();
                list = (0..outer)
                    .map(|i| {
                        let from = i.saturating_mul(inner);
                        let row = list.get(from..from.saturating_add(inner)).unwrap_or_default();
                        Ok(PyList::new(py, row)?.into_any())
                    })
                    .collect::<PyResult<_>>()?;
            }
            return Ok(PyList::new(py, list)?.into_any());
        }
    };
    let shape: Vec<usize> = lead.into_iter().chain(lengths(property.shape)).collect();
    let array = view(owner, kind, &shape, at)?;
    if shape.is_empty() { array.call_method0("item") } else { Ok(array) }
}
