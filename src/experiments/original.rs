//! Experiments of the original program: `root/SUBJECT/TASK/` with `trials.csv`, a file of HDF5 for
//! each kind of array, and pickles, which are carried as bytes and never loaded.

use super::array::{Array, StackAxis};
use super::files::{Files, Folder, Kind, Listing, beside_tasks, is_hidden};
use super::hdf5::{Found, dataset_array, dataset_entry};
use super::head::{ArrayEntry, Trial};
use super::names::{ARRAYS, TABLE, is_original, ordinal};
use super::object::Object;
use super::source::{Subjects, Task, no_subject, no_task};
use super::table::rows;
use super::task::{no_object, no_trial};
use super::value::{Scalar, Value};
use super::views::{LIST, Views};
use crate::codec::DType;
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
    /// [`Error::Io`] if the folder does not exist.
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
        let views = Views::at(root)?.unwrap_or_default();
        for subject in files.folders("")? {
            for task in files.folders(&subject)? {
                // What was unpacked from an archive of ours is no task of the original program.
                if views.has_in(&subject, &task) {
                    continue;
                }
                let found = files.files(&format!("{subject}/{task}"))?;
                if found.iter().any(|name| is_original(name)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
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

    fn left_out(&self) -> Result<Vec<String>> {
        let mut out = beside_tasks(&*self.files, &|_, kind| kind == Kind::Folder)?;
        // The list of an archive of ours that another program unpacked.
        out.retain(|name| name != LIST || self.files.bytes(LIST).is_ok_and(|b| !is_list(b)));
        for subject in self.subjects()? {
            for task in self.tasks(&subject)? {
                let at = format!("{subject}/{task}");
                for (name, kind) in self.files.list(&at)? {
                    if kind != Kind::File || is_hidden(&name) {
                        let end = if kind == Kind::Folder { "/" } else { "" };
                        out.push(format!("{at}/{name}{end}"));
                    }
                }
                out.extend_from_slice(self.task(&subject, &task)?.left_out());
            }
        }
        Ok(out)
    }
}

fn is_list(bytes: Option<Vec<u8>>) -> bool {
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| matches!(Views::of(&text), Ok(Some(_))))
}

#[derive(Debug)]
struct OriginalTask {
    files: Arc<dyn Files>,
    /// Its folder.
    at: String,
    trials: Vec<Trial>,
    objects: Vec<String>,
    left_out: Vec<String>,
}

impl OriginalTask {
    fn open(files: Arc<dyn Files>, at: String) -> Result<Self> {
        let of_table = format!("{at}/{TABLE}");
        // A task that was started and has no trial has no table.
        let mut trials = match files.bytes(&of_table)? {
            Some(bytes) => table(&files.path(&of_table), bytes)?,
            None => Vec::new(),
        };
        let (mut objects, mut left_out) = (Vec::new(), Vec::new());
        for name in files.files(&at)? {
            let inner = format!("{at}/{name}");
            let array = name.strip_suffix(ARRAYS).filter(|n| !n.is_empty());
            match array {
                Some(array) if numbered(&*files, &inner)? => {
                    arrays(&*files, &inner, array, &mut trials, &mut left_out)?;
                }
                _ if name == TABLE => {}
                _ => objects.push(name),
            }
        }
        Ok(Self { files, at, trials, objects, left_out })
    }
}

/// Whether a file has data sets that are called as trials are, and nothing else. Any other is carried as it
/// is, like a pickle.
fn numbered(files: &dyn Files, at: &str) -> Result<bool> {
    let failed = |e: hdf5_pure::Error| Error::format("HDF5", "file", e.to_string());
    let root = files.hdf5(at)?.root();
    let names = || Ok((root.datasets()?, root.groups()?, root.named_datatypes()?));
    let (sets, groups, types) = names().map_err(|e| failed(e).at(&files.path(at)))?;
    let only = groups.is_empty() && types.is_empty();
    Ok(only && !sets.is_empty() && sets.iter().all(|n| ordinal(n).is_some()))
}

/// Notes the arrays of a kind with their trials, and the attributes of the file, which no trial has.
fn arrays(
    files: &dyn Files,
    at: &str,
    array: &str,
    trials: &mut [Trial],
    left_out: &mut Vec<String>,
) -> Result<()> {
    let (file, path) = (files.hdf5(at)?, files.path(at));
    let failed = |e: hdf5_pure::Error| Error::format("HDF5", "file", e.to_string()).at(&path);
    let mut note = |at: String, attributes: BTreeMap<String, _>| {
        left_out.extend(attributes.into_keys().map(|name| format!("{at}@{name}")));
    };
    note(at.to_owned(), file.root().attr_datatypes().map_err(failed)?.into_iter().collect());
    for (name, dataset) in file.root().iter_datasets().map_err(failed)? {
        let Found { dtype, shape, .. } = dataset_entry(&path, &name, &dataset)?;
        let attributes = dataset.attr_datatypes().map_err(failed)?;
        note(format!("{at}/{name}"), attributes.into_iter().collect());
        let count = trials.len();
        let trial = ordinal(&name)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| trials.get_mut(i))
            .ok_or_else(|| {
                let why = format!("it is of a trial that {TABLE} does not have: there are {count}");
                Error::format("HDF5", format!("data set {name}"), why).at(&path)
            })?;
        let (axis, pieces, name) = (StackAxis::default(), (0, 1), array.to_owned());
        trial.arrays.push(ArrayEntry { name, dtype, shape, axis, pieces, whole: true });
    }
    Ok(())
}

