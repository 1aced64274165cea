//! One batch out of what was made of many: records as objects, or arrays of the frames.

use crate::array::numpy::Together;
use crate::error::{from_error, invalid};
use crate::loader::memory::Piece;
use crate::loader::numbers::DTypes;
use crate::store::typed::Typed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::ops::Range;
use vlstore::codec::DType;
use vlstore::loader::{Batching, StepBatch};
use vlstore::trajectory::UnitFactors;
use vlstore::trajectory::arrays::{ArrayInfo, Arrays};
use vlstore::{AlignedBuf, Batch};

/// What a background thread makes of the records of many batches.
pub(crate) enum Prepared {
    Records(Batch),
    /// Arrays of frames of one store, and what brings its numbers into the units that are wanted.
    Arrays(Arrays<Piece>, UnitFactors),
}

/// What a batch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list of values.
    Records,
    /// Arrays by site one behind the other.
    Ragged(DTypes),
    /// Arrays by site with a row of sites for each frame, as long as the longest, or as the first of
    /// `to`, which ascend, that is not below it; with `rows` as many rows as a batch can have by these.
    Padded { dtypes: DTypes, to: Vec<usize>, rows: Option<Batching> },
}

impl Form {
    pub(super) fn new(
        py: Python<'_>,
        layout: &str,
        dtypes: DTypes,
        to: Vec<usize>,
        rows: Option<Batching>,
    ) -> PyResult<Self> {
        if !to.is_sorted() {
            return Err(invalid(py, "pad_to: the sizes ascend"));
        }
        if let Some(bounds) = &rows {
            if layout != "padded" {
                return Err(invalid(py, "pad_rows: is for layout=\"padded\""));
            }
            if bounds.rows(1).is_none() {
                let why = "pad_rows: nothing says how many rows a batch has: give batch_size, or max_atoms \
                           and a list of buckets";
                return Err(invalid(py, why));
            }
        }
        match (layout, to.is_empty()) {
            ("records", true) if dtypes == DTypes::default() => Ok(Self::Records),
            ("records", _) => Err(invalid(py, "layout: records have no dtype and no pad_to")),
            ("ragged", true) => Ok(Self::Ragged(dtypes)),
            ("ragged", false) => Err(invalid(py, "pad_to: is for layout=\"padded\"")),
            ("padded", _) => Ok(Self::Padded { dtypes, to, rows }),
            _ => {
                let why = "is not one of \"records\", \"ragged\", \"padded\"";
                Err(invalid(py, &format!("layout: {layout:?} {why}")))
            }
        }
    }

    /// The batch `step`, whose records are those at `places` of `made`.
    pub(super) fn content(
        &self,
        py: Python<'_>,
        typed: &Typed,
        made: &[Prepared],
        places: &[(usize, usize)],
        step: &StepBatch,
    ) -> PyResult<Py<PyAny>> {
        let (dtypes, padded) = match self {
            Self::Records => return records(py, typed, made, places, step),
            Self::Ragged(dtypes) => (dtypes, None),
            Self::Padded { dtypes, to, rows } => (dtypes, Some((&to[..], rows.as_ref()))),
        };
        let part = Part::of(made, places);
        let fields = part.fields(py, dtypes)?;
        let dict = match padded {
            None => part.ragged(py, &fields)?,
            Some((to, rows)) => part.padded(py, &fields, to, rows, &step.records)?,
        };
        Ok(dict.into_any().unbind())
    }
}

/// The records as a list of values.
fn records(
    py: Python<'_>,
    typed: &Typed,
    made: &[Prepared],
    places: &[(usize, usize)],
    step: &StepBatch,
) -> PyResult<Py<PyAny>> {
    let values = places.iter().zip(&step.records).map(|((part, i), ordinal)| {
        let bytes = match made.get(*part) {
            Some(Prepared::Records(batch)) => batch.get(*i),
            _ => None,
        };
        // A copy: what somebody keeps holds no window of records.
        let bytes = AlignedBuf::copy_of(bytes.unwrap_or_default());
        let record = bytes.map_err(|e| from_error(py, &e))?.into();
        typed.decode_as(py, record, || format!("ordinal {ordinal}"))
    });
    Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
}

