//! Many frames as flat arrays: what a model is fed with.

use crate::array::buffer::BytesMut;
use crate::array::numpy::unset;
use crate::convert::wanted::Wanted;
use crate::error::{Failure, Outcome, invalid};
use crate::frame::topology::Topology;
use crate::store::handle::Handle;
use crate::store::view::{Asked, View};
use crate::trajectory::field::{FIELDS, Name, copy};
use crate::trajectory::survey::Survey;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use vlstore::Readable;
use vlstore::codec::{
    AnyCodec, DType, MdFrameCodec, MdFrameRef, MdFrameView, RealView, TopologyView,
};
use vlstore::{AlignedBuf, Digest};
use vlstore::{Batch, Error, Plan, Snapshot};

/// One array of the answer.
struct Column<'n> {
    name: Name<'n>,
    kind: DType,
    by_site: bool,
    tail: Vec<u32>,
    /// Bytes of one value where a frame does not have the field; none where all have it.
    fill: Vec<u8>,
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

    /// Writes what `frame` has of the field into all of `out`; whether it has as much.
    fn put(&self, frame: &MdFrameRef<'_>, out: &mut [u8]) -> bool {
        match self.name.find(frame) {
            Some(found) => found.piece.put(self.kind, out) == Some(out.len()),
            None if self.fill.is_empty() => out.is_empty(),
            None => {
                out.chunks_exact_mut(self.fill.len()).for_each(|o| o.copy_from_slice(&self.fill));
                true
            }
        }
    }
}

/// How the frames give one array; `None` if a field that nobody asked for is not in all, or, where
/// what is missing is filled, in none.
fn column<'n>(
    frames: &[MdFrameRef<'_>],
    name: &'n str,
    wanted: &Wanted,
    who: &Who<'_>,
) -> Outcome<Option<Column<'n>>> {
    let asked = wanted.fields.is_some();
    let text = name;
    let name = Name::new(text);
    let mut column: Option<Column<'n>> = None;
    let mut missing = None;
    for (i, frame) in frames.iter().enumerate() {
        let Some(found) = name.find(frame) else {
            if wanted.fill.is_none() {
                return if asked { Err(who.lacks(i, frame, text)) } else { Ok(None) };
            }
            missing = Some(i);
            continue;
        };
        let kind = found.piece.kind();
        match &mut column {
            None => {
                let (by_site, tail) = (found.by_site, found.tail.to_vec());
                column = Some(Column { name, kind, by_site, tail, fill: Vec::new() });
            }
            Some(c) if c.by_site != found.by_site || c.tail != found.tail => {
                return Err(who.differs(i, text, "shape"));
            }
            Some(c) => match (c.kind, kind) {
                (a, b) if a == b => {}
                (DType::F32, DType::F64) | (DType::F64, DType::F32) => c.kind = DType::F64,
                (DType::I32, DType::I64) | (DType::I64, DType::I32) => c.kind = DType::I64,
                _ => return Err(who.differs(i, text, "type")),
            },
        }
    }
    if column.is_none() && asked {
        column = match form(frames, &name) {
            Some(column) => Some(column),
            None => Some(who.elsewhere(text)?),
        };
    }
    if let (Some(column), Some(fill), Some(_)) = (&mut column, &wanted.fill, missing) {
        column.fill = fill.bytes(text, column.kind)?;
    }
    Ok(column)
}

/// A standard field that none of the frames has: numbers by site are as wide as the positions.
fn form<'n>(frames: &[MdFrameRef<'_>], name: &Name<'n>) -> Option<Column<'n>> {
    let (kind, tail, by_site) = name.form()?;
    let narrow = by_site
        && kind == DType::F64
        && frames.iter().all(|f| matches!(f.positions, Some(RealView::F32(_))));
    let kind = if narrow && !frames.is_empty() { DType::F32 } else { kind };
    Some(Column { name: *name, kind, by_site, tail: tail.to_vec(), fill: Vec::new() })
}

/// The arrays that these frames give.
fn columns<'n>(
    frames: &[MdFrameRef<'_>],
    wanted: &'n Wanted,
    who: &Who<'_>,
) -> Outcome<Vec<Column<'n>>> {
    let all: Vec<Option<Column<'n>>> = match &wanted.fields {
        Some(names) => {
            names.iter().map(|n| column(frames, n, wanted, who)).collect::<Outcome<_>>()?
        }
        None => FIELDS.iter().map(|n| column(frames, n, wanted, who)).collect::<Outcome<_>>()?,
    };
    Ok(all.into_iter().flatten().collect())
}

type Arrays = Vec<(String, Py<PyAny>)>;

