//! Trajectories of other programs into a store.

use crate::convert::options;
use crate::convert::progress::Progress;
use crate::error::{from_error, invalid};
use crate::frame::topology::Topology;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use vlstore::formats::{FormatKind, NameMap};
use vlstore::trajectory::{
    self, Begin, Duplicates, ImportOptions, Importer, Input, Masses, Target,
};
use vlstore::trajectory::{Positions, Sharing};

/// What :func:`import_` did.
#[pyclass(frozen, get_all, module = "vlstore", name = "Imported")]
pub(crate) struct Imported {
    /// Frames that were added.
    frames: u64,
    /// Frames of the inputs that were passed over: the store had them, or they were not asked for.
    skipped: u64,
    /// Stored frames that were deleted.
    dropped: u64,
    /// Records of the store when the import ended.
    records: u64,
    /// What one should know.
    notes: Vec<String>,
    /// Frames of the inputs that were there already, kept or not.
    duplicates: u64,
}

impl Imported {
    fn new(done: trajectory::Imported) -> Self {
        Self {
            frames: done.frames,
            skipped: done.skipped,
            dropped: done.dropped,
            records: done.records,
            notes: done.notes,
            duplicates: done.duplicates,
        }
    }
}

#[pymethods]
impl Imported {
    #[new]
    #[pyo3(signature = (frames=0, skipped=0, dropped=0, records=0, notes=Vec::new(), duplicates=0))]
    fn of_counts(
        frames: u64,
        skipped: u64,
        dropped: u64,
        records: u64,
        notes: Vec<String>,
        duplicates: u64,
    ) -> Self {
        Self { frames, skipped, dropped, records, notes, duplicates }
    }

    fn __repr__(&self) -> String {
        format!(
            "<vlstore.Imported {} frames, {} skipped, {} in all>",
            self.frames, self.skipped, self.records
        )
    }
}

/// One of a few names.
fn named<T>(
    py: Python<'_>,
    what: &str,
    name: &str,
    of: impl Fn(&str) -> Option<T>,
    known: &str,
) -> PyResult<T> {
    of(name).ok_or_else(|| invalid(py, &format!("{what}: {name:?} is not one of {known}")))
}

/// The topology that was given: an object of ours, or the path of a file that says one.
fn topology(given: &Bound<'_, PyAny>) -> PyResult<Arc<vlstore::codec::Topology>> {
    let py = given.py();
    if let Ok(topology) = given.cast::<Topology>() {
        return Ok(Arc::new(topology.get().fields(py)?.to_owned()));
    }
    let path: PathBuf = given.extract()?;
    let read = py.detach(|| vlstore::formats::read_topology(&path));
    Ok(Arc::new(read.map_err(|e| from_error(py, &e))?))
}

/// The standard atomic weights of these atomic numbers, in u.
#[pyfunction(name = "_standard_masses")]
#[pyo3(signature = (types))]
pub(crate) fn standard_masses(py: Python<'_>, types: Vec<i32>) -> PyResult<Vec<f64>> {
    vlstore::formats::standard_masses(&types).map_err(|e| from_error(py, &e))
}

/// Puts frames of trajectory files into a store.
#[pyfunction(name = "_import")]
#[pyo3(signature = (inputs, store, choices, options, progress))]
pub(crate) fn import(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    store: PathBuf,
    choices: &Bound<'_, PyDict>,
    options: Option<&Bound<'_, PyDict>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Imported> {
    let mut progress = Progress::new(progress)?;
    let mut out = ImportOptions {
        store: options::from_dict(options, options::Role::Make)?,
        ..ImportOptions::default()
    };
    let (mut append, mut overwrite) = (false, false);
    for (name, value) in choices.iter().filter(|(_, value)| !value.is_none()) {
        let name: String = name.extract()?;
        match &*name {
            "append" => append = value.extract()?,
            "overwrite" => overwrite = value.extract()?,
            "from_step" => out.begin = Some(Begin::Step(value.extract()?)),
            "from_frame" => out.begin = Some(Begin::Frame(value.extract()?)),
            "drop_newer" => out.drop_newer = value.extract()?,
            "keep_all" => out.keep_all = value.extract()?,
            "same_units" => out.same_units = value.extract()?,
            "mixed" => out.mixed = value.extract()?,
            "out_of_order" => out.out_of_order = value.extract()?,
            "growing" => out.growing = Some(value.extract()?),
            "float32" => out.float32 = value.extract()?,
            "precision" => out.precision = Some(value.extract()?),
            "key_prefix" => out.key_prefix = Some(value.extract()?),
            "commit_frames" => out.commit_frames = Some(value.extract()?),
            "map" => {
                let pairs: BTreeMap<String, String> = value.extract()?;
                out.read.map = NameMap::new(pairs).map_err(|e| from_error(py, &e))?;
            }
            "topology" => out.read.topology = Some(topology(&value)?),
            "duplicates" => {
                let text: String = value.extract()?;
                let (of, known) =
                    (Duplicates::from_name, "\"keep\", \"drop\", \"latest\", \"refuse\"");
                out.duplicates = Some(named(py, &name, &text, of, known)?);
            }
            "masses" => {
                let text: String = value.extract()?;
                let of = Masses::from_name;
                out.masses = named(py, &name, &text, of, "\"given\", \"elements\"")?;
            }
            "topologies" => {
                let known = "\"never\", \"repeated\", \"always\"";
                let text: String = value.extract()?;
                out.topologies = named(py, &name, &text, Sharing::from_name, known)?;
            }
            "positions" => {
                let text: String = value.extract()?;
                let of = Positions::from_name;
                out.positions = named(py, &name, &text, of, "\"quantised\", \"given\"")?;
            }
            "format" => {
                let text: String = value.extract()?;
                let kind = FormatKind::from_name(&text).map_err(|e| from_error(py, &e))?;
                out.read.format = Some(kind);
            }
            _ => return Err(invalid(py, &format!("unknown argument {name:?}"))),
        }
    }
    if append && overwrite {
        return Err(invalid(py, "append and overwrite exclude each other"));
    }
    out.target = match (append, overwrite) {
        (true, _) => Target::Append,
        (_, true) => Target::Replace,
        _ => Target::Create,
    };
    let inputs = inputs.into_iter().map(Input::from).collect();
    let done = py.detach(|| {
        let mut importer = Importer::open(inputs, &store, &out)?;
        importer.run(|done| progress.step(done.bytes, done.total))?;
        Ok(importer.imported())
    });
    Ok(Imported::new(progress.end(done)?))
}
