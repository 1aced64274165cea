//! Stacked arrays into frames, without a loop in Python.

use crate::array::numpy::{Input, Want, tuple};
use crate::convert::key;
use crate::error::{Failure, invalid};
use crate::frame::topology::Topology;
use crate::store::class::Store;
use crate::store::encoded::bring;
use crate::store::view::free;
use crate::trajectory::class::Trajectory;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};
use std::ops::Range;
use vlstore::Digest;
use vlstore::Readable as _;
use vlstore::codec::{MdFrameCodec, MdFrameRef, RealView};
use vlstore::depot::encode_many;
use vlstore::{Error, Existing, Key};

/// Frames that are put before signals are looked at, at most.
const TURN: usize = 1024;
/// Sites that they have together, at most, unless one frame has more: all of a turn is in memory.
const TURN_SITES: usize = 64 << 10;

/// An array that is the same for all frames, or has an entry for each.
struct Stack {
    input: Input,
    shared: bool,
}

/// The arrays of many frames.
#[derive(Default)]
struct Stacks {
    frames: Option<(usize, &'static str)>,
    /// Sites of each frame, if all have as many.
    sites: Option<(usize, &'static str)>,
    /// Where the sites of each frame begin, if they are concatenated.
    ptr: Option<Vec<usize>>,
    list: Vec<(&'static str, Stack)>,
    name: Option<String>,
    topology: Option<(Digest, usize)>,
}

impl Stacks {
    /// Where the sites of each frame begin: `ptr`, as batches have it.
    fn cut(&mut self, any: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = any.py();
        let form = "(frames + 1,)";
        let input = Input::get(any, "ptr", Want::Int64)?.shaped(
            py,
            "ptr",
            form,
            |shape| matches!(shape, [n] if *n > 0),
        )?;
        let refuse = || invalid(py, "ptr must begin with 0 and never decrease");
        let ptr = input
            .values::<i64>()
            .iter()
            .map(|n| usize::try_from(*n).map_err(|_| refuse()))
            .collect::<PyResult<Vec<_>>>()?;
        if ptr.first() != Some(&0) || !ptr.is_sorted() {
            return Err(refuse());
        }
        self.frames = Some((ptr.len() - 1, "ptr"));
        self.sites = ptr.last().map(|n| (*n, "ptr"));
        self.ptr = Some(ptr);
        Ok(())
    }

    /// Arrays by site: `(frames, sites, 3)`, or `(all sites, 3)` with `ptr`.
    fn by_site(
        &mut self,
        name: &'static str,
        any: Option<&Bound<'_, PyAny>>,
        width: usize,
    ) -> PyResult<()> {
        let Some(any) = any else { return Ok(()) };
        let py = any.py();
        let want = if name == "types" { Want::Int32 } else { Want::Real };
        let (form, three) = match (self.ptr.is_some(), width) {
            (true, 3) => ("(all sites, 3)", true),
            (true, _) => ("(all sites,)", false),
            (false, 3) => ("(frames, sites, 3)", true),
            (false, _) => ("(frames, sites) or (sites,)", false),
        };
        let ragged = self.ptr.is_some();
        let input =
            Input::get(any, name, want)?.shaped(py, name, form, |shape| match (shape, three) {
                ([_], false) => true,
                ([_, _], false) | ([_, _, 3], true) => !ragged,
                ([_, 3], true) => ragged,
                _ => false,
            })?;
        let (frames, sites) = match (ragged, three, &*input.shape) {
            (false, true, [f, n, _]) | (false, false, [f, n]) => (Some(*f), *n),
            (_, _, [n, ..]) => (None, *n),
            _ => (None, 0),
        };
        if let Some(frames) = frames {
            self.agree(py, name, frames)?;
        }
        match self.sites {
            None => self.sites = Some((sites, name)),
            Some((known, _)) if known == sites => {}
            Some((known, first)) => {
                let why = format!("{name} has {sites} sites, but {first} has {known}");
                return Err(invalid(py, &why));
            }
        }
        self.list.push((name, Stack { input, shared: frames.is_none() && !ragged }));
        Ok(())
    }

    /// Arrays by frame, each entry of the shape `item_shape`; one without frames is shared.
    fn by_frame(
        &mut self,
        name: &'static str,
        any: Option<&Bound<'_, PyAny>>,
        want: Want,
        item_shape: &[usize],
    ) -> PyResult<()> {
        let Some(any) = any else { return Ok(()) };
        let py = any.py();
        let input = Input::get(any, name, want)?;
        let shared = input.shape == item_shape && !item_shape.is_empty();
        let each = input.shape.split_first().filter(|(_, rest)| *rest == item_shape);
        match each {
            _ if shared => {}
            Some((frames, _)) => self.agree(py, name, *frames)?,
            None => {
                let one = if item_shape.is_empty() {
                    String::new()
                } else {
                    format!(" or {}", tuple(item_shape))
                };
                let rest: String = item_shape.iter().map(|n| format!(", {n}")).collect();
                let end = if item_shape.is_empty() { "," } else { "" };
                let found = tuple(&input.shape);
                let why =
                    format!("{name} has shape {found}, but must have (frames{end}{rest}){one}");
                return Err(invalid(py, &why));
            }
        }
        self.list.push((name, Stack { input, shared }));
        Ok(())
    }

    fn agree(&mut self, py: Python<'_>, name: &'static str, frames: usize) -> PyResult<()> {
        match self.frames {
            None => self.frames = Some((frames, name)),
            Some((known, _)) if known == frames => {}
            Some((known, first)) => {
                let why = format!("{name} has {frames} frames, but {first} has {known}");
                return Err(invalid(py, &why));
            }
        }
        Ok(())
    }

    /// The sites of frame `i` among those of an array.
    fn span(&self, stack: &Stack, i: usize) -> Range<usize> {
        if let Some(ptr) = &self.ptr {
            let at = |i| ptr.get(i).copied().unwrap_or_default();
            return at(i)..at(i + 1);
        }
        let n = self.sites.map_or(0, |(n, _)| n);
        let first = if stack.shared { 0 } else { i * n };
        first..first + n
    }

    fn stack(&self, name: &str) -> Option<&Stack> {
        self.list.iter().find(|(known, _)| *known == name).map(|(_, stack)| stack)
    }

    fn reals(&self, name: &str, i: usize, width: usize) -> Option<RealView<'_>> {
        let stack = self.stack(name)?;
        let span = self.span(stack, i);
        let span = span.start * width..span.end * width;
        Some(match stack.input.reals() {
            RealView::F32(v) => RealView::F32(v.get(span).unwrap_or_default()),
            RealView::F64(v) => RealView::F64(v.get(span).unwrap_or_default()),
        })
    }

    /// The `width` numbers of frame `i` of an array by frame.
    fn doubles<const N: usize>(&self, name: &str, i: usize) -> Option<[f64; N]> {
        let stack = self.stack(name)?;
        let first = if stack.shared { 0 } else { i * N };
        match stack.input.reals() {
            RealView::F64(v) => v.get(first..first + N)?.try_into().ok(),
            RealView::F32(v) => {
                let narrow: [f32; N] = v.get(first..first + N)?.try_into().ok()?;
                Some(narrow.map(f64::from))
            }
        }
    }

    /// Sites of frame `i`.
    fn nsites(&self, i: usize) -> usize {
        match &self.ptr {
            Some(ptr) => match (ptr.get(i), ptr.get(i + 1)) {
                (Some(start), Some(end)) => end - start,
                _ => 0,
            },
            None => match (self.sites, self.topology) {
                (Some((n, _)), _) | (None, Some((_, n))) => n,
                (None, None) => 0,
            },
        }
    }

    /// Behind the last frame of the turn that begins with `first`.
    fn turn(&self, first: usize, frames: usize) -> usize {
        let mut sites = self.nsites(first);
        let more = |i: &usize| {
            sites = sites.saturating_add(self.nsites(*i));
            sites <= TURN_SITES
        };
        let most = frames.min(first + TURN);
        first + 1 + (first + 1..most).take_while(more).count()
    }

    fn frame(&self, i: usize) -> MdFrameRef<'_> {
        let nsites = self.nsites(i);
        let types = self
            .stack("types")
            .map(|stack| stack.input.values().get(self.span(stack, i)).unwrap_or_default());
        let pbc = self.stack("pbc").and_then(|stack| {
            let first = if stack.shared { 0 } else { 3 * i };
            stack.input.truths().get(first..first + 3)?.try_into().ok()
        });
        let step = self.stack("step").and_then(|stack| stack.input.values::<i64>().get(i).copied());
        MdFrameRef {
            name: self.name.as_deref(),
            nsites,
            types,
            masses: self.reals("masses", i, 1),
            charges: self.reals("charges", i, 1),
            positions: self.reals("positions", i, 3),
            velocities: self.reals("velocities", i, 3),
            forces: self.reals("forces", i, 3),
            step,
            time: self.doubles::<1>("time", i).map(|[v]| v),
            cell: self.doubles("cell", i),
            pbc,
            energy: self.doubles::<1>("energy", i).map(|[v]| v),
            stress: self.doubles("stress", i),
            topology: self.topology.map(|(digest, _)| digest),
            ..MdFrameRef::default()
        }
    }
}

#[pymethods]
impl Trajectory {
    /// Puts many frames at once from stacked arrays.
    ///
    /// With ``f`` frames of ``n`` sites: ``positions``, ``velocities`` and ``forces`` are
    /// ``(f, n, 3)``; ``types``, ``masses`` and ``charges`` ``(f, n)``, or ``(n,)`` for all
    /// frames; ``energy``, ``time`` and ``step`` ``(f,)``; ``cell`` and ``stress`` ``(f, 3, 3)``
    /// or ``(3, 3)``; ``pbc`` ``(f, 3)``, ``(3,)`` or a bool; ``name`` a string for all.
    ///
    /// Frames of different sizes are concatenated as in a batch: ``positions`` is ``(all sites,
    /// 3)``, ``types`` ``(all sites,)``, and ``ptr``, ``(f + 1,)``, says where the sites of each
    /// frame begin.
    ///
    /// ``topology`` is what all of them refer to.
    ///
    /// ``keys`` has a key for each frame; without it the mapping has them under their ordinals, as
    /// with :meth:`push`. Returns the
    /// number of frames. The arrays must not be changed meanwhile. Not all or nothing: an error
    /// leaves the frames before it.
    ///
    /// float32 and float64 are kept, integers become float64 where that is exact. Raises
    /// :class:`~vlstore.errors.WrongTypeError` for arrays of another type and
    /// :class:`~vlstore.errors.InvalidError` for shapes that do not agree, by name, before anything is
    /// put; :class:`~vlstore.errors.RecordExistsError` as :meth:`put`.
    #[pyo3(signature = (
        positions=None, *, keys=None, ptr=None, types=None, masses=None, charges=None,
        velocities=None, forces=None, cell=None, pbc=None, energy=None, stress=None, step=None,
        time=None, name=None, topology=None, overwrite=true
    ))]
    #[expect(clippy::too_many_arguments, reason = "one for each field, by name")]
    fn put_frames(
        slf: &Bound<'_, Self>,
        positions: Option<&Bound<'_, PyAny>>,
        keys: Option<&Bound<'_, PyAny>>,
        ptr: Option<&Bound<'_, PyAny>>,
        types: Option<&Bound<'_, PyAny>>,
        masses: Option<&Bound<'_, PyAny>>,
        charges: Option<&Bound<'_, PyAny>>,
        velocities: Option<&Bound<'_, PyAny>>,
        forces: Option<&Bound<'_, PyAny>>,
        cell: Option<&Bound<'_, PyAny>>,
        pbc: Option<&Bound<'_, PyAny>>,
        energy: Option<&Bound<'_, PyAny>>,
        stress: Option<&Bound<'_, PyAny>>,
        step: Option<&Bound<'_, PyAny>>,
        time: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyString>>,
        topology: Option<&Bound<'_, Topology>>,
        overwrite: bool,
    ) -> PyResult<usize> {
        let (py, store) = (slf.py(), Self::store(slf));
        let mut stacks = Stacks::default();
        if let Some(ptr) = ptr {
            stacks.cut(ptr)?;
        }
        stacks.by_site("positions", positions, 3)?;
        stacks.by_site("velocities", velocities, 3)?;
        stacks.by_site("forces", forces, 3)?;
        stacks.by_site("types", types, 1)?;
        stacks.by_site("masses", masses, 1)?;
        stacks.by_site("charges", charges, 1)?;
        stacks.by_frame("energy", energy, Want::Real, &[])?;
        stacks.by_frame("time", time, Want::Real, &[])?;
        stacks.by_frame("step", step, Want::Int64, &[])?;
        stacks.by_frame("cell", cell, Want::Real, &[3, 3])?;
        stacks.by_frame("stress", stress, Want::Real, &[3, 3])?;
        let all = pbc.and_then(|any| any.cast::<PyBool>().ok()).map(|all| [all.is_true(); 3]);
        let all = all.map(|all| all.into_pyobject(py)).transpose()?;
        let pbc = all.as_ref().map(|all| all.as_any()).or(pbc);
        stacks.by_frame("pbc", pbc, Want::Bool, &[3])?;
        stacks.name = name.map(|name| name.to_str().map(ToOwned::to_owned)).transpose()?;
        let topology = topology.map(Bound::get);
        stacks.topology = topology.map(|t| (*t.digest(), t.nsites()));
        let Some((frames, first)) = stacks.frames else {
            let why = "no array has an entry for each frame: positions is (frames, sites, 3)";
            return Err(invalid(py, why));
        };
        let keys = keys.map(key::keys).transpose()?;
        if let Some(keys) = keys.as_ref().filter(|keys| keys.len() != frames) {
            let why = format!("found {} keys, but {first} has {frames} frames", keys.len());
            return Err(invalid(py, &why));
        }
        if let Some(topology) = topology {
            store.handle().write(py, |w| bring(topology, w, store.handle()))?;
        }
        put_stacks(py, store, &stacks, frames, keys.as_deref(), overwrite)?;
        Ok(frames)
    }
}