/// What is known of the frames of a batch: how they are called, and where to look for others.
struct Who<'a> {
    handle: &'a Handle,
    asked: &'a Asked,
}

impl Who<'_> {
    /// What the frame at position `i` of the batch is called in the store.
    fn name(&self, i: usize) -> String {
        let known = match self.asked {
            Asked::Keys(keys) => keys.get(i).map(|key| format!("record {key}")),
            Asked::Ordinals(ordinals) => ordinals.get(i).map(|o| format!("ordinal {o}")),
        };
        format!("frame {i} of the batch ({})", known.unwrap_or_default())
    }

    fn survey(&self, names: &[String]) -> Outcome<Survey> {
        Python::attach(|py| self.handle.read(py, |view| Survey::of(&view, names)))
    }

    /// The column of a field that no frame of the batch has, as other frames of the store have it.
    fn elsewhere<'n>(&self, text: &'n str) -> Outcome<Column<'n>> {
        let survey = self.survey(&[text.to_owned()])?;
        let Some((kind, tail, by_site)) = survey.form(text) else {
            return Err(survey.unknown(text).into());
        };
        Ok(Column { name: Name::new(text), kind, by_site, tail, fill: Vec::new() })
    }

    /// The error for a field that was asked for and is not in a frame.
    fn lacks(&self, i: usize, frame: &MdFrameRef<'_>, text: &str) -> Failure {
        if !FIELDS.contains(&text)
            && let Err(unknown) = self.elsewhere(text)
        {
            return unknown;
        }
        let own = frame.atom_properties.iter().chain(&frame.frame_properties).map(|p| p.name);
        let there = FIELDS.into_iter().filter(|name| Name::new(name).find(frame).is_some());
        let there = there.chain(own).collect::<Vec<_>>().join(", ");
        let why = format!(
            "{} has no {text:?}; it has {there}. missing=\"fill\" puts a fill value there, and \
             mask=True says where",
            self.name(i)
        );
        Error::invalid("batch", why).into()
    }

    fn differs(&self, i: usize, text: &str, what: &str) -> Failure {
        let why = format!("{} has another {what} of {text:?} than those before it", self.name(i));
        Error::invalid("batch", why).into()
    }

    /// Puts the name of the frame at position `i` before an error of its record.
    fn of(&self, i: usize, error: Error) -> Failure {
        match error {
            Error::Codec { .. } => {
                Error::Record { key: self.name(i).into(), source: Box::new(error) }.into()
            }
            other => other.into(),
        }
    }
}

/// The arrays of a batch, and the names of those with an entry for each site.
pub(crate) struct Flat {
    arrays: Arrays,
    per_site: Vec<String>,
}

impl Flat {
    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, array) in &self.arrays {
            dict.set_item(name, array)?;
        }
        Ok(dict)
    }

    pub(crate) fn per_site(&self) -> &[String] {
        &self.per_site
    }
}

/// The arrays of the frames that `asked` names, filled with the interpreter detached.
pub(crate) fn flat(
    py: Python<'_>,
    handle: &Handle,
    asked: &Asked,
    wanted: &Wanted,
) -> PyResult<Flat> {
    let who = Who { handle, asked };
    if asked.is_empty() {
        return Ok(py.detach(|| blank(&who, wanted))?);
    }
    let found = handle.read(py, |view| {
        if let Some(records) = slim(&view, asked, wanted)? {
            return Ok(Either::Slim(records));
        }
        // A reader goes through a state of its own and holds no lock while it makes arrays.
        let direct = match &view {
            View::Reader(snapshot) => direct(snapshot, wanted, &who)?,
            View::Writer(_) => None,
        };
        match direct {
            Some(arrays) => Ok(Either::Arrays(arrays)),
            None => Ok(Either::Batch(asked.batch(&view)?)),
        }
    })?;
    match found {
        Either::Arrays(arrays) => Ok(arrays),
        Either::Slim(records) => Ok(py.detach(|| -> Outcome<_> {
            let frames = records.iter().map(|r| MdFrameView::new(r).map(MdFrameView::into_fields));
            filled(&frames.collect::<vlstore::Result<Vec<_>>>()?, wanted, &who)
        })?),
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
            Ok(py.detach(|| general(&views, &batch, wanted, &who))?)
        }
    }
}

enum Either {
    Arrays(Flat),
    Slim(Vec<AlignedBuf>),
    Batch(Batch),
}

impl Asked {
    fn is_empty(&self) -> bool {
        match self {
            Self::Keys(keys) => keys.is_empty(),
            Self::Ordinals(ordinals) => ordinals.is_empty(),
        }
    }

