//! `trajectory.at`: the frames by their ordinals.

use crate::convert::array_request::array_request;
use crate::convert::ordinals::many;
use crate::store::at::At;
use crate::store::typed::Typed;
use crate::store::view::Asked;
use crate::trajectory::arrays::flat;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The frames of a trajectory in the order of insertion: ``trajectory.at``.
///
/// As :class:`Ordinals`, and many frames at once as flat arrays (:meth:`arrays`).
#[pyclass(frozen, extends = At, sequence, module = "vlstore", name = "Frames")]
pub(crate) struct Frames;

impl Frames {
    pub(crate) fn over(typed: Typed) -> PyClassInitializer<Self> {
        PyClassInitializer::from(At::new(typed)).add_subclass(Self)
    }
}

#[pymethods]
impl Frames {
    /// The frames at ``ordinals`` as flat arrays; see :meth:`Trajectory.get_arrays`.
    #[pyo3(signature = (ordinals, fields=None, *, missing=None, fill_value=None, mask=false))]
    fn arrays<'py>(
        slf: &Bound<'py, Self>,
        ordinals: &Bound<'py, PyAny>,
        fields: Option<&Bound<'py, PyAny>>,
        missing: Option<&Bound<'py, PyAny>>,
        fill_value: Option<&Bound<'py, PyAny>>,
        mask: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        Ok(Self::_arrays(slf, ordinals, fields, missing, fill_value, mask)?.0)
    }

    /// As :meth:`arrays`, with the names of those that have an entry for each site.
    #[pyo3(signature = (ordinals, fields, missing, fill_value, mask))]
    fn _arrays<'py>(
        slf: &Bound<'py, Self>,
        ordinals: &Bound<'py, PyAny>,
        fields: Option<&Bound<'py, PyAny>>,
        missing: Option<&Bound<'py, PyAny>>,
        fill_value: Option<&Bound<'py, PyAny>>,
        mask: bool,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
        let py = slf.py();
        let request = array_request(fields, missing, fill_value, mask)?;
        let asked = many(ordinals)?;
        let handle = &slf.as_super().get().typed.handle;
        let asked = handle.read(py, |v| Ok(Asked::Ordinals(v.ordinals(&asked)?)))?;
        let flat = flat(py, handle, &asked, request)?;
        Ok((flat.dict(py)?, flat.per_site()))
    }
}
