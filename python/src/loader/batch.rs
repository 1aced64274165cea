//! One batch out of what was made of many: records as objects, or arrays of the frames.

use crate::array::numpy::{fresh, unset};
use crate::error::{from_error, invalid};
use crate::store::typed::Typed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::ops::Range;
use vlstore::codec::DType;
use vlstore::loader::Turn;
use vlstore::trajectory::arrays::{ArrayInfo, Arrays};
use vlstore::{AlignedBuf, Batch};

/// What a background thread makes of the records of many batches.
pub(crate) enum Made {
    Records(Batch),
    Arrays(Arrays<Vec<u8>>),
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list of values.
    Records,
    /// Arrays by site one behind the other, real numbers in this type if one is given.
    Ragged { dtype: Option<DType> },
    /// Arrays by site with a row of sites for each frame, as long as the longest, or as `to`.
    Padded { dtype: Option<DType>, to: Option<usize> },
}

impl Form {
    pub(super) fn new(
        py: Python<'_>,
        layout: &str,
        dtype: Option<&str>,
        to: Option<usize>,
    ) -> PyResult<Self> {
        let dtype = match dtype {
            None => None,
            Some("float32") => Some(DType::F32),
            Some("float64") => Some(DType::F64),
            Some(other) => {
                let why = format!("dtype: {other:?} is neither \"float32\" nor \"float64\"");
                return Err(invalid(py, &why));
            }
        };
        match (layout, to) {
            ("records", None) if dtype.is_none() => Ok(Self::Records),
            ("records", _) => Err(invalid(py, "layout: records have no dtype and no pad_to")),
            ("ragged", None) => Ok(Self::Ragged { dtype }),
            ("ragged", Some(_)) => Err(invalid(py, "pad_to: is for layout=\"padded\"")),
            ("padded", to) => Ok(Self::Padded { dtype, to }),
            _ => {
                let why = "is none of \"records\", \"ragged\" and \"padded\"";
                Err(invalid(py, &format!("layout: {layout:?} {why}")))
            }
        }
    }

    /// The batch `turn`, whose records are those at `range` of `made`.
    pub(super) fn content(
        self,
        py: Python<'_>,
        typed: &Typed,
        made: &Made,
        range: Range<usize>,
        turn: &Turn,
    ) -> PyResult<Py<PyAny>> {
        match (self, made) {
            (Self::Ragged { dtype }, Made::Arrays(arrays)) => {
                let dict = Part::of(arrays, range).ragged(py, dtype)?;
                Ok(dict.into_any().unbind())
            }
            (Self::Padded { dtype, to }, Made::Arrays(arrays)) => {
                let dict = Part::of(arrays, range).padded(py, dtype, to, &turn.records)?;
                Ok(dict.into_any().unbind())
            }
            (_, Made::Records(batch)) => {
                let values = range.zip(&turn.records).map(|(i, ordinal)| {
                    // A copy: what somebody keeps holds no window of records.
                    let bytes = AlignedBuf::copy_of(batch.get(i).unwrap_or_default());
                    let record = bytes.map_err(|e| from_error(py, &e))?.into();
                    typed.decode_as(py, record, || format!("ordinal {ordinal}"))
                });
                let values = values.collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, values)?.into_any().unbind())
            }
            (Self::Records, Made::Arrays(_)) => Err(invalid(py, "layout: records were not read")),
        }
    }
}

/// Some neighbouring frames of many.
struct Part<'a> {
    arrays: &'a Arrays<Vec<u8>>,
    frames: Range<usize>,
    /// Where the sites of each of the frames begin among all, and where the last end.
    ptr: Vec<usize>,
}

impl<'a> Part<'a> {
    fn of(arrays: &'a Arrays<Vec<u8>>, frames: Range<usize>) -> Self {
        let bytes = arrays.list.iter().find(|(info, _)| &*info.name == "ptr");
        let (all, _) = bytes.map_or(&[][..], |(_, bytes)| bytes).as_chunks::<8>();
        let all = all.get(frames.start..=frames.end).unwrap_or_default();
        let ptr = all.iter().map(|n| usize::try_from(i64::from_ne_bytes(*n)).unwrap_or(0));
        Self { arrays, frames, ptr: ptr.collect() }
    }

    /// The sites of all frames.
    fn sites(&self) -> Range<usize> {
        self.ptr.first().copied().unwrap_or(0)..self.ptr.last().copied().unwrap_or(0)
    }

    /// The sites of each frame.
    fn each(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.ptr.windows(2).map(|w| match w {
            [start, end] => *start..*end,
            _ => 0..0,
        })
    }

    /// The fields and their masks.
    fn fields(&self) -> impl Iterator<Item = (&'a ArrayInfo, &'a [u8])> {
        let fields = self.arrays.list.iter().filter(|(info, _)| &*info.name != "ptr");
        fields.map(|(info, bytes)| (info, &bytes[..]))
    }