    fn batch(&self, view: &View<'_>) -> Outcome<Batch> {
        let batch = match self {
            Self::Keys(keys) => view.plan_keys(keys)?.batch()?,
            Self::Ordinals(ordinals) => view.get_batch_at(ordinals)?,
        };
        Ok(batch.replaced(|bytes| MdFrameCodec.expand(bytes))?)
    }

    fn plan<'a>(&self, snapshot: &'a Snapshot) -> Outcome<Plan<'a>> {
        Ok(match self {
            Self::Keys(keys) => snapshot.plan_keys(keys)?,
            Self::Ordinals(ordinals) => snapshot.plan_at(ordinals)?,
        })
    }
}

/// Records with the wanted fields alone, where the frames are so large that they are read in parts.
fn slim(view: &View<'_>, asked: &Asked, wanted: &Wanted) -> Outcome<Option<Vec<AlignedBuf>>> {
    let fields = wanted.fields.as_deref();
    match asked {
        Asked::Ordinals(ordinals) => view.slim(ordinals, fields),
        Asked::Keys(keys) => {
            let Some(first) = keys.first().filter(|_| fields.is_some()) else { return Ok(None) };
            if view.slim(&[view.placed(first, true)?], Some(&[]))?.is_none() {
                return Ok(None);
            }
            let ordinals = keys.iter().map(|key| view.placed(key, true));
            view.slim(&ordinals.collect::<Outcome<Vec<_>>>()?, fields)
        }
    }
}

/// The arrays of no frame at all: of the fields that were asked for, or of those that a first frame
/// would give.
fn blank(who: &Who<'_>, wanted: &Wanted) -> Outcome<Flat> {
    let survey = who.survey(wanted.fields.as_deref().unwrap_or_default())?;
    let all: Vec<&str> = match &wanted.fields {
        Some(names) => names.iter().map(String::as_str).collect(),
        None if survey.frames == 0 => FIELDS.to_vec(),
        None => survey.first.clone(),
    };
    let column = |text| {
        if let Some((kind, tail, by_site)) = survey.form(text) {
            return Ok(Column { name: Name::new(text), kind, by_site, tail, fill: Vec::new() });
        }
        form(&[], &Name::new(text)).ok_or_else(|| survey.unknown(text))
    };
    let columns = all.into_iter().map(column).collect::<vlstore::Result<Vec<_>>>()?;
    Made::new(&columns, &[])?.finish(&columns, &[], wanted, &[])
}

