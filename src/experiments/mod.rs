//! Data of an experiment: written as it is acquired, then archived and consolidated.
//!
//! An experiment has subjects, a subject has tasks, a task has trials. A trial has attributes
//! (single values whose types are kept) and arrays (whole, or put together from pieces that are
//! written while they are acquired). Each task is one store, `root/SUBJECT/TASK.vls`: several
//! processes acquire several subjects at once, and two writers of one task are refused.
//!
//! A trial is one commit: it is there with all of its arrays, or not at all. Pieces of a trial
//! under way are committed once a second by default; what a stopped acquisition left of its last
//! trial is no trial, and stays readable as [`Unfinished`].
//!
//! ```
//! use vlstore::codec::ArrayView;
//! use vlstore::experiments::{Acquired, StackAxis, Storage, Task, TaskOptions, Value};
//!
//! # fn main() -> vlstore::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let storage = Storage::create(dir.path().join("data"))?;
//! let mut task = storage.append_task("p01", "reach", TaskOptions::default())?;
//! let attributes = [
//!     ("label".to_owned(), Value::Text("left".into())),
//!     ("block".to_owned(), Value::Int(0)),
//!     ("trial".to_owned(), Value::Int(0)),
//! ];
//! let token = task.begin(&attributes)?;
//! for piece in [[0.5, 1.5], [2.5, 3.5]] {
//!     task.stack(token, "emg", StackAxis::Columns, &ArrayView::of(&[2], &piece)?)?;
//! }
//! task.write(Some(token), &attributes, &[("emg", StackAxis::Columns, Acquired::Stacked)])?;
//! task.close()?;
//!
//! let task = storage.require_task("p01", "reach")?;
//! assert_eq!(task.table().csv(), "label,block,trial\nleft,0,0\n");
//! assert_eq!(task.array(0, "emg")?.shape, [4]);
//! # Ok(())
//! # }
//! ```

mod archive;
mod array;
mod files;
mod folder_level;
mod hdf5;
mod head;
mod import;
mod names;
mod npy;
mod object;
mod original;
mod raw_files;
mod source;
mod storage;
mod table;
mod task;
mod value;
mod views;

pub use archive::{Archive, ArchiveOptions, storage_from_zip, storage_to_zip};
pub use array::{Array, StackAxis};
pub use hdf5::{
    Added, ConsolidateOptions, Consolidated, add_hdf5, read_hdf5, storage_to_hdf5, write_hdf5,
};
pub use head::{ArrayEntry, Attributes, Trial, Unfinished};
pub use import::{ImportedExperiment, import_experiment, open_experiment};
pub use names::NAME_MAX;
pub use object::Object;
pub use original::Original;
pub use source::{Subjects, Task, unfinished_trials};
pub use storage::Storage;
pub use table::Table;
pub use task::{Acquired, StoredTask, TaskOptions, TaskWriter};
pub use value::{Scalar, Value};