    fn ragged<'py>(&self, py: Python<'py>, dtype: Option<DType>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (info, bytes) in self.fields() {
            let rows = if info.by_site { self.sites() } else { self.frames.clone() };
            let field = Field::new(info, bytes, dtype);
            let (array, mut memory) = unset(py, field.to, &field.shape(&[rows.len()]))?;
            field.copy(rows, memory.as_mut_slice());
            out.set_item(&*info.name, array)?;
        }
        let first = self.sites().start;
        let ptr = self.ptr.iter().map(|at| at - first);
        out.set_item("ptr", integers(py, ptr)?)?;
        let frames = self.each().enumerate();
        let batch: Vec<usize> =
            frames.flat_map(|(i, sites)| std::iter::repeat_n(i, sites.len())).collect();
        out.set_item("batch", integers(py, batch.into_iter())?)?;
        Ok(out)
    }

    fn padded<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<DType>,
        to: Option<usize>,
        ordinals: &[u64],
    ) -> PyResult<Bound<'py, PyDict>> {
        let longest = self.each().map(|sites| sites.len()).max().unwrap_or(0);
        let width = to.unwrap_or(longest);
        if width < longest {
            let at = self.each().position(|sites| sites.len() > width).unwrap_or(0);
            let why = format!(
                "pad_to: the frame at ordinal {} has {longest} sites, more than {width}",
                ordinals.get(at).copied().unwrap_or(0)
            );
            return Err(invalid(py, &why));
        }
        let out = PyDict::new(py);
        for (info, bytes) in self.fields() {
            let field = Field::new(info, bytes, dtype);
            if !info.by_site {
                let shape = field.shape(&[self.frames.len()]);
                let (array, mut memory) = unset(py, field.to, &shape)?;
                field.copy(self.frames.clone(), memory.as_mut_slice());
                out.set_item(&*info.name, array)?;
                continue;
            }
            let shape = field.shape(&[self.frames.len(), width]);
            let (array, mut memory) = fresh(py, field.to, &shape)?;
            let row = (width * field.row_out()).max(1);
            for (sites, place) in self.each().zip(memory.as_mut_slice().chunks_exact_mut(row)) {
                let len = sites.len() * field.row_out();
                field.copy(sites, place.get_mut(..len).unwrap_or_default());
            }
            out.set_item(&*info.name, array)?;
        }
        out.set_item("sites", integers(py, self.each().map(|sites| sites.len()))?)?;
        let (array, mut memory) = fresh(py, DType::Bool, &[self.frames.len(), width])?;
        let places = memory.as_mut_slice().chunks_exact_mut(width.max(1));
        for (sites, place) in self.each().zip(places) {
            place.get_mut(..sites.len()).unwrap_or_default().fill(1);
        }
        out.set_item("site_mask", array)?;
        Ok(out)
    }
}

/// An array of int64.
fn integers(py: Python<'_>, values: impl ExactSizeIterator<Item = usize>) -> PyResult<Py<PyAny>> {
    let (array, mut memory) = unset(py, DType::I64, &[values.len()])?;
    let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
    for (place, value) in places.iter_mut().zip(values) {
        *place = i64::try_from(value).unwrap_or(i64::MAX).to_ne_bytes();
    }
    Ok(array)
}

/// An array of many frames, and the type in which its rows are wanted.
struct Field<'a> {
    info: &'a ArrayInfo,
    bytes: &'a [u8],
    to: DType,
}

impl<'a> Field<'a> {
    fn new(info: &'a ArrayInfo, bytes: &'a [u8], dtype: Option<DType>) -> Self {
        let real = matches!(info.dtype, DType::F32 | DType::F64);
        let to = dtype.filter(|_| real).unwrap_or(info.dtype);
        Self { info, bytes, to }
    }

    /// Numbers of a row.
    fn numbers(&self) -> usize {
        self.info.shape.iter().skip(1).product()
    }

    /// Bytes of a row as it is wanted.
    fn row_out(&self) -> usize {
        self.numbers() * self.to.size()
    }

    /// The shape with other first axes.
    fn shape(&self, first: &[usize]) -> Vec<usize> {
        first.iter().chain(self.info.shape.iter().skip(1)).copied().collect()
    }

    /// Copies rows to `out`, which has as many bytes as they take.
    fn copy(&self, rows: Range<usize>, out: &mut [u8]) {
        let row = self.numbers() * self.info.dtype.size();
        let from = self.bytes.get(rows.start * row..rows.end * row).unwrap_or_default();
        match (self.info.dtype, self.to) {
            (DType::F64, DType::F32) => {
                let (out, _) = out.as_chunks_mut::<4>();
                for (place, value) in out.iter_mut().zip(from.as_chunks::<8>().0) {
                    #[expect(clippy::cast_possible_truncation, reason = "asked for")]
                    let narrow = f64::from_ne_bytes(*value) as f32;
                    *place = narrow.to_ne_bytes();
                }
            }
            (DType::F32, DType::F64) => {
                let (out, _) = out.as_chunks_mut::<8>();
                for (place, value) in out.iter_mut().zip(from.as_chunks::<4>().0) {
                    *place = f64::from(f32::from_ne_bytes(*value)).to_ne_bytes();
                }
            }
            _ if from.len() == out.len() => out.copy_from_slice(from),
            _ => {}
        }
    }
}
