//! Experiments of the original program: `root/SUBJECT/TASK/` with `trials.csv`, a file of HDF5 for
//! each kind of array, and pickles, which are carried as bytes and never loaded.

use super::array::{Array, StackAxis};
use super::files::{Files, Folder};
use super::hdf5::{Found, dataset_array, dataset_entry};
use super::head::{ArrayEntry, Trial};
use super::names::{ARRAYS, TABLE, is_original};
use super::object::Object;
use super::source::{Subjects, Task, no_subject, no_task};
use super::table::rows;
use super::task::{no_object, no_trial};
use super::value::Value;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of the original program, on disk or in an archive.
#[derive(Debug, Clone)]
pub struct Original {
    files: Arc<dyn Files>,
}

impl Original {
    /// The experiment at `root`.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::over(Arc::new(Folder(root.into())))
    }

    /// The experiment in these files.
    pub(super) fn over(files: Arc<dyn Files>) -> Result<Self> {
        files.folders("")?;
        Ok(Self { files })
    }

    /// Whether there is a task of the original program at `root`.
    pub(super) fn is_at(root: &Path) -> Result<bool> {
        let files = Folder(root.into());
        for subject in files.folders("")? {
            for task in files.folders(&subject)? {
                let found = files.files(&format!("{subject}/{task}"))?;
                if found.iter().any(|name| is_original(name)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Files and folders that belong to no task: they are not part of what is read.
    pub(super) fn left_out(&self) -> Result<Vec<String>> {
        let mut out = self.files.files("")?;
        for subject in self.subjects()? {
            let files = self.files.files(&subject)?;
            out.extend(files.iter().map(|f| format!("{subject}/{f}")));
            for task in self.tasks(&subject)? {
                let inner = self.files.folders(&format!("{subject}/{task}"))?;
                out.extend(inner.iter().map(|f| format!("{subject}/{task}/{f}/")));
            }
        }
        Ok(out)
    }
}

impl Subjects for Original {
    fn subjects(&self) -> Result<Vec<String>> {
        self.files.folders("")
    }

    fn tasks(&self, subject: &str) -> Result<Vec<String>> {
        if !self.subjects()?.iter().any(|s| s == subject) {
            return Err(no_subject(subject).at(&self.files.path("")));
        }
        self.files.folders(subject)
    }

    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>> {
        if !self.tasks(subject)?.iter().any(|t| t == task) {
            return Err(no_task(subject, task).at(&self.files.path("")));
        }
        Ok(Box::new(OriginalTask::open(self.files.clone(), format!("{subject}/{task}"))?))
    }
}

#[derive(Debug)]
struct OriginalTask {
    files: Arc<dyn Files>,
    /// Its folder.
    at: String,
    trials: Vec<Trial>,
    objects: Vec<String>,
}

impl OriginalTask {
    fn open(files: Arc<dyn Files>, at: String) -> Result<Self> {
        let of_table = format!("{at}/{TABLE}");
        // A task that was started and has no trial has no table.
        let mut trials = match files.bytes(&of_table)? {
            Some(bytes) => table(&files.path(&of_table), bytes)?,
            None => Vec::new(),
        };
        let mut objects = Vec::new();
        for name in files.files(&at)? {
            let inner = format!("{at}/{name}");
            let array = name.strip_suffix(ARRAYS).filter(|n| !n.is_empty());
            match array {
                Some(array) if numbered(&*files, &inner)? => {
                    arrays(&*files, &inner, array, &mut trials)?;
                }
                _ if name == TABLE => {}
                _ => objects.push(name),
            }
        }
        Ok(Self { files, at, trials, objects })
    }
}

/// Whether all data sets of a file are called as trials are.
fn numbered(files: &dyn Files, at: &str) -> Result<bool> {
    let failed = |e: hdf5_pure::Error| Error::format("HDF5", "file", e.to_string());
    let names = files.hdf5(at)?.root().datasets();
    let names = names.map_err(|e| failed(e).at(&files.path(at)))?;
    Ok(!names.is_empty() && names.iter().all(|n| n.parse::<usize>().is_ok()))
}

/// Notes the arrays of a kind with their trials.
fn arrays(files: &dyn Files, at: &str, array: &str, trials: &mut [Trial]) -> Result<()> {
    let (file, path) = (files.hdf5(at)?, files.path(at));
    let failed = |e: hdf5_pure::Error| Error::format("HDF5", "file", e.to_string()).at(&path);
    for (name, dataset) in file.root().iter_datasets().map_err(failed)? {
        let Found { dtype, shape, .. } = dataset_entry(&path, &name, &dataset)?;
        let count = trials.len();
        let trial =
            name.parse::<usize>().ok().and_then(|i| trials.get_mut(i)).ok_or_else(|| {
                let why = format!("it is of a trial that {TABLE} does not have: there are {count}");
                Error::format("HDF5", format!("data set {name}"), why).at(&path)
            })?;
        let (axis, pieces, name) = (StackAxis::default(), (0, 1), array.to_owned());
        trial.arrays.push(ArrayEntry { name, dtype, shape, axis, pieces, whole: true });
    }
    Ok(())
}

/// The trials of a table. The types of a column follow from its cells, as they do for readers of
/// such tables: integers, numbers, truth values, else text; an empty cell is a missing value.
fn table(path: &Path, bytes: Vec<u8>) -> Result<Vec<Trial>> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::format("CSV", "table", "it is not UTF-8").at(path))?;
    let mut cells = rows(&text).into_iter();
    let names: Vec<String> = cells.next().unwrap_or_default().into_iter().map(|(n, _)| n).collect();
    let mut trials: Vec<Trial> = Vec::new();
    let mut columns: BTreeMap<usize, Vec<(String, bool)>> = BTreeMap::new();
    for (i, row) in cells.enumerate() {
        if row.len() != names.len() {
            let why = format!("it has {} cells, and the first row {}", row.len(), names.len());
            return Err(Error::format("CSV", format!("row {}", i + 2), why).at(path));
        }
        trials.push(Trial { attributes: Vec::new(), arrays: Vec::new(), token: 0 });
        row.into_iter().enumerate().for_each(|(c, cell)| columns.entry(c).or_default().push(cell));
    }
    for (name, column) in names.iter().zip(columns.into_values()) {
        for (trial, value) in trials.iter_mut().zip(typed(&column)) {
            trial.attributes.push((name.clone(), value));
        }
    }
    Ok(trials)
}

/// The values of a column of text.
fn typed(cells: &[(String, bool)]) -> Vec<Value> {
    let all = |make: &dyn Fn(&str) -> Option<Value>| -> Option<Vec<Value>> {
        let one = |(cell, quoted): &(String, bool)| match cell.as_str() {
            "" if !quoted => Some(Value::Missing),
            cell => make(cell),
        };
        cells.iter().map(one).collect()
    };
    let truth = |cell: &str| match cell {
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        _ => None,
    };
    // Spellings that only a number has: "infinity" and "nan" are read, "1e400" is not a number.
    let real = |cell: &str| {
        cell.parse::<f64>()
            .ok()
            .filter(|x| x.is_finite() || !cell.contains(|c: char| c.is_ascii_digit()))
    };
    all(&|cell| cell.parse().ok().map(Value::Int))
        .or_else(|| all(&|cell| real(cell).map(Value::Float)))
        .or_else(|| all(&truth))
        .or_else(|| all(&|cell| Some(Value::Text(cell.into()))))
        .unwrap_or_default()
}

impl Task for OriginalTask {
    fn trials(&self) -> &[Trial] {
        &self.trials
    }

    fn array(&self, trial: usize, name: &str) -> Result<Array> {
        let found = self.trials.get(trial).ok_or_else(|| no_trial(trial, self.trials.len()))?;
        found.entry(&format!("trial {trial}"), name)?;
        let file = format!("{}/{name}{ARRAYS}", self.at);
        let (path, at) = (self.files.path(&file), trial.to_string());
        let dataset = self
            .files
            .hdf5(&file)?
            .dataset(&at)
            .map_err(|e| Error::format("HDF5", at.as_str(), e.to_string()).at(&path))?;
        dataset_array(&path, &at, &dataset)
    }

    fn objects(&self) -> &[String] {
        &self.objects
    }

    fn object(&self, name: &str) -> Result<Object> {
        if !self.objects.iter().any(|n| n == name) {
            return Err(no_object(name, &self.objects));
        }
        let bytes = self.files.bytes(&format!("{}/{name}", self.at))?;
        bytes.map(Object::Bytes).ok_or_else(|| no_object(name, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_columns_follow_from_their_cells() {
        let column = |cells: &[&str]| {
            typed(&cells.iter().map(|c| ((*c).to_owned(), false)).collect::<Vec<_>>())
        };
        use Value::{Bool, Float, Int, Missing, Text};
        assert_eq!(column(&["1", "", "-3"]), [Int(1), Missing, Int(-3)]);
        assert_eq!(column(&["1", "0.5", "inf"]), [Float(1.0), Float(0.5), Float(f64::INFINITY)]);
        assert_eq!(column(&["True", "", "False"]), [Bool(true), Missing, Bool(false)]);
        assert_eq!(column(&["1", "b"]), [Text("1".into()), Text("b".into())]);
        assert_eq!(column(&["99999999999999999999"]), [Float(1e20)]);
        assert_eq!(column(&["", ""]), [Missing, Missing]);
    }
}
