//! Many frames as flat arrays: what a model is fed with.

use crate::buffer::BytesMut;
use crate::error::{Failure, Outcome};
use crate::handle::{Handle, View};
use crate::numpy::unset;
use crate::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use vlstore::codec::{
    AnyCodec, DType, MdFrameCodec, MdFrameRef, MdFrameView, PropertyView, RealView, TopologyView,
    ValuesView,
};
use vlstore::wire::{AlignedBuf, Digest};
use vlstore::{Batch, Error, Key, Snapshot, Visit};

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

/// A field of [`FIELDS`] by its number there, so that no name is compared for each frame.
fn field<'a>(frame: &MdFrameRef<'a>, number: usize) -> Option<Found<'a>> {
    let site =
        |v: Option<RealView<'a>>, tail| v.map(|v| Found { piece: real(v), tail, by_site: true });
    let whole = |piece, tail| Found { piece, tail, by_site: false };
    match number {
        0 => site(frame.positions, THREE),
        1 => site(frame.velocities, THREE),
        2 => site(frame.forces, THREE),
        3 => frame.types.map(|v| Found { piece: Piece::I32(v), tail: &[], by_site: true }),
        4 => site(frame.masses, &[]),
        5 => site(frame.charges, &[]),
        6 => frame.cell.map(|v| whole(Piece::Nine(v), NINE)),
        7 => frame.pbc.map(|v| whole(Piece::Three(v), THREE)),
        8 => frame.energy.map(|v| whole(Piece::Real(v), &[])),
        9 => frame.stress.map(|v| whole(Piece::Nine(v), NINE)),
        10 => frame.step.map(|v| whole(Piece::Whole(v), &[])),
        11 => frame.time.map(|v| whole(Piece::Real(v), &[])),
        _ => None,
    }
}

/// What a batch takes from each of its frames.
#[derive(Clone, Copy)]
struct Name<'n> {
    text: &'n str,
    /// Its number in [`FIELDS`]; else it is an extra property.
    number: Option<usize>,
}

impl<'n> Name<'n> {
    fn new(text: &'n str) -> Self {
        Self { text, number: FIELDS.iter().position(|known| *known == text) }
    }

    fn find<'a>(&self, frame: &MdFrameRef<'a>) -> Option<Found<'a>> {
        match self.number {
            Some(number) => field(frame, number),
            None => property(&frame.atom_properties, self.text, true)
                .or_else(|| property(&frame.frame_properties, self.text, false)),
        }
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
    name: Name<'n>,
    kind: DType,
    by_site: bool,
    tail: Vec<u32>,
}

impl Column<'_> {
    /// Shape of an array of `rows` rows.
    fn shape(&self, rows: usize) -> Vec<usize> {
        let tail = self.tail.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX));
        std::iter::once(rows).chain(tail).collect()
    }

    /// Bytes of a row.
    fn width(&self) -> usize {
        self.shape(1).iter().fold(self.kind.size(), |n, axis| n.saturating_mul(*axis))
    }
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
    let text = name;
    let name = Name::new(text);
    let mut column: Option<Column<'n>> = None;
    for (i, frame) in frames.iter().enumerate() {
        let Some(found) = name.find(frame) else {
            return if asked { Err(refused(i, text, "has no field of numbers")) } else { Ok(None) };
        };
        let kind = found.piece.kind();
        match &mut column {
            None => {
                let (by_site, tail) = (found.by_site, found.tail.to_vec());
                column = Some(Column { name, kind, by_site, tail });
            }
            Some(c) if c.by_site != found.by_site || c.tail != found.tail => {
                return Err(refused(i, text, "has another shape than the first for"));
            }
            Some(c) => match (c.kind, kind) {
                (a, b) if a == b => {}
                (DType::F32, DType::F64) | (DType::F64, DType::F32) => c.kind = DType::F64,
                (DType::I32, DType::I64) | (DType::I64, DType::I32) => c.kind = DType::I64,
                _ => return Err(refused(i, text, "has another type than the first for")),
            },
        }
    }
    Ok(column)
}

/// The arrays that these frames give.
fn columns<'n>(
    frames: &[MdFrameRef<'_>],
    fields: Option<&'n [String]>,
) -> Outcome<Vec<Column<'n>>> {
    let all: Vec<Option<Column<'n>>> = match fields {
        Some(names) => names.iter().map(|n| column(frames, n, true)).collect::<Outcome<_>>()?,
        None => FIELDS.iter().map(|n| column(frames, n, false)).collect::<Outcome<_>>()?,
    };
    Ok(all.into_iter().flatten().collect())
}

type Arrays = Vec<(String, Py<PyAny>)>;

