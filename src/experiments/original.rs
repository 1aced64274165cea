//! Experiments of the original program: `root/SUBJECT/TASK/` with `trials.csv`, a file of HDF5 for
//! each kind of array, and pickles, which are carried as bytes and never loaded.

use super::array::{Array, StackAxis};
use super::hdf5::{Found, dataset_array, dataset_entry, open_file};
use super::head::{ArrayEntry, Trial};
use super::names::{ARRAYS, TABLE, is_original};
use super::object::Object;
use super::source::{Subjects, Task, no_subject, no_task};
use super::storage::entries;
use super::table::rows;
use super::task::{no_object, no_trial};
use super::value::Value;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of the original program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    root: PathBuf,
}

impl Original {
    /// The experiment at `root`.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        entries(&root, &|_| false)?;
        Ok(Self { root })
    }

    /// Whether there is a task of the original program at `root`.
    pub(super) fn is_at(root: &Path) -> Result<bool> {
        for subject in entries(root, &|p| p.is_dir())? {
            let subject = root.join(subject);
            for task in entries(&subject, &|p| p.is_dir())? {
                let task = subject.join(task);
                let theirs =
                    |p: &Path| p.file_name().and_then(|n| n.to_str()).is_some_and(is_original);
                if !entries(&task, &theirs)?.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Files and folders that belong to no task: they are not part of what is read.
    pub(super) fn left_out(&self) -> Result<Vec<String>> {
        let mut out = entries(&self.root, &|p| !p.is_dir())?;
        for subject in self.subjects()? {
            let folder = self.root.join(&subject);
            let files = entries(&folder, &|p| !p.is_dir())?;
            out.extend(files.iter().map(|f| format!("{subject}/{f}")));
            for task in self.tasks(&subject)? {
                let inner = entries(&folder.join(&task), &|p| p.is_dir())?;
                out.extend(inner.iter().map(|f| format!("{subject}/{task}/{f}/")));
            }
        }
        Ok(out)
    }
}

impl Subjects for Original {
    fn subjects(&self) -> Result<Vec<String>> {
        entries(&self.root, &|p| p.is_dir())
    }

    fn tasks(&self, subject: &str) -> Result<Vec<String>> {
        if !self.subjects()?.iter().any(|s| s == subject) {
            return Err(no_subject(subject).at(&self.root));
        }
        entries(&self.root.join(subject), &|p| p.is_dir())
    }

    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>> {
        if !self.tasks(subject)?.iter().any(|t| t == task) {
            return Err(no_task(subject, task).at(&self.root));
        }
        Ok(Box::new(OriginalTask::open(self.root.join(subject).join(task))?))
    }
}

#[derive(Debug)]
struct OriginalTask {
    folder: PathBuf,
    trials: Vec<Trial>,
    objects: Vec<String>,
}

impl OriginalTask {
    fn open(folder: PathBuf) -> Result<Self> {
        let mut trials = table(&folder.join(TABLE))?;
        let mut objects = Vec::new();
        for name in entries(&folder, &|p| p.is_file())? {
            let path = folder.join(&name);
            let array = name.strip_suffix(ARRAYS).filter(|n| !n.is_empty());
            match array {
                Some(array) if numbered(&path)? => arrays(&path, array, &mut trials)?,
                _ if name == TABLE => {}
                _ => objects.push(name),
            }
        }
        Ok(Self { folder, trials, objects })
    }
}

/// Whether all data sets of a file are called as trials are.
fn numbered(path: &Path) -> Result<bool> {
    let file = open_file(path)?;
    let names = file.root().datasets();
    let names = names.map_err(|e| Error::format("HDF5", "file", e.to_string()).at(path))?;
    Ok(!names.is_empty() && names.iter().all(|n| n.parse::<usize>().is_ok()))
}

/// Notes the arrays of a kind with their trials.
fn arrays(path: &Path, array: &str, trials: &mut [Trial]) -> Result<()> {
    let file = open_file(path)?;
    let failed = |e: hdf5_pure::Error| Error::format("HDF5", "file", e.to_string()).at(path);
    for (name, dataset) in file.root().iter_datasets().map_err(failed)? {
        let Found { dtype, shape, .. } = dataset_entry(path, &name, &dataset)?;
        let count = trials.len();
        let trial =
            name.parse::<usize>().ok().and_then(|i| trials.get_mut(i)).ok_or_else(|| {
                let why = format!("it is of a trial that {TABLE} does not have: there are {count}");
                Error::format("HDF5", format!("data set {name}"), why).at(path)
            })?;
        let (axis, pieces, name) = (StackAxis::default(), (0, 1), array.to_owned());
        trial.arrays.push(ArrayEntry { name, dtype, shape, axis, pieces, whole: true });
    }
    Ok(())
}

/// The trials of a table. The types of a column follow from its cells, as they do for readers of
/// such tables: integers, numbers, truth values, else text; an empty cell is a missing value.
fn table(path: &Path) -> Result<Vec<Trial>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        // A task that was started and has no trial.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", e).at(path)),
    };
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
        let path = self.folder.join(format!("{name}{ARRAYS}"));
        let at = trial.to_string();
        let dataset = open_file(&path)?
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
        let path = self.folder.join(name);
        fs::read(&path).map(Object::Bytes).map_err(|e| Error::io("read", e).at(&path))
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