/// The trials of a table. The types of a column follow from its cells, as they do for readers of
/// such tables: integers, numbers, booleans, else text; an empty cell is a missing value. No digit is
/// lost: a column with a leading zero, or with an integer that its numbers would round, is text.
fn table(path: &Path, bytes: Vec<u8>) -> Result<Vec<Trial>> {
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::format("CSV", "table", "it is not UTF-8: save it as UTF-8").at(path))?;
    let mut cells = rows(&text)
        .ok_or_else(|| {
            let why = "a text in quotes has no end: the file was cut, or a quote is missing";
            Error::format("CSV", "last row", why).at(path)
        })?
        .into_iter();
    let names: Vec<String> = cells.next().unwrap_or_default().into_iter().map(|(n, _)| n).collect();
    check_columns(&names).map_err(|why| Error::format("CSV", "row 1", why).at(path))?;
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

/// Why columns of these names cannot be told apart.
fn check_columns(names: &[String]) -> std::result::Result<(), String> {
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name: give it one, or remove it", i + 1));
        }
        if let Some(first) = names.iter().take(i).position(|other| other == name) {
            let (first, second) = (first + 1, i + 1);
            return Err(format!(
                "the columns {first} and {second} are both called {name:?}: rename one"
            ));
        }
    }
    Ok(())
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
    let large = |cell: &str| {
        let bytes = u64::try_from(integer(cell)?).ok()?.to_le_bytes();
        Scalar::new(DType::U64, &bytes).ok().map(Value::Scalar)
    };
    let truth = |cell: &str| match cell {
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        _ => None,
    };
    all(&|cell| i64::try_from(integer(cell)?).ok().map(Value::Int))
        .or_else(|| all(&large))
        .or_else(|| all(&|cell| is_integer(cell).then(|| Value::Text(cell.into()))))
        .or_else(|| all(&|cell| real(cell).map(Value::Float)))
        .or_else(|| all(&truth))
        .or_else(|| all(&|cell| Some(Value::Text(cell.into()))))
        .unwrap_or_default()
}

/// An integer that is written as programs write integers: without a sign of plus and leading zeros.
fn integer(cell: &str) -> Option<i128> {
    cell.parse().ok().filter(|n: &i128| n.to_string() == cell)
}

/// The same, of any length.
fn is_integer(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let numbers = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    numbers && (!digits.starts_with('0') || cell == "0")
}

/// A number that a float has: not an integer that it would round, no leading zero, which is of a name, and a
/// spelling that only a number has ("infinity" and "nan" are read, "1e400" is no number).
fn real(cell: &str) -> Option<f64> {
    let x: f64 = cell.parse().ok()?;
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let is_digit = |b: &u8| b.is_ascii_digit();
    let leading = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(is_digit);
    let named = !cell.bytes().any(|b| b.is_ascii_digit());
    // Every float of an integer has at most 309 digits before the point.
    let rounded = is_integer(cell) && format!("{:.0}", x.abs()) != digits;
    let kept = x.is_finite() || named;
    (kept && !leading && !rounded && !cell.starts_with('+')).then_some(x)
}

impl Task for OriginalTask {
    fn trials(&self) -> &[Trial] {
        &self.trials
    }

    fn left_out(&self) -> &[String] {
        &self.left_out
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
        assert_eq!(column(&["", ""]), [Missing, Missing]);
    }

    #[test]
    fn no_digit_of_a_cell_is_lost() {
        let kinds = |cells: &[&str]| -> Vec<String> {
            let cells: Vec<_> = cells.iter().map(|c| ((*c).to_owned(), false)).collect();
            typed(&cells).iter().map(|v| format!("{} {v}", v.type_name())).collect()
        };
        for (cells, kind) in [
            (&["9223372036854775807", "-9223372036854775808"][..], "int"),
            (&["9223372036854775808", "18446744073709551615", "7"], "uint64"),
            (&["18446744073709551616"], "text"),
            (&["99999999999999999999", "1"], "text"),
            (&["1000000000000000000000000000000000000000000000", "-1"], "text"),
            (&["18446744073709551615", "-1"], "text"),
            (&["9007199254740993", "0.5"], "text"),
            (&["9007199254740992", "0.5"], "float"),
            (&["01", "02"], "text"),
            (&["1", "02"], "text"),
            (&["01.5"], "text"),
            (&["+1"], "text"),
            (&["1", "0.5", "-3", "1e-05", "-0.0", ".5"], "float"),
            (&["1e400"], "text"),
            (&["nan", "-inf"], "float"),
        ] {
            for (cell, found) in cells.iter().zip(kinds(cells)) {
                assert!(found.starts_with(&format!("{kind} ")), "{cells:?}: {found}");
                assert!(kind == "float" || found.ends_with(&format!(" {cell}")), "{found}");
            }
        }
        assert_eq!(real("-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    #[test]
    fn columns_without_a_name_of_their_own_are_refused() {
        let names = |names: &[&str]| {
            check_columns(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["a", "b", "A"]), Ok(()));
        assert!(
            names(&["a", "b", "a"]).unwrap_err().contains("columns 1 and 3 are both called \"a\"")
        );
        assert!(names(&["", "a"]).unwrap_err().contains("column 1 has no name"));
    }
}
