//! Statistics of all frames, for training.

use crate::error::Failure;
use crate::store::handle::Handle;
use crate::store::view::View;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vlstore::trajectory::{STATISTICS, Statistics};
use vlstore::{Error, Readable};

/// Statistics of frames as a dict; those that are kept, if they are up to date.
pub(crate) fn statistics<'py>(
    py: Python<'py>,
    handle: &Handle,
    keep: bool,
) -> PyResult<Bound<'py, PyDict>> {
    if keep {
        handle.write(py, |w| Ok(w.commit()?))?;
    }
    let set = handle.read(py, |v| match v {
        View::Set(set) => Ok(Some(set.clone())),
        _ => Ok(None),
    })?;
    if let Some(set) = set {
        return as_dict(py, &watched(py, |signals| Statistics::compute(&set, signals))?);
    }
    let snapshot = handle.read(py, |v| {
        let ahead = v.is_dirty();
        let snapshot = v.committed()?;
        if ahead {
            let why = "there are records that are not committed: commit first";
            return Err(Error::invalid("statistics", why).into());
        }
        Ok(snapshot)
    })?;
    let found = watched(py, |signals| Statistics::of(&snapshot, signals))?;
    if keep && Statistics::kept(&snapshot).is_none_or(|kept| !kept.current) {
        let statistics = found.attributes(&snapshot).get(STATISTICS).cloned().unwrap_or_default();
        handle.write(py, |w| {
            let mut attributes = w.attributes();
            if let Some(members) = attributes.as_object_mut() {
                members.insert(STATISTICS.into(), statistics);
            }
            w.set_attributes(&attributes)?;
            Ok(w.commit()?)
        })?;
    }
    as_dict(py, &found)
}

/// Works with the interpreter detached, until a signal comes.
fn watched(
    py: Python<'_>,
    work: impl FnOnce(&mut dyn FnMut(u64, u64) -> vlstore::Result<()>) -> vlstore::Result<Statistics>
    + Send,
) -> PyResult<Statistics> {
    let mut raised = None;
    let found = py.detach(|| {
        work(&mut |_, _| {
            Python::attach(|py| py.check_signals()).map_err(|error| {
                raised = Some(error);
                Error::Interrupted
            })
        })
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(found.map_err(Failure::from)?),
    }
}

fn as_dict<'py>(py: Python<'py>, s: &Statistics) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    let [fewest, most] = s.sites_range;
    out.set_item("frames", s.frames)?;
    out.set_item("sites", s.sites)?;
    out.set_item("sites_range", (fewest, most))?;
    out.set_item("energies", s.energies)?;
    out.set_item("energy_mean", s.energy_mean)?;
    out.set_item("energies_per_site", s.energies_per_site)?;
    out.set_item("energy_per_site_mean", s.energy_per_site_mean)?;
    out.set_item("energy_per_site_std", s.energy_per_site_std)?;
    out.set_item("force_components", s.force_components)?;
    out.set_item("force_rms", s.force_rms)?;
    out.set_item("force_max", s.force_max)?;
    let types = PyDict::new(py);
    for (kind, count) in &s.types {
        types.set_item(kind, count)?;
    }
    out.set_item("types", types)?;
    Ok(out)
}