/// Where a frame is: which arrays it is in, its row there, and its sites.
struct Frame {
    part: usize,
    row: usize,
    sites: Range<usize>,
}

/// Some frames of many.
struct Part<'a> {
    arrays: Vec<&'a [(ArrayInfo, Piece)]>,
    factors: Vec<Option<&'a UnitFactors>>,
    frames: Vec<Frame>,
}

impl<'a> Part<'a> {
    fn of(made: &'a [Prepared], places: &[(usize, usize)]) -> Self {
        let arrays: Vec<&[_]> = made
            .iter()
            .map(|made| match made {
                Prepared::Arrays(arrays, _) => &arrays.list[..],
                Prepared::Records(_) => &[],
            })
            .collect();
        let factors = made.iter().map(|made| match made {
            Prepared::Arrays(_, factors) => Some(factors),
            Prepared::Records(_) => None,
        });
        let ptrs: Vec<&[[u8; 8]]> = arrays
            .iter()
            .map(|list| {
                let bytes = list.iter().find(|(info, _)| &*info.name == "ptr");
                bytes.map_or(&[][..], |(_, piece)| piece.bytes()).as_chunks().0
            })
            .collect();
        let end = |part: usize, row: usize| {
            let bytes = ptrs.get(part).and_then(|ptr| ptr.get(row));
            bytes.and_then(|n| usize::try_from(i64::from_ne_bytes(*n)).ok()).unwrap_or(0)
        };
        let frame = |(part, row): &(usize, usize)| Frame {
            part: *part,
            row: *row,
            sites: end(*part, *row)..end(*part, *row + 1),
        };
        Self { frames: places.iter().map(frame).collect(), factors: factors.collect(), arrays }
    }