/// The arrays of the frames that `asked` names, filled with the interpreter detached.
pub(crate) fn flat<'py>(
    py: Python<'py>,
    handle: &Handle,
    asked: Asked,
    fields: Option<&[String]>,
) -> PyResult<Bound<'py, PyDict>> {
    let arrays = handle.read(py, |view| {
        // A reader goes through a state of its own and holds no lock while it makes arrays.
        let direct = match &view {
            View::Reader(snapshot) => direct(snapshot, &asked, fields)?,
            View::Writer(_) => None,
        };
        match direct {
            Some(arrays) => Ok(Either::Arrays(arrays)),
            None => Ok(Either::Batch(asked.batch(&view)?)),
        }
    })?;
    let arrays = match arrays {
        Either::Arrays(arrays) => arrays,
        Either::Batch(batch) => {
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
            py.detach(|| general(&views, &batch, fields))?
        }
    };
    let dict = PyDict::new(py);
    for (name, array) in arrays {
        dict.set_item(name, array)?;
    }
    Ok(dict)
}

enum Either {
    Arrays(Arrays),
    Batch(Batch),
}

/// Which frames are wanted.
pub(crate) enum Asked {
    Keys(Vec<Key>),
    /// As Python counts.
    Ordinals(Vec<i64>),
}

impl Asked {
    fn batch(self, view: &View<'_>) -> Outcome<Batch> {
        let batch = match self {
            Self::Keys(keys) => view.get_batch(keys)?,
            Self::Ordinals(ordinals) => view.get_batch_at(&view.ordinals(&ordinals)?)?,
        };
        Ok(batch.replaced(|bytes| MdFrameCodec.expand(bytes))?)
    }

    fn visit<'a>(&self, snapshot: &'a Snapshot) -> Outcome<Visit<'a>> {
        Ok(match self {
            Self::Keys(keys) => snapshot.visit(keys.iter().cloned())?,
            Self::Ordinals(ordinals) => {
                snapshot.visit_at(&View::Reader(snapshot).ordinals(ordinals)?)?
            }
        })
    }
}

/// The arrays of frames that are all made alike, as those of a trajectory are: each is copied
/// from the block that it was decoded in to its places, with no buffer between. `None` if the
/// frames turn out to differ in more than their sizes.
fn direct(
    snapshot: &Snapshot,
    asked: &Asked,
    fields: Option<&[String]>,
) -> Outcome<Option<Arrays>> {
    let visit = asked.visit(snapshot)?;
    let Some(first) = visit.first()? else { return Ok(None) };
    let expanded = MdFrameCodec.expand(&first)?;
    let first = MdFrameView::new(expanded.as_deref().unwrap_or(&first))?.into_fields();
    let Ok(columns) = columns(&[first], fields) else { return Ok(None) };
    let sizes: Vec<usize> = visit.sites().map(|n| n as usize).collect();
    let mut made = Made::new(&columns, &sizes)?;
    let mut places = made.places(&columns, &sizes);
    let rows: Vec<_> = places.chunks_mut(columns.len().max(1)).map(Mutex::new).collect();
    let differs = AtomicBool::new(false);
    let done = visit.each(|i, bytes| {
        let expanded = MdFrameCodec.expand(bytes)?;
        let frame = MdFrameView::new(expanded.as_deref().unwrap_or(bytes))?;
        let row = rows.get(i).and_then(|row| row.lock().ok());
        let alike = row.is_some_and(|mut row| {
            // What a frame has from its topology is not in its bytes.
            frame.topology().is_none()
                && sizes.get(i) == Some(&frame.nsites())
                && columns.iter().zip(row.iter_mut()).all(|(column, place)| {
                    column.name.find(frame.fields()).is_some_and(|found| {
                        found.piece.kind() == column.kind
                            && found.by_site == column.by_site
                            // The shape of what every frame has by itself is fixed.
                            && (column.name.number.is_some() || found.tail == column.tail)
                            && found.piece.put(column.kind, place) == Some(place.len())
                    })
                })
        });
        if alike {
            return Ok(());
        }
        differs.store(true, Ordering::Relaxed);
        Err(Error::invalid("batch", "its frames differ"))
    });
    drop(rows);
    drop(places);
    if differs.into_inner() {
        return Ok(None);
    }
    done?;
    made.finish(&columns, &sizes).map(Some)
}

/// Arrays under construction.
struct Made {
    arrays: Vec<(Py<PyAny>, BytesMut)>,
}

