//! Many frames as flat arrays: what a model is fed with.

use crate::error::{Failure, Outcome};
use crate::handle::Handle;
use crate::numpy::fresh;
use crate::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use vlstore::codec::{
    DType, MdFrameCodec, MdFrameRef, MdFrameView, PropertyView, RealView, TopologyView, ValuesView,
};
use vlstore::wire::{AlignedBuf, Digest};
use vlstore::{Batch, Error};

/// The fields that a frame has by itself, in the order in which a batch shows them.
pub(crate) const FIELDS: [&str; 12] = [
    "positions",
    "velocities",
    "forces",
    "types",
    "masses",
    "charges",
    "cell",
    "pbc",
    "energy",
    "stress",
    "step",
    "time",
];

/// What one frame adds to one array.
enum Piece<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
    Nine([f64; 9]),
    Three([bool; 3]),
    Real(f64),
    Whole(i64),
}

impl Piece<'_> {
    const fn kind(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) | Self::Nine(_) | Self::Real(_) => DType::F64,
            Self::I32(_) => DType::I32,
            Self::I64(_) | Self::Whole(_) => DType::I64,
            Self::Bool(_) | Self::Three(_) => DType::Bool,
        }
    }

    /// Writes the values as `kind`, which holds all of them, and answers how many bytes.
    fn put(&self, kind: DType, out: &mut [u8]) -> Option<usize> {
        match (self, kind) {
            (Self::F32(v), DType::F64) => wide(v.iter().map(|x| f64::from(*x).to_ne_bytes()), out),
            (Self::I32(v), DType::I64) => wide(v.iter().map(|x| i64::from(*x).to_ne_bytes()), out),
            (Self::F32(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::F64(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::I32(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::I64(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::Bool(v), _) => copy(bytemuck::cast_slice(v), out),
            (Self::Nine(v), _) => copy(bytemuck::bytes_of(v), out),
            (Self::Three(v), _) => copy(&v.map(u8::from), out),
            (Self::Real(v), _) => copy(&v.to_ne_bytes(), out),
            (Self::Whole(v), _) => copy(&v.to_ne_bytes(), out),
        }
    }
}

fn copy(from: &[u8], out: &mut [u8]) -> Option<usize> {
    out.get_mut(..from.len())?.copy_from_slice(from);
    Some(from.len())
}

fn wide(values: impl ExactSizeIterator<Item = [u8; 8]>, out: &mut [u8]) -> Option<usize> {
    let len = 8 * values.len();
    let (out, _) = out.get_mut(..len)?.as_chunks_mut::<8>();
    out.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    Some(len)
}

/// What a field adds, and the shape of one entry: of one site if `by_site`, else of one frame.
struct Found<'a> {
    piece: Piece<'a>,
    tail: &'a [u32],
    by_site: bool,
}

const NINE: &[u32] = &[3, 3];
const THREE: &[u32] = &[3];

fn real(view: RealView<'_>) -> Piece<'_> {
    match view {
        RealView::F32(v) => Piece::F32(v),
        RealView::F64(v) => Piece::F64(v),
    }
}

fn find<'a>(frame: &MdFrameRef<'a>, name: &str) -> Option<Found<'a>> {
    let site =
        |v: Option<RealView<'a>>, tail| v.map(|v| Found { piece: real(v), tail, by_site: true });
    let whole = |piece, tail| Found { piece, tail, by_site: false };
    match name {
        "positions" => site(frame.positions, THREE),
        "velocities" => site(frame.velocities, THREE),
        "forces" => site(frame.forces, THREE),
        "masses" => site(frame.masses, &[]),
        "charges" => site(frame.charges, &[]),
        "types" => frame.types.map(|v| Found { piece: Piece::I32(v), tail: &[], by_site: true }),
        "cell" => frame.cell.map(|v| whole(Piece::Nine(v), NINE)),
        "stress" => frame.stress.map(|v| whole(Piece::Nine(v), NINE)),
        "pbc" => frame.pbc.map(|v| whole(Piece::Three(v), THREE)),
        "energy" => frame.energy.map(|v| whole(Piece::Real(v), &[])),
        "time" => frame.time.map(|v| whole(Piece::Real(v), &[])),
        "step" => frame.step.map(|v| whole(Piece::Whole(v), &[])),
        extra => property(&frame.atom_properties, extra, true)
            .or_else(|| property(&frame.frame_properties, extra, false)),
    }
}

fn property<'a>(list: &[PropertyView<'a>], name: &str, by_site: bool) -> Option<Found<'a>> {
    let property = list.iter().find(|p| p.name == name)?;
    let piece = match property.values {
        ValuesView::I32(v) => Piece::I32(v),
        ValuesView::I64(v) => Piece::I64(v),
        ValuesView::Bool(v) => Piece::Bool(v),
        ValuesView::Real(v) => real(v),
        ValuesView::Str(_) => return None,
    };
    Some(Found { piece, tail: property.shape, by_site })
}

/// One array of the answer.
struct Column<'n> {
    name: &'n str,
    kind: DType,
    by_site: bool,
    tail: Vec<u32>,
}

fn refused(frame: usize, name: &str, why: &str) -> Failure {
    Error::invalid("batch", format!("frame {frame} of the batch {why} {name:?}")).into()
}