/// The arrays of frames that are all made alike, as those of a trajectory are: each is copied
/// from the block that it was decoded in to its places, with no buffer between. `None` if the
/// frames turn out to differ in more than their sizes.
fn direct(snapshot: &Snapshot, wanted: &Wanted, who: &Who<'_>) -> Outcome<Option<Flat>> {
    let plan = who.asked.plan(snapshot)?;
    let Some(first) = plan.first()? else { return Ok(None) };
    let expanded = MdFrameCodec.expand(&first)?;
    let Ok(first) = MdFrameView::new(expanded.as_deref().unwrap_or(&first)) else {
        return Ok(None);
    };
    let first = first.into_fields();
    let alike = Wanted { fields: wanted.fields.clone(), ..Wanted::default() };
    let Ok(columns) = columns(&[first], &alike, who) else { return Ok(None) };
    let sizes: Vec<usize> = plan.sites().map(|n| n as usize).collect();
    // What the index says is not believed before the records say it, too.
    if sizes.iter().sum::<usize>().saturating_mul(8) > CLAIMED {
        return Ok(None);
    }
    // Where what is missing is filled, no later frame may have what the first has not.
    let count = wanted.fill.is_some().then_some(columns.len());
    let mut made = Made::new(&columns, &sizes)?;
    let mut places = made.places(&columns, &sizes);
    let rows: Vec<_> = places.chunks_mut(columns.len().max(1)).map(Mutex::new).collect();
    let differs = AtomicBool::new(false);
    let done = plan.each(|i, bytes| {
        let expanded = MdFrameCodec.expand(bytes)?;
        let frame = MdFrameView::new(expanded.as_deref().unwrap_or(bytes))?;
        let row = rows.get(i).and_then(|row| row.lock().ok());
        let alike = row.is_some_and(|mut row| {
            // What a frame has from its topology is not in its bytes.
            frame.topology().is_none()
                && sizes.get(i) == Some(&frame.nsites())
                && (wanted.fields.is_some() || count.is_none_or(|n| n == standard(frame.fields())))
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
    match done {
        // The general way names the record that is not a frame.
        Err(Error::Codec { .. }) => return Ok(None),
        _ if differs.into_inner() => return Ok(None),
        done => done?,
    }
    made.finish(&columns, &sizes, wanted, &[]).map(Some)
}

/// How many of the standard fields a frame has.
fn standard(frame: &MdFrameRef<'_>) -> usize {
    FIELDS.into_iter().filter(|name| Name::new(name).find(frame).is_some()).count()
}

/// Bytes of memory that frames may claim without bytes of their own.
const CLAIMED: usize = 512 << 20;

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

    /// The arrays with their names, those that say where there are values, if that is wanted, and
    /// those that say which sites belong to which frame. Of `frames` that are not given all have
    /// everything.
    fn finish(
        self,
        columns: &[Column<'_>],
        sizes: &[usize],
        wanted: &Wanted,
        frames: &[MdFrameRef<'_>],
    ) -> Outcome<Flat> {
        let names = columns.iter().map(|column| column.name.text.to_owned());
        let mut out: Arrays = names.zip(self.arrays.into_iter().map(|(array, _)| array)).collect();
        for column in columns.iter().filter(|_| wanted.mask) {
            let name = format!("{}_mask", column.name.text);
            if columns.iter().any(|other| other.name.text == name) {
                let why = format!("there is a field {name:?}: ask for it in a batch of its own");
                return Err(Error::invalid("mask", why).into());
            }
            let (array, mut memory) = Python::attach(|py| unset(py, DType::Bool, &[sizes.len()]))?;
            for (i, place) in memory.as_mut_slice().iter_mut().enumerate() {
                let there = frames.get(i).is_none_or(|f| column.name.find(f).is_some());
                *place = there.into();
            }
            out.push((name, array));
        }
        let by_site = columns.iter().filter(|column| column.by_site);
        let per_site = by_site.map(|column| column.name.text.to_owned()).collect();
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
        Ok(Flat { arrays: out, per_site })
    }
}

/// An array of `len` integers, all of whose bytes `fill` writes; it returns how many.
fn whole(len: usize, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> PyResult<Py<PyAny>> {
    let (array, mut memory) = Python::attach(|py| unset(py, DType::I64, &[len]))?;
    let out = memory.as_mut_slice();
    let all = out.len();
    if fill(out) == Some(all) {
        return Ok(array);
    }
    Python::attach(|py| Err(invalid(py, "the frames changed while they were read")))
}

/// The arrays of any frames.
fn general(
    shared: &HashMap<Digest, TopologyView<'_>>,
    batch: &Batch,
    wanted: &Wanted,
    who: &Who<'_>,
) -> Outcome<Flat> {
    let whole = |(i, bytes)| {
        let frame = MdFrameView::new(bytes).map_err(|e| who.of(i, e))?;
        match frame.topology().and_then(|digest| shared.get(&digest)) {
            Some(topology) => frame.fields().joined(topology.fields()).map_err(|e| who.of(i, e)),
            None => Ok(frame.into_fields()),
        }
    };
    filled(&batch.iter().enumerate().map(whole).collect::<Outcome<Vec<_>>>()?, wanted, who)
}

fn filled(frames: &[MdFrameRef<'_>], wanted: &Wanted, who: &Who<'_>) -> Outcome<Flat> {
    let columns = columns(frames, wanted, who)?;
    let sizes: Vec<usize> = frames.iter().map(|f| f.nsites).collect();
    believable(frames, &columns, who)?;
    let mut made = Made::new(&columns, &sizes)?;
    let mut places = made.places(&columns, &sizes);
    for (frame, row) in frames.iter().zip(places.chunks_mut(columns.len().max(1))) {
        for (column, place) in columns.iter().zip(row) {
            if !column.put(frame, place) {
                return Err(Error::invalid("batch", "its frames changed while it was read").into());
            }
        }
    }
    made.finish(&columns, &sizes, wanted, frames)
}

/// Refuses frames that claim sites without an array for them, of which a few bytes would take any
/// amount of memory.
fn believable(frames: &[MdFrameRef<'_>], columns: &[Column<'_>], who: &Who<'_>) -> Outcome<()> {
    let filled = columns.iter().filter(|column| column.by_site && !column.fill.is_empty());
    let each = filled.map(Column::width).fold(8, usize::saturating_add);
    let mut claimed = 0_usize;
    for (i, frame) in frames.iter().enumerate() {
        let has =
            |column: usize| Name::new(FIELDS.get(column).unwrap_or(&"")).find(frame).is_some();
        if (0..6).any(has) || !frame.atom_properties.is_empty() {
            continue;
        }
        claimed = claimed.saturating_add(frame.nsites.saturating_mul(each));
        if claimed > CLAIMED {
            let why = format!(
                "it claims {} sites and has no array of them: the batch would take more than \
                 {CLAIMED} bytes for such frames; ask for fewer of them",
                frame.nsites
            );
            return Err(who.of(i, Error::codec("md-frame", why)));
        }
    }
    Ok(())
}