    /// Sites of each frame.
    fn sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.frames.iter().map(|frame| frame.sites.len())
    }

    /// The fields and their masks, each in the arrays of all stores.
    fn fields(&self, py: Python<'_>, dtypes: &DTypes) -> PyResult<Vec<Field<'a>>> {
        let mut used: Vec<usize> = self.frames.iter().map(|frame| frame.part).collect();
        used.sort_unstable();
        used.dedup();
        let Some(first) = used.first().or(Some(&0)).and_then(|at| self.arrays.get(*at)) else {
            return Ok(Vec::new());
        };
        let names = first.iter().map(|(info, _)| info).filter(|info| &*info.name != "ptr");
        names.map(|info| self.field(py, info, &used, dtypes)).collect()
    }

    fn field(
        &self,
        py: Python<'_>,
        info: &'a ArrayInfo,
        used: &[usize],
        dtypes: &DTypes,
    ) -> PyResult<Field<'a>> {
        let mut field = Field { info, to: info.dtype, parts: vec![None; self.arrays.len()] };
        for at in used {
            let list = self.arrays.get(*at).copied().unwrap_or_default();
            let own = list.iter().find(|(other, _)| other.name == info.name);
            let Some((other, piece)) = own else {
                let why = format!(
                    "{:?} is in one of the stores of the batch and not in another: name \
                                   the fields, and missing=\"fill\"",
                    info.name
                );
                return Err(invalid(py, &why));
            };
            let alike =
                other.by_site == info.by_site && other.shape.get(1..) == info.shape.get(1..);
            field.to = match (field.to, other.dtype) {
                (a, b) if a == b && alike => a,
                (DType::F32, DType::F64) | (DType::F64, DType::F32) if alike => DType::F64,
                _ => {
                    let why = format!("{:?} has another shape or type in another store", info.name);
                    return Err(invalid(py, &why));
                }
            };
            let by = self.factors.get(*at).copied().flatten().map_or(1.0, |f| f.of(&info.name));
            if let Some(place) = field.parts.get_mut(*at) {
                *place = Some(Source { kind: other.dtype, bytes: piece.bytes(), by });
            }
        }
        field.to = dtypes.of(py, &info.name, field.to)?;
        Ok(field)
    }

    /// Copies the frames to `out` one behind the other; neighbours in one step.
    fn gather(&self, field: &Field<'_>, out: &mut [u8]) {
        let rows = |frame: &Frame| match field.info.by_site {
            true => frame.sites.clone(),
            false => frame.row..frame.row + 1,
        };
        let mut rest = out;
        let mut frames = self.frames.iter().peekable();
        while let Some(frame) = frames.next() {
            let mut run = rows(frame);
            while let Some(next) =
                frames.next_if(|next| next.part == frame.part && rows(next).start == run.end)
            {
                run.end = rows(next).end;
            }
            let (now, later) = rest.split_at_mut((run.len() * field.row()).min(rest.len()));
            field.copy(frame.part, run, now);
            rest = later;
        }
    }

    fn ragged<'py>(&self, py: Python<'py>, fields: &[Field<'_>]) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        let (frames, sites) = (self.frames.len(), self.sizes().sum::<usize>());
        let rows = |field: &Field<'_>| if field.info.by_site { sites } else { frames };
        let lengths = fields.iter().map(|field| rows(field).saturating_mul(field.row()));
        let mut room = Together::unset(py, lengths.chain([8 * (frames + 1), 8 * sites]))?;
        for field in fields {
            let (array, memory) = room.array(field.to, &field.shape(&[rows(field)]))?;
            self.gather(field, memory);
            out.set_item(&*field.info.name, array)?;
        }
        let (array, memory) = room.array(DType::I64, &[frames + 1])?;
        let mut end = 0;
        let ends = self.sizes().map(|n| {
            end += n;
            end
        });
        integers(memory, std::iter::once(0).chain(ends));
        out.set_item("ptr", array)?;
        let (array, mut memory) = room.array(DType::I64, &[sites])?;
        for (frame, n) in self.sizes().enumerate() {
            let (own, rest) = memory.split_at_mut((8 * n).min(memory.len()));
            integers(own, std::iter::repeat_n(frame, n));
            memory = rest;
        }
        out.set_item("batch", array)?;
        Ok(out)
    }

    fn padded<'py>(
        &self,
        py: Python<'py>,
        fields: &[Field<'_>],
        to: &[usize],
        bounds: Option<&Batching>,
        ordinals: &[u64],
    ) -> PyResult<Bound<'py, PyDict>> {
        let longest = self.sizes().max().unwrap_or(0);
        let fits = to.iter().find(|width| **width >= longest).or(to.last());
        let width = fits.copied().unwrap_or(longest);
        if let Some((n, ordinal)) = self.sizes().zip(ordinals).find(|(n, _)| *n > width) {
            let why =
                format!("pad_to: the frame at ordinal {ordinal} has {n} sites, more than {width}");
            return Err(invalid(py, &why));
        }
        let full = bounds.and_then(|bounds| bounds.rows(longest as u64));
        let full = full.and_then(|rows| usize::try_from(rows).ok());
        let rows = full.map_or(self.frames.len(), |rows| rows.max(self.frames.len()));
        let out = PyDict::new(py);
        let shape = |field: &Field<'_>| match field.info.by_site {
            true => field.shape(&[rows, width]),
            false => field.shape(&[rows]),
        };
        let length = |field: &Field<'_>| {
            shape(field).iter().fold(field.to.size(), |n, axis| n.saturating_mul(*axis))
        };
        let lengths = fields.iter().map(length);
        let masks = [8 * rows, rows.saturating_mul(width), rows];
        let mut room = Together::fresh(py, lengths.chain(masks))?;
        for field in fields {
            let (array, memory) = room.array(field.to, &shape(field))?;
            if field.info.by_site {
                let places = memory.chunks_exact_mut((width * field.row()).max(1));
                for (frame, place) in self.frames.iter().zip(places) {
                    let len = frame.sites.len() * field.row();
                    let place = place.get_mut(..len).unwrap_or_default();
                    field.copy(frame.part, frame.sites.clone(), place);
                }
            } else {
                let own = self.frames.len() * field.row();
                self.gather(field, memory.get_mut(..own).unwrap_or_default());
            }
            out.set_item(&*field.info.name, array)?;
        }
        let (array, memory) = room.array(DType::I64, &[rows])?;
        integers(memory, self.sizes());
        out.set_item("sites", array)?;
        let (array, memory) = room.array(DType::Bool, &[rows, width])?;
        for (n, place) in self.sizes().zip(memory.chunks_exact_mut(width.max(1))) {
            place.get_mut(..n).unwrap_or_default().fill(1);
        }
        out.set_item("site_mask", array)?;
        if bounds.is_some() {
            let (array, memory) = room.array(DType::Bool, &[rows])?;
            memory.get_mut(..self.frames.len()).unwrap_or_default().fill(1);
            out.set_item("frame_mask", array)?;
        }
        Ok(out)
    }
}