impl Made {
    fn new(columns: &[Column<'_>], sizes: &[usize]) -> PyResult<Self> {
        let sites = sizes.iter().sum();
        Python::attach(|py| {
            let each = columns.iter().map(|column| {
                let rows = if column.by_site { sites } else { sizes.len() };
                unset(py, column.kind, &column.shape(rows))
            });
            Ok(Self { arrays: each.collect::<PyResult<_>>()? })
        })
    }

    /// The part of each array of the first frame, of the second, and so on.
    fn places(&mut self, columns: &[Column<'_>], sizes: &[usize]) -> Vec<&mut [u8]> {
        let widths: Vec<usize> = columns.iter().map(Column::width).collect();
        let mut rests: Vec<&mut [u8]> =
            self.arrays.iter_mut().map(|(_, memory)| memory.as_mut_slice()).collect();
        let mut places = Vec::with_capacity(columns.len() * sizes.len());
        for sites in sizes {
            for ((column, width), rest) in columns.iter().zip(&widths).zip(&mut rests) {
                let len = if column.by_site { sites.saturating_mul(*width) } else { *width };
                let len = len.min(rest.len());
                let (now, later) = std::mem::take(rest).split_at_mut(len);
                places.push(now);
                *rest = later;
            }
        }
        places
    }

    /// The arrays with their names, and those that say which sites belong to which frame.
    fn finish(self, columns: &[Column<'_>], sizes: &[usize]) -> Outcome<Arrays> {
        let names = columns.iter().map(|column| column.name.text.to_owned());
        let mut out: Arrays = names.zip(self.arrays.into_iter().map(|(array, _)| array)).collect();
        let ends = sizes.iter().scan(0_i64, |end, n| {
            *end += i64::try_from(*n).unwrap_or(i64::MAX);
            Some(*end)
        });
        let ends: Vec<i64> = std::iter::once(0).chain(ends).collect();
        out.push((
            "ptr".to_owned(),
            whole(ends.len(), |out| copy(bytemuck::cast_slice(&ends), out))?,
        ));
        let of = |mut out: &mut [u8]| {
            let all = out.len();
            for (frame, sites) in (0_i64..).zip(sizes) {
                let (now, later) = std::mem::take(&mut out).split_at_mut_checked(8 * sites)?;
                now.as_chunks_mut::<8>().0.fill(frame.to_ne_bytes());
                out = later;
            }
            out.is_empty().then_some(all)
        };
        out.push(("batch".to_owned(), whole(sizes.iter().sum(), of)?));
        Ok(out)
    }
}

/// An array of `len` whole numbers, all of whose bytes `fill` writes; it answers how many.
fn whole(len: usize, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> PyResult<Py<PyAny>> {
    let (array, mut memory) = Python::attach(|py| unset(py, DType::I64, &[len]))?;
    let out = memory.as_mut_slice();
    let all = out.len();
    if fill(out) == Some(all) {
        return Ok(array);
    }
    Python::attach(|py| Err(crate::error::invalid(py, "the frames changed while they were read")))
}

/// The arrays of any frames.
fn general(
    shared: &HashMap<Digest, TopologyView<'_>>,
    batch: &Batch,
    fields: Option<&[String]>,
) -> Outcome<Arrays> {
    let whole = |bytes| {
        let frame = MdFrameView::new(bytes)?;
        match frame.topology().and_then(|digest| shared.get(&digest)) {
            Some(topology) => frame.fields().joined(topology.fields()),
            None => Ok(frame.into_fields()),
        }
    };
    filled(&batch.iter().map(whole).collect::<vlstore::Result<Vec<_>>>()?, fields)
}

/// The arrays of frames in records of their own.
pub(crate) fn flat_of<'py>(
    py: Python<'py>,
    records: &[AlignedBuf],
    fields: Option<&[String]>,
) -> PyResult<Bound<'py, PyDict>> {
    let arrays = py.detach(|| -> Outcome<_> {
        let frames = records.iter().map(|r| MdFrameView::new(r).map(MdFrameView::into_fields));
        filled(&frames.collect::<vlstore::Result<Vec<_>>>()?, fields)
    })?;
    let dict = PyDict::new(py);
    for (name, array) in arrays {
        dict.set_item(name, array)?;
    }
    Ok(dict)
}

fn filled(frames: &[MdFrameRef<'_>], fields: Option<&[String]>) -> Outcome<Arrays> {
    let columns = columns(frames, fields)?;
    let sizes: Vec<usize> = frames.iter().map(|f| f.nsites).collect();
    let mut made = Made::new(&columns, &sizes)?;
    let mut places = made.places(&columns, &sizes);
    for (frame, row) in frames.iter().zip(places.chunks_mut(columns.len().max(1))) {
        for (column, place) in columns.iter().zip(row) {
            let found = column.name.find(frame);
            if found.and_then(|f| f.piece.put(column.kind, place)) != Some(place.len()) {
                return Err(Error::invalid("batch", "its frames changed while it was read").into());
            }
        }
    }
    made.finish(&columns, &sizes)
}
