//! What can be read of a task, wherever it lies: in a store, in an archive, in a file of HDF5, in
//! a folder of the original program.

use super::array::Array;
use super::head::{Trial, Unfinished};
use super::object::Object;
use super::table::Table;
use crate::error::{Error, Result};
use std::fmt::Debug;

/// The trials of one task of one subject.
pub trait Task: Debug + Send + Sync {
    /// The trials in the order in which they were written, without their arrays.
    fn trials(&self) -> &[Trial];

    /// The array `name` of the trial at this place, counted from 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says which arrays the trial has if it has no such; what reading
    /// fails with.
    fn array(&self, trial: usize, name: &str) -> Result<Array>;

    /// Names of the single objects, sorted.
    fn objects(&self) -> &[String];

    /// The object `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the object does not exist, which says which do; what reading
    /// fails with.
    fn object(&self, name: &str) -> Result<Object>;

    /// Trials that were begun and never written, which only stores of ours know.
    fn unfinished(&self) -> &[Unfinished] {
        &[]
    }

    /// What is committed of the array `name` of an unfinished trial.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no piece of it; what reading fails with.
    fn unfinished_array(&self, _trial: &Unfinished, name: &str) -> Result<Array> {
        Err(Error::invalid("array", format!("no piece of {name:?} was committed")))
    }

    /// What of the task cannot be read here, by its place in the file and with the reason: what other
    /// programs added to a consolidated file. It is in no trial.
    fn left_out(&self) -> &[String] {
        &[]
    }

    /// The attributes of all trials.
    fn table(&self) -> Table {
        Table::of(self.trials())
    }
}

/// Subjects and their tasks.
pub trait Subjects: Debug + Send + Sync {
    /// Names of the subjects, sorted as text.
    ///
    /// # Errors
    /// What reading fails with.
    fn subjects(&self) -> Result<Vec<String>>;

    /// Names of the tasks of `subject`, sorted as text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the subject does not exist; what reading fails with.
    fn tasks(&self, subject: &str) -> Result<Vec<String>>;

    /// One task.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the task does not exist; what reading fails with.
    fn task(&self, subject: &str, task: &str) -> Result<Box<dyn Task>>;

    /// Everything that is in no task, by its place below the root: files and folders (these end with
    /// `/`), and [what of a task cannot be read](Task::left_out). Consolidation and import leave it out.
    ///
    /// # Errors
    /// What reading fails with.
    fn left_out(&self) -> Result<Vec<String>>;
}

/// How many trials of all tasks were begun and never written. They are in the stores and in archives
/// of them; consolidation and import leave them out.
///
/// # Errors
/// What reading fails with.
pub fn unfinished_trials(from: &dyn Subjects) -> Result<u64> {
    let mut count = 0;
    for subject in from.subjects()? {
        for task in from.tasks(&subject)? {
            count += from.task(&subject, &task)?.unfinished().len() as u64;
        }
    }
    Ok(count)
}

/// There is no such subject.
pub(super) fn no_subject(subject: &str) -> Error {
    Error::invalid("subject", format!("{subject:?} does not exist"))
}

/// The subject has no such task.
pub(super) fn no_task(subject: &str, task: &str) -> Error {
    Error::invalid(
        "task",
        format!("subject {subject:?} has no task {task:?}; create it first (`create_task`)"),
    )
}
