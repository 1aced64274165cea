//! `vlstore.Trajectory`: a store of frames.

use crate::array::buffer::Memory;
use crate::convert::array_request::array_request;
use crate::convert::iterable;
use crate::convert::key;
use crate::error::{from_error, invalid};
use crate::frame::md_frame::MdFrame;
use crate::frame::topology::Topology;
use crate::store::class::Store;
use crate::store::codec::RecordCodec;
use crate::store::depot::Depot;
use crate::store::typed::Typed;
use crate::store::view::View;
use crate::trajectory::arrays::flat;
use crate::trajectory::at::Frames;
use crate::trajectory::statistics::statistics;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use vlstore::Readable;
use vlstore::codec::Fields;
use vlstore::trajectory::StartAt;

/// A store of frames: ``trajectory[key]`` is an :class:`MdFrame`.
///
/// Made by :func:`vlstore.open` of a file of frames, and with ``records="md-frame"`` of a new one.
/// ``Trajectory(store)`` is a second view of an open store; closing one closes both. Beside what a
/// :class:`Depot` has, it reads and writes many frames as arrays, keeps topologies, and has
/// statistics for training.
///
/// Raises :class:`~vlstore.errors.CodecError` if the records of the store are something else.
#[pyclass(frozen, extends = Depot, module = "vlstore", name = "Trajectory")]
pub(crate) struct Trajectory;

impl Trajectory {
    pub(crate) fn over(py: Python<'_>, typed: Typed) -> PyResult<PyClassInitializer<Self>> {
        Ok(Depot::over(py, typed)?.add_subclass(Self))
    }

    pub(crate) fn store<'a>(slf: &'a Bound<'_, Self>) -> &'a Store {
        slf.as_super().as_super().get()
    }

    fn typed<'a>(slf: &'a Bound<'_, Self>) -> &'a Typed {
        &Self::store(slf).typed
    }
}

#[pymethods]
impl Trajectory {
    #[new]
    #[pyo3(signature = (store))]
    fn new(store: &Bound<'_, Store>) -> PyResult<PyClassInitializer<Self>> {
        let codec = Some(Arc::new(RecordCodec::MdFrame));
        Self::over(store.py(), Typed { codec, ..store.get().typed.clone() })
    }

    /// Delete the stored frames at and after a simulation step or a frame number, so that a job that
    /// starts again from a checkpoint stores no frame twice.
    ///
    /// Give one of ``step``, compared with the steps of the frames, and ``frame``, compared with their
    /// integer keys, or, where they have none, with their ordinals. Returns the number of deleted
    /// frames. The deletion is committed with the frames that are put next. Raises
    /// :class:`~vlstore.errors.InvalidError` if steps are to be compared and a stored frame has none.
    #[pyo3(signature = (*, step=None, frame=None))]
    fn drop_from(slf: &Bound<'_, Self>, step: Option<i64>, frame: Option<u64>) -> PyResult<u64> {
        let (py, store) = (slf.py(), Self::store(slf));
        let start = match (step, frame) {
            (Some(step), None) => StartAt::Step(step),
            (None, Some(frame)) => StartAt::Frame(frame),
            _ => return Err(invalid(py, "drop_from: give a step or a frame, and not both")),
        };
        Ok(store.handle().write(py, |w| Ok(vlstore::trajectory::drop_from(w, start)?.dropped))?)
    }

    /// The frame under ``key``, or ``default`` if there is none.
    ///
    /// ``fields`` names what is wanted of it (``"positions"``, ``"energy"`` …): the
    /// :class:`MdFrame` has that and nothing else, and of a large record only the blocks in
    /// which it lies are decoded. Raises :class:`~vlstore.errors.InvalidError` for a name that
    /// is none of a frame's.
    #[pyo3(signature = (key, default=None, *, fields=None))]
    fn get(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
        fields: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (py, store) = (slf.py(), Self::store(slf));
        let key = key::key(key)?;
        let found = match iterable::fields(fields)? {
            None => store.value(py, &key)?,
            Some(fields) => {
                // A wrong name of a field is an error also if the record is missing.
                Fields::named(&fields).map_err(|e| from_error(py, &e))?;
                let found = store.handle().read(py, |v| {
                    let ordinal = v.place(&key, store.typed.keyed)?;
                    ordinal.map(|ordinal| v.frame_with(ordinal, &fields)).transpose()
                })?;
                let frame = |bytes: Vec<u8>| {
                    let frame = MdFrame::over(py, Memory::made(&bytes)?, |_| Ok(None))?;
                    Ok::<_, PyErr>(Bound::new(py, frame)?.into_any().unbind())
                };
                found.map(frame).transpose()?
            }
        };
        Ok(found.or(default).unwrap_or_else(|| py.None()))
    }

