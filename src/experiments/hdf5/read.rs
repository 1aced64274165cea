//! Reading a consolidated experiment, written by us and added to by others.

use super::attributes::Found as FoundAttributes;
use super::types::{dtype, swap};
use super::{ARRAYS, FORM, LAYER, MARK, MARK_VERSION, OBJECTS, OURS, VERSION, hdf5_error};
use crate::codec::DType;
use crate::error::{Error, Result};
use crate::experiments::array::{Array, StackAxis};
use crate::experiments::head::{ArrayEntry, Trial};
use crate::experiments::object::Object;
use crate::experiments::source::{Subjects, Task, no_subject, no_task};
use crate::experiments::task::{no_object, no_trial};
use crate::wire::{memory, to_usize};
use hdf5_pure::{Dataset, File, Group};
use std::path::{Path, PathBuf};

/// Opens a file of HDF5 without reading all of it.
pub(in crate::experiments) fn open_file(path: &Path) -> Result<File> {
    if path.is_dir() {
        let why = "this is a folder, where a file of HDF5 is expected";
        return Err(Error::invalid("path", why).at(path));
    }
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
    known_entry(path, at, dataset)?.map_err(|why| Error::format("HDF5", at, why).at(path))
}

/// The same; why it is no array that can be read where it holds other things than numbers.
fn known_entry(
    path: &Path,
    at: &str,
    dataset: &Dataset,
) -> Result<std::result::Result<Found, String>> {
    let datatype = match dataset.datatype() {
        Ok(datatype) => datatype,
        Err(e @ hdf5_pure::Error::Io(_)) => return Err(hdf5_error(path, at, e)),
        Err(e) => return Ok(Err(format!("its type is not known here: {e}"))),
    };
    let Some((dtype, swapped)) = dtype(&datatype) else {
        return Ok(Err(format!("an array cannot have values of its type: {datatype}")));
    };
    Ok(Ok(Found { dtype, shape: dataset.shape().map_err(|e| hdf5_error(path, at, e))?, swapped }))
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
        let failed = |e| self.failed(&at, e);
        let (mut numbered, mut objects) = (Vec::new(), Vec::new());
        let mut left_out = self.own_attributes(&at, &group)?;
        for (name, inner) in group.iter_groups().map_err(failed)? {
            if name == OBJECTS {
                objects = inner.datasets().map_err(failed)?;
                let groups = inner.groups().map_err(failed)?;
                left_out.extend(groups.iter().map(|name| format!("{at}/{OBJECTS}/{name}/")));
            } else if let Some(number) = number(&name) {
                numbered.push((number, name, inner));
            } else {
                left_out.push(format!("{at}/{name}/"));
            }
        }
        let others = group.datasets().map_err(failed)?;
        left_out.extend(others.iter().map(|name| format!("{at}/{name}")));
        numbered.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        objects.sort_unstable();
        let (mut trials, mut places) = (Vec::new(), Vec::new());
        for (_, name, inner) in &numbered {
            let at = format!("{at}/{name}");
            trials.push(self.trial(&at, inner, &mut left_out)?);
            places.push(at);
        }
        let (path, file) = (self.path.clone(), self.file.clone());
        Ok(Box::new(ConsolidatedTask { path, file, at, places, trials, objects, left_out }))
    }

    fn left_out(&self) -> Result<Vec<String>> {
        let root = self.file.root();
        let mut out = self.own_attributes("", &root)?;
        out.extend(root.datasets().map_err(|e| self.failed("file", e))?);
        for subject in self.subjects()? {
            let group = root.group(&subject).map_err(|e| self.failed(&subject, e))?;
            out.extend(self.own_attributes(&subject, &group)?);
            let others = group.datasets().map_err(|e| self.failed(&subject, e))?;
            out.extend(others.iter().map(|name| format!("{subject}/{name}")));
            for task in self.tasks(&subject)? {
                out.extend_from_slice(self.task(&subject, &task)?.left_out());
            }
        }
        Ok(out)
    }
}

/// The number of the trial in a group of this name. One with leading zeros is a trial of its own.
fn number(name: &str) -> Option<u64> {
    name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

impl Consolidated {
    /// The attributes that other programs gave to a group that has none for us.
    fn own_attributes(&self, at: &str, group: &Group) -> Result<Vec<String>> {
        let kinds = group.attr_datatypes().map_err(|e| self.failed(at, e))?;
        let others = kinds.into_keys().filter(|name| !name.starts_with(OURS));
        let mut others: Vec<_> = others.map(|name| format!("{at}@{name}")).collect();
        others.sort_unstable();
        Ok(others)
    }

    fn trial(&self, at: &str, group: &Group, left_out: &mut Vec<String>) -> Result<Trial> {
        let failed = |e| self.failed(at, e);
        let found = FoundAttributes::of(&self.path, at, group)?;
        let (attributes, refused) = found.attributes().map_err(|e| e.at(&self.path))?;
        left_out.extend(refused.iter().map(|(name, why)| format!("{at}@{name} ({why})")));
        let order = found.text(ARRAYS).and_then(|text| serde_json::from_str(text).ok());
        let order: Vec<String> = order.unwrap_or_default();
        let mut arrays = Vec::new();
        for (name, dataset) in group.iter_datasets().map_err(failed)? {
            let place = format!("{at}/{name}");
            // Text and the like, which another program added: asking for it says what it is.
            let Found { dtype, shape, .. } = match known_entry(&self.path, &place, &dataset)? {
                Ok(found) => found,
                Err(why) => {
                    left_out.push(format!("{place} ({why})"));
                    continue;
                }
            };
            let kinds = dataset.attr_datatypes().map_err(failed)?;
            left_out.extend(kinds.into_keys().map(|name| format!("{place}@{name}")));
            let (axis, pieces) = (StackAxis::default(), (0, 1));
            arrays.push(ArrayEntry { name, dtype, shape, axis, pieces, whole: true });
        }
        let inner = group.groups().map_err(failed)?;
        left_out.extend(inner.iter().map(|name| format!("{at}/{name}/")));
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
    left_out: Vec<String>,
}

impl Task for ConsolidatedTask {
    fn left_out(&self) -> &[String] {
        &self.left_out
    }

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
