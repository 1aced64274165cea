//! Reading a consolidated experiment, written by us and added to by others.

use super::types::{attribute, dtype, same, swap, value};
use super::{
    ARRAYS, ATTRIBUTES, FORM, LAYER, MARK, MARK_VERSION, OBJECTS, OURS, VERSION, hdf5_error,
};
use crate::codec::DType;
use crate::error::{Error, Result};
use crate::experiments::array::{Array, StackAxis};
use crate::experiments::head::{ArrayEntry, Attributes, Trial, attributes_from_text};
use crate::experiments::object::Object;
use crate::experiments::source::{Subjects, Task, no_subject, no_task};
use crate::experiments::task::{no_object, no_trial};
use crate::wire::{memory, to_usize};
use hdf5_pure::{Dataset, File, Group};
use std::path::{Path, PathBuf};

/// Opens a file of HDF5 without reading all of it.
pub(in crate::experiments) fn open_file(path: &Path) -> Result<File> {
    File::open_streaming(path).map_err(|e| hdf5_error(path, "file", e))
}

/// An array that a data set is.
pub(in crate::experiments) struct Found {
    pub(in crate::experiments) dtype: DType,
    pub(in crate::experiments) shape: Vec<u64>,
    swapped: bool,
}

/// What array a data set is, without its values. `at` names it.
pub(in crate::experiments) fn dataset_entry(
    path: &Path,
    at: &str,
    dataset: &Dataset,
) -> Result<Found> {
    let failed = |e| hdf5_error(path, at, e);
    let datatype = dataset.datatype().map_err(failed)?;
    let (dtype, swapped) = dtype(&datatype).ok_or_else(|| {
        let why = format!("its values are no numbers that an array has: {datatype}");
        Error::format("HDF5", at, why).at(path)
    })?;
    Ok(Found { dtype, shape: dataset.shape().map_err(failed)?, swapped })
}

/// Bytes of an array that are read whatever the length of the file.
const ALWAYS: u64 = 1 << 30;
/// What a byte of a file becomes, at most, where it is compressed as is usual in HDF5.
const RATIO: u64 = 1100;

/// Refuses an array whose shape claims more than its file can hold, or than there is memory for.
fn check_room(path: &Path, at: &str, dtype: DType, shape: &[u64]) -> Result<()> {
    let size = dtype.size() as u64;
    let bytes = shape.iter().try_fold(size, |bytes, n| bytes.checked_mul(*n)).unwrap_or(u64::MAX);
    // In an archive, the archive is the file.
    let files = path.ancestors().filter_map(|p| std::fs::metadata(p).ok());
    let file = files.into_iter().find(std::fs::Metadata::is_file).map_or(0, |about| about.len());
    if bytes > ALWAYS.max(file.saturating_mul(RATIO)) {
        let why = format!(
            "its shape {shape:?} claims {bytes} bytes, more than a file of {file} bytes can hold"
        );
        return Err(Error::format("HDF5", at, why).at(path));
    }
    let asked = to_usize(bytes).unwrap_or(usize::MAX);
    memory::with_room::<u8>(asked).map(drop).map_err(|e| e.at(path))
}

/// The array in a data set.
pub(in crate::experiments) fn dataset_array(
    path: &Path,
    at: &str,
    dataset: &Dataset,
) -> Result<Array> {
    let Found { dtype, shape, swapped } = dataset_entry(path, at, dataset)?;
    let empty = shape.contains(&0);
    if !empty {
        check_room(path, at, dtype, &shape)?;
        // A piece is read whole, and may be longer than the array.
        if let Some(piece) = dataset.chunk_shape().map_err(|e| hdf5_error(path, at, e))? {
            check_room(path, at, dtype, &piece)?;
        }
    }
    let mut data =
        if empty { Vec::new() } else { dataset.read_raw().map_err(|e| hdf5_error(path, at, e))? };
    if swapped {
        swap(dtype, &mut data);
    }
    let array = Array { dtype, shape, data };
    array.view().map_err(|e| Error::format("HDF5", at, e.to_string()).at(path))?;
    Ok(array)
}