    /// Frames under ``keys`` as flat arrays, as a dict.
    ///
    /// With ``k`` frames of ``s`` sites in all: ``positions``, ``velocities``, ``forces``
    /// ``(s, 3)`` and ``masses``, ``charges`` ``(s,)``, float32 or float64; ``types`` ``(s,)``, int32;
    /// ``cell``, ``stress`` ``(k, 3, 3)`` and ``energy``, ``time`` ``(k,)``, float64; ``step`` ``(k,)``,
    /// int64; ``pbc`` ``(k, 3)``, bool; ``ptr`` ``(k + 1,)``, int64, where the
    /// sites of each frame begin; ``batch`` ``(s,)``, int64, the frame of each site. The arrays belong
    /// to the caller and are writable; they are filled without a loop in Python.
    ///
    /// ``fields`` names what is wanted, extra properties too. Without it, every field above that
    /// all of the frames have is there (with ``missing="fill"``, that any of them has). An array is
    /// float64 if it is in one of the frames. A batch of no frame has its fields, too.
    ///
    /// ``missing`` says what a frame without one of the fields is: ``"error"`` (the default), which
    /// names the frame, or ``"fill"``: its entries are ``fill_value``, a number or a dict of numbers
    /// by field. Without one they are NaN, of integers 0 (-2**63 of ``step``), of booleans False.
    /// ``mask=True`` adds, for each field, the array ``<field>_mask``, ``(k,)``, bool: which frames
    /// have it. To give a fill value or a mask implies ``"fill"``.
    ///
    /// Raises :class:`~vlstore.errors.InvalidError` with the names that exist for another one, and
    /// for a frame without a field.
    #[pyo3(signature = (keys, fields=None, *, missing=None, fill_value=None, mask=false))]
    fn get_arrays<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        fields: Option<&Bound<'py, PyAny>>,
        missing: Option<&Bound<'py, PyAny>>,
        fill_value: Option<&Bound<'py, PyAny>>,
        mask: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (py, typed) = (slf.py(), Self::typed(slf));
        let request = array_request(fields, missing, fill_value, mask)?;
        let keys = key::keys(keys)?;
        let asked = typed.handle.read(py, |v| v.asked(keys, typed.keyed))?;
        flat(py, &typed.handle, &asked, request)?.dict(py)
    }

    /// Statistics of all frames for training, as a dict.
    ///
    /// ``frames``, ``sites`` (of all frames), ``sites_range`` (fewest, most); ``energies`` (frames
    /// that have one), ``energy_mean``, ``energies_per_site``, ``energy_per_site_mean`` and
    /// ``energy_per_site_std``; ``force_components``, ``force_rms`` and ``force_max`` (of single
    /// components); ``types`` (number of sites by type). In the units of the store; ``None``
    /// where there is nothing to take a mean of.
    ///
    /// Those that the file keeps are given if no record was put or deleted since; else they are
    /// computed in one pass. ``keep`` commits them as the attribute ``"statistics"`` of a store
    /// that is open for writing.
    #[pyo3(signature = (*, keep=false))]
    fn statistics<'py>(slf: &Bound<'py, Self>, keep: bool) -> PyResult<Bound<'py, PyDict>> {
        statistics(slf.py(), &Self::typed(slf).handle, keep)
    }

    /// The topologies that frames of the store share, in the order in which they were put.
    /// What a writer has not committed is not in it.
    fn topologies(slf: &Bound<'_, Self>) -> PyResult<Vec<Py<Topology>>> {
        let (py, handle) = (slf.py(), &Self::typed(slf).handle);
        let list = handle.read(py, |v| match v {
            View::Set(set) => Ok(set.list_shared()?),
            one => Ok(one.committed()?.list_shared()?),
        })?;
        list.iter().map(|(digest, _)| handle.topology(py, digest)).collect()
    }

    /// The frames by their ordinals, 0 to ``len(trajectory) - 1``: ``trajectory.at[i]``,
    /// ``trajectory.at[10:20]``, ``trajectory.at.arrays([3, 1, 4])``.
    #[getter]
    fn at(slf: &Bound<'_, Self>) -> PyResult<Py<Frames>> {
        Py::new(slf.py(), Frames::over(Self::typed(slf).clone()))
    }
}
