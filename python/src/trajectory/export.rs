//! Trajectories of other programs: frames of a store to a file.

use crate::convert::ordinals;
use crate::convert::progress::Progress;
use crate::error::{Failure, from_error, invalid};
use crate::store::class::Store;
use crate::store::view::View;
use pyo3::prelude::*;
use pyo3::types::PySlice;
use std::path::PathBuf;
use vlstore::Error;
use vlstore::Readable;
use vlstore::codec::Fields;
use vlstore::formats::FormatKind;
use vlstore::trajectory::{self, AtomGroup, Atoms, Choice, ExportOptions, Trajectory};

/// What :func:`export` wrote.
#[pyclass(frozen, get_all, module = "vlstore", name = "Exported")]
pub(crate) struct Exported {
    /// Frames.
    frames: u64,
    /// The format: ``"xtc"``, ``"trr"``, ``"dcd"``, ``"extxyz"`` or ``"h5md"``.
    format: String,
    /// Names of fields of these frames that have no place in the format.
    left_out: Vec<String>,
    /// Ordinals of frames that the format cannot hold, if they were to be left out.
    skipped: Vec<u64>,
    /// Whether the store states its units; if not, the numbers were written as they are.
    units_stated: bool,
}

#[pymethods]
impl Exported {
    #[new]
    #[pyo3(signature = (frames=0, format=String::new(), left_out=Vec::new(), skipped=Vec::new(), units_stated=true))]
    fn of_counts(
        frames: u64,
        format: String,
        left_out: Vec<String>,
        skipped: Vec<u64>,
        units_stated: bool,
    ) -> Self {
        Self { frames, format, left_out, skipped, units_stated }
    }

    fn __repr__(&self) -> String {
        let skipped = match self.skipped.len() {
            0 => String::new(),
            n => format!(", {n} left out"),
        };
        format!("<vlstore.Exported {} frames as {}{skipped}>", self.frames, self.format)
    }
}

/// Which of these names are of residues of a kind, such as ``"protein"``.
#[pyfunction(name = "_residues_of")]
#[pyo3(signature = (group, names))]
pub(crate) fn residues_of(py: Python<'_>, group: &str, names: Vec<String>) -> PyResult<Vec<bool>> {
    let group = AtomGroup::from_name(group).map_err(|e| from_error(py, &e))?;
    Ok(names.iter().map(|name| group.has(name)).collect())
}

/// Writes frames of an open store to a file.
#[pyfunction(name = "_export")]
#[pyo3(signature = (store, output, frames, atoms, atoms_of, fields, format, precision, overwrite, skip_unfit, progress))]
#[expect(clippy::too_many_arguments, reason = "named in Python")]
pub(crate) fn export(
    py: Python<'_>,
    store: &Bound<'_, Store>,
    output: PathBuf,
    frames: Option<&Bound<'_, PyAny>>,
    atoms: Option<(Option<i64>, Option<i64>, Option<i64>)>,
    atoms_of: Option<&str>,
    fields: Option<Vec<String>>,
    format: Option<&str>,
    precision: Option<f32>,
    overwrite: bool,
    skip_unfit: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Exported> {
    let mut progress = Progress::new(progress)?;
    let snapshot = store.get().handle().read(py, |view: View<'_>| {
        if view.is_dirty() {
            let why = "there are records that are not committed: commit first";
            return Err(Error::invalid("export", why).into());
        }
        Ok(view.committed()?)
    })?;
    let store_error = |e: Error| from_error(py, &e);
    let options = ExportOptions {
        format: format.map(FormatKind::from_name).transpose().map_err(store_error)?,
        frames: choice(frames, snapshot.len())?,
        atoms: match (atoms, atoms_of) {
            (Some((start, end, step)), _) => Atoms::Range { start, end, step: step.unwrap_or(1) },
            (None, Some(group)) => Atoms::Of(AtomGroup::from_name(group).map_err(store_error)?),
            (None, None) => Atoms::All,
        },
        fields: fields.map(|names| Fields::named(&names)).transpose().map_err(store_error)?,
        precision,
        overwrite,
        skip_unfit,
    };
    let done = py.detach(|| {
        let stored = Trajectory::new(snapshot)?;
        trajectory::export(&stored, &output, &options, |at, of| progress.step(at, of))
    });
    let done = progress.end(done)?;
    Ok(Exported {
        frames: done.frames,
        format: done.format.name().to_owned(),
        left_out: done.left_out,
        skipped: done.skipped.ordinals,
        units_stated: done.units_stated,
    })
}

/// Which frames of `len`: all, those of a slice, or those at these ordinals.
fn choice(frames: Option<&Bound<'_, PyAny>>, len: u64) -> PyResult<Choice> {
    let Some(frames) = frames else { return Ok(Choice::All) };
    let py = frames.py();
    if let Ok(slice) = frames.cast::<PySlice>() {
        let len = isize::try_from(len).unwrap_or(isize::MAX);
        let found = slice.indices(len)?;
        let number = |n: isize| u64::try_from(n).unwrap_or(0);
        let step = i64::try_from(found.step).unwrap_or(i64::MAX);
        let count = found.slicelength as u64;
        return Ok(Choice::Steps { first: number(found.start), step, count });
    }
    if frames.is_instance_of::<pyo3::types::PyString>() {
        return Err(invalid(
            py,
            "frames: give a slice, such as slice(None, None, 10), or ordinals",
        ));
    }
    let asked = match frames.try_iter() {
        Ok(_) => ordinals::many(frames)?,
        Err(_) => vec![ordinals::one(frames)?],
    };
    let place = |asked: i64| {
        let at = if asked < 0 {
            len.checked_sub(asked.unsigned_abs())
        } else {
            u64::try_from(asked).ok()
        };
        at.filter(|at| *at < len).ok_or_else(|| Failure::Ordinal { asked, len }.into())
    };
    asked.into_iter().map(place).collect::<PyResult<_>>().map(Choice::Ordinals)
}