/// How the frames give one array; `None` if a field that nobody asked for is not in all.
fn column<'n>(
    frames: &[MdFrameRef<'_>],
    name: &'n str,
    asked: bool,
) -> Outcome<Option<Column<'n>>> {
    let mut column: Option<Column<'n>> = None;
    for (i, frame) in frames.iter().enumerate() {
        let Some(found) = find(frame, name) else {
            return if asked { Err(refused(i, name, "has no field of numbers")) } else { Ok(None) };
        };
        let kind = found.piece.kind();
        match &mut column {
            None => {
                let (by_site, tail) = (found.by_site, found.tail.to_vec());
                column = Some(Column { name, kind, by_site, tail });
            }
            Some(c) if c.by_site != found.by_site || c.tail != found.tail => {
                return Err(refused(i, name, "has another shape than the first for"));
            }
            Some(c) => match (c.kind, kind) {
                (a, b) if a == b => {}
                (DType::F32, DType::F64) | (DType::F64, DType::F32) => c.kind = DType::F64,
                (DType::I32, DType::I64) | (DType::I64, DType::I32) => c.kind = DType::I64,
                _ => return Err(refused(i, name, "has another type than the first for")),
            },
        }
    }
    Ok(column)
}

/// The arrays of a batch of frames, filled with the interpreter detached.
pub(crate) fn flat<'py>(
    py: Python<'py>,
    handle: &Handle,
    batch: &Batch,
    fields: Option<&[String]>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut shared: HashMap<Digest, Py<Topology>> = HashMap::new();
    for digest in batch.iter().filter_map(MdFrameCodec::topology_of) {
        if let Entry::Vacant(place) = shared.entry(digest) {
            place.insert(handle.topology(py, &digest)?);
        }
    }
    let views = shared
        .iter()
        .map(|(digest, topology)| Ok((*digest, topology.get().fields(py)?)))
        .collect::<PyResult<HashMap<_, _>>>()?;
    let arrays = py.detach(|| arrays(&views, batch, fields))?;
    let dict = PyDict::new(py);
    for (name, array) in arrays {
        dict.set_item(name, array)?;
    }
    Ok(dict)
}

fn arrays(
    shared: &HashMap<Digest, TopologyView<'_>>,
    batch: &Batch,
    fields: Option<&[String]>,
) -> Outcome<Vec<(String, Py<PyAny>)>> {
    let whole = |bytes| {
        let frame = MdFrameView::new(bytes)?;
        match frame.topology().and_then(|digest| shared.get(&digest)) {
            Some(topology) => frame.fields().joined(topology.fields()),
            None => Ok(frame.into_fields()),
        }
    };
    arrays_of(&batch.iter().map(whole).collect::<vlstore::Result<Vec<_>>>()?, fields)
}

/// The arrays of frames in records of their own.
pub(crate) fn flat_of<'py>(
    py: Python<'py>,
    records: &[AlignedBuf],
    fields: Option<&[String]>,
) -> PyResult<Bound<'py, PyDict>> {
    let arrays = py.detach(|| -> Outcome<_> {
        let frames = records.iter().map(|r| MdFrameView::new(r).map(MdFrameView::into_fields));
        arrays_of(&frames.collect::<vlstore::Result<Vec<_>>>()?, fields)
    })?;
    let dict = PyDict::new(py);
    for (name, array) in arrays {
        dict.set_item(name, array)?;
    }
    Ok(dict)
}

fn arrays_of(
    frames: &[MdFrameRef<'_>],
    fields: Option<&[String]>,
) -> Outcome<Vec<(String, Py<PyAny>)>> {
    let columns = match fields {
        Some(names) => {
            names.iter().map(|name| column(frames, name, true)).collect::<Outcome<Vec<_>>>()?
        }
        None => {
            FIELDS.iter().map(|name| column(frames, name, false)).collect::<Outcome<Vec<_>>>()?
        }
    };
    let sites: usize = frames.iter().map(|f| f.nsites).sum();
    let mut out = Vec::new();
    for column in columns.into_iter().flatten() {
        let rows = if column.by_site { sites } else { frames.len() };
        let tail = column.tail.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX));
        let shape: Vec<usize> = std::iter::once(rows).chain(tail).collect();
        let (array, mut memory) = Python::attach(|py| fresh(py, column.kind, &shape))?;
        let mut rest = memory.as_mut_slice();
        for frame in frames {
            let found = find(frame, column.name);
            let done = found
                .and_then(|found| found.piece.put(column.kind, rest))
                .and_then(|n| std::mem::take(&mut rest).split_at_mut_checked(n));
            let Some((_, later)) = done else {
                return Err(Error::invalid("batch", "its frames changed while it was read").into());
            };
            rest = later;
        }
        out.push((column.name.to_owned(), array));
    }
    let (ptr, mut memory) = Python::attach(|py| fresh(py, DType::I64, &[frames.len() + 1]))?;
    let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
    let ends = frames.iter().scan(0_i64, |end, frame| {
        *end += i64::try_from(frame.nsites).unwrap_or(i64::MAX);
        Some(*end)
    });
    for (place, end) in places.iter_mut().zip(std::iter::once(0).chain(ends)) {
        *place = end.to_ne_bytes();
    }
    out.push(("ptr".to_owned(), ptr));
    let (of, mut memory) = Python::attach(|py| fresh(py, DType::I64, &[sites]))?;
    let (places, _) = memory.as_mut_slice().as_chunks_mut::<8>();
    let numbers = (0_i64..).zip(frames).flat_map(|(i, f)| std::iter::repeat_n(i, f.nsites));
    for (place, number) in places.iter_mut().zip(numbers) {
        *place = number.to_ne_bytes();
    }
    out.push(("batch".to_owned(), of));
    Ok(out)
}