/// Writes int64 numbers to the memory of an array.
fn integers(memory: &mut [u8], values: impl Iterator<Item = usize>) {
    let (places, _) = memory.as_chunks_mut::<8>();
    for (place, value) in places.iter_mut().zip(values) {
        *place = i64::try_from(value).unwrap_or(i64::MAX).to_ne_bytes();
    }
}

/// A field of frames, as the arrays of each store have it, and the type in which it is wanted.
struct Field<'a> {
    info: &'a ArrayInfo,
    to: DType,
    parts: Vec<Option<Source<'a>>>,
}

/// A field in the arrays of one store, and what its numbers are multiplied by.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    kind: DType,
    bytes: &'a [u8],
    by: f64,
}

impl Field<'_> {
    /// Numbers of a row.
    fn numbers(&self) -> usize {
        self.info.shape.iter().skip(1).product()
    }

    /// Bytes of a row as it is wanted.
    fn row(&self) -> usize {
        self.numbers() * self.to.size()
    }

    /// The shape with other first axes.
    fn shape(&self, first: &[usize]) -> Vec<usize> {
        first.iter().chain(self.info.shape.iter().skip(1)).copied().collect()
    }

    /// Copies rows of the arrays of a store to `out`, which has as many bytes as they take.
    fn copy(&self, part: usize, rows: Range<usize>, out: &mut [u8]) {
        let Some(Source { kind, bytes, by }) = self.parts.get(part).copied().flatten() else {
            return;
        };
        let row = self.numbers() * kind.size();
        let from = bytes.get(rows.start * row..rows.end * row).unwrap_or_default();
        #[expect(clippy::float_cmp, reason = "exactly 1 is what equal units give")]
        let same = kind == self.to && by == 1.0;
        let wide = |value: &[u8; 4]| f64::from(f32::from_ne_bytes(*value));
        #[expect(clippy::cast_possible_truncation, reason = "asked for")]
        let narrow = |value: f64| (value as f32).to_ne_bytes();
        match (kind, self.to) {
            _ if same && from.len() == out.len() => out.copy_from_slice(from),
            (DType::F64, DType::F32) => {
                turn(from, out, |value| narrow(f64::from_ne_bytes(*value) * by));
            }
            (DType::F64, DType::F64) => {
                turn(from, out, |value| (f64::from_ne_bytes(*value) * by).to_ne_bytes());
            }
            (DType::F32, DType::F32) => turn(from, out, |value| narrow(wide(value) * by)),
            (DType::F32, DType::F64) => turn(from, out, |value| (wide(value) * by).to_ne_bytes()),
            (DType::I32, DType::I64) => {
                turn(from, out, |value| i64::from(i32::from_ne_bytes(*value)).to_ne_bytes());
            }
            _ => {}
        }
    }
}

/// Number after number, each as what `to` makes of it.
fn turn<const A: usize, const B: usize>(
    from: &[u8],
    out: &mut [u8],
    to: impl Fn(&[u8; A]) -> [u8; B],
) {
    let (places, _) = out.as_chunks_mut::<B>();
    for (place, value) in places.iter_mut().zip(from.as_chunks::<A>().0) {
        *place = to(value);
    }
}