/// An experiment in one file of HDF5.
#[derive(Debug)]
pub struct Consolidated {
    path: PathBuf,
    file: File,
}

impl Consolidated {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Format`] if it is no HDF5 or no experiment that was consolidated,
    /// [`Error::Unsupported`] if a newer release did, [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open_file(&path)?;
        let marks = file.root().attrs().map_err(|e| hdf5_error(&path, "file", e))?;
        if marks.get(MARK).and_then(|v| v.as_str()) != Some(LAYER) {
            let why = "this is no experiment that `vlstore consolidate` wrote; `read_hdf5` reads \
                       its arrays one by one";
            return Err(Error::format("HDF5", "file", why).at(&path));
        }
        match marks.get(MARK_VERSION).and_then(hdf5_pure::AttrValue::as_i64) {
            Some(VERSION) => Ok(Self { path, file }),
            found => Err(Error::Unsupported {
                what: "version of a consolidated experiment",
                found: found.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
                newest: VERSION.unsigned_abs(),
            }
            .at(&path)),
        }
    }

    fn failed(&self, at: &str, error: hdf5_pure::Error) -> Error {
        hdf5_error(&self.path, at, error)
    }
}

impl Subjects for Consolidated {
    fn subjects(&self) -> Result<Vec<String>> {
        let mut names = self.file.root().groups().map_err(|e| self.failed("file", e))?;
        names.sort_unstable();
        Ok(names)
    }

    fn tasks(&self, subject: &str) -> Result<Vec<String>> {
        if !self.subjects()?.iter().any(|s| s == subject) {
            return Err(no_subject(subject).at(&self.path));
        }
        let group = self.file.root().group(subject).map_err(|e| self.failed(subject, e))?;
        let mut names = group.groups().map_err(|e| self.failed(subject, e))?;
        names.sort_unstable();
        Ok(names)
    }

    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>> {
        if !self.tasks(subject)?.iter().any(|t| t == task) {
            return Err(no_task(subject, task).at(&self.path));
        }
        let at = format!("{subject}/{task}");
        let group = self.file.group(&at).map_err(|e| self.failed(&at, e))?;
        let mut numbered = Vec::new();
        let mut objects = Vec::new();
        for (name, inner) in group.iter_groups().map_err(|e| self.failed(&at, e))? {
            if name == OBJECTS {
                objects = inner.datasets().map_err(|e| self.failed(&at, e))?;
            } else if let Ok(number) = name.parse::<u64>() {
                numbered.push((number, inner));
            }
        }
        numbered.sort_unstable_by_key(|(number, _)| *number);
        objects.sort_unstable();
        let (mut trials, mut places) = (Vec::new(), Vec::new());
        for (number, inner) in &numbered {
            let at = format!("{at}/{number}");
            trials.push(self.trial(&at, inner)?);
            places.push(at);
        }
        let (path, file) = (self.path.clone(), self.file.clone());
        Ok(Box::new(ConsolidatedTask { path, file, at, places, trials, objects }))
    }
}

impl Consolidated {
    /// The attributes of a trial: with the types that it was written with, and as another program
    /// changed them since.
    fn attributes(&self, at: &str, group: &Group) -> Result<(Attributes, Option<String>)> {
        let failed = |e| self.failed(at, e);
        let attrs = group.attrs().map_err(failed)?;
        let kinds = group.attr_datatypes().map_err(failed)?;
        let noted = match attrs.get(ATTRIBUTES).and_then(|v| v.as_str()) {
            Some(text) => attributes_from_text(text)?,
            // A trial that another program added.
            None => Attributes::new(),
        };
        let now = |name: &str| value(attrs.get(name)?, kinds.get(name));
        let mut attributes = Attributes::new();
        for (name, noted) in noted {
            let written = attribute(&name, &noted);
            let kept = match (attrs.get(&name), &written) {
                (Some(found), Some(written)) => same(found, written),
                // A missing value, and what other programs would not read.
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(_), None) => name.starts_with(OURS),
            };
            if let Some(value) = if kept { Some(noted) } else { now(&name) } {
                attributes.push((name, value));
            }
        }
        let mut added: Attributes = attrs
            .keys()
            .filter(|name| !name.starts_with(OURS))
            .filter(|name| !attributes.iter().any(|(other, _)| other == *name))
            .filter_map(|name| Some((name.clone(), now(name)?)))
            .collect();
        added.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        attributes.extend(added);
        let order = attrs.get(ARRAYS).and_then(|v| v.as_str()).map(Into::into);
        Ok((attributes, order))
    }

    fn trial(&self, at: &str, group: &Group) -> Result<Trial> {
        let (attributes, order) = self.attributes(at, group)?;
        let order: Vec<String> =
            order.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut arrays = Vec::new();
        for (name, dataset) in group.iter_datasets().map_err(|e| self.failed(at, e))? {
            // Text and the like, which another program added: asking for it says what it is.
            let Ok(Found { dtype, shape, .. }) =
                dataset_entry(&self.path, &format!("{at}/{name}"), &dataset)
            else {
                continue;
            };
            let (axis, pieces) = (StackAxis::default(), (0, 1));
            arrays.push(ArrayEntry { name, dtype, shape, axis, pieces, whole: true });
        }
        let place = |name: &str| order.iter().position(|n| n == name).unwrap_or(usize::MAX);
        arrays.sort_by(|a, b| place(&a.name).cmp(&place(&b.name)).then(a.name.cmp(&b.name)));
        Ok(Trial { attributes, arrays, token: 0 })
    }
}

/// A task in a file of HDF5.
#[derive(Debug)]
struct ConsolidatedTask {
    path: PathBuf,
    file: File,
    at: String,
    places: Vec<String>,
    trials: Vec<Trial>,
    objects: Vec<String>,
}

impl Task for ConsolidatedTask {
    fn trials(&self) -> &[Trial] {
        &self.trials
    }

    fn array(&self, trial: usize, name: &str) -> Result<Array> {
        let (found, place) = match (self.trials.get(trial), self.places.get(trial)) {
            (Some(found), Some(place)) => (found, place),
            _ => return Err(no_trial(trial, self.trials.len())),
        };
        let at = format!("{place}/{name}");
        if let Err(none) = found.entry(&format!("trial {trial}"), name) {
            // It may be there, and hold no numbers.
            return match self.file.dataset(&at) {
                Ok(dataset) if !name.contains('/') => dataset_array(&self.path, &at, &dataset),
                _ => Err(none),
            };
        }
        let dataset = self.file.dataset(&at).map_err(|e| hdf5_error(&self.path, &at, e))?;
        dataset_array(&self.path, &at, &dataset)
    }

    fn objects(&self) -> &[String] {
        &self.objects
    }

    fn object(&self, name: &str) -> Result<Object> {
        if !self.objects.iter().any(|n| n == name) {
            return Err(no_object(name, &self.objects));
        }
        let at = format!("{}/{OBJECTS}/{name}", self.at);
        let failed = |e| hdf5_error(&self.path, &at, e);
        let dataset = self.file.dataset(&at).map_err(failed)?;
        let attrs = dataset.attrs().map_err(failed)?;
        let array = dataset_array(&self.path, &at, &dataset)?;
        Ok(match attrs.get(FORM).and_then(|v| v.as_str()) {
            Some("bytes") => Object::Bytes(array.data),
            Some("json") => {
                Object::Json(serde_json::from_slice(&array.data).map_err(|e| {
                    Error::format("HDF5", at.as_str(), e.to_string()).at(&self.path)
                })?)
            }
            _ => Object::Array(array),
        })
    }
}