/// Puts the frames, in turns between which signals are looked at: those of a turn are encoded side by side, then put
/// in their order.
fn put_stacks(
    py: Python<'_>,
    store: &Store,
    stacks: &Stacks,
    frames: usize,
    keys: Option<&[Key]>,
    overwrite: bool,
) -> PyResult<()> {
    let encode = |version: u32, i: usize, record: &mut Vec<u8>| {
        let frame = stacks.frame(i);
        match stacks.topology.filter(|(_, n)| *n != frame.nsites) {
            Some((_, n)) => Err(misfit(i, frame.nsites, n)),
            None => Ok(MdFrameCodec.encode_for(version, &frame, record)?.weight),
        }
    };
    let mut next = 0;
    while next < frames {
        let turn = next..stacks.turn(next, frames);
        next = turn.end;
        store.handle().write(py, |w| {
            let mut i = turn.start;
            let version = w.layout().record_codec.1;
            encode_many(w, turn, |i, record| encode(version, i, record))?.each(|record, weight| {
                let key = match keys {
                    Some(keys) => Some(keys.get(i).ok_or_else(|| missing(i))?),
                    None => None,
                };
                free(w, key, store.typed.keyed)?;
                w.put_unchecked(key, record, weight, Existing::of(overwrite))?;
                i += 1;
                Ok::<_, Failure>(())
            })
        })?;
        py.check_signals()?;
    }
    Ok(())
}

fn misfit(i: usize, frame: usize, topology: usize) -> Error {
    let why = format!("it has {topology} sites, but frame {i} has {frame}");
    Error::invalid("topology", why)
}

fn missing(i: usize) -> Error {
    Error::invalid("keys", format!("frame {i} has none"))
}
