//! Experiments and single arrays in files of HDF5.
//!
//! A consolidated experiment is `/SUBJECT/TASK/TRIAL/ARRAY`: groups, and a data set for each
//! array. The attributes of a trial are those of its group, for every reader of HDF5; beside them
//! `vlstore:attributes` has them with their types and order, and `vlstore:arrays` the order of the
//! arrays. Single objects are data sets in `/SUBJECT/TASK/objects`.

mod attributes;
mod compress;
mod dataset;
mod links;
mod read;
mod single_array;
mod types;
mod write;

pub use read::Consolidated;
pub(super) use read::{Found, dataset_array, dataset_entry, open_file};
pub use single_array::{Added, add_hdf5, read_hdf5, write_hdf5};
pub use write::{ConsolidateOptions, storage_to_hdf5};

use crate::error::Error;
use std::path::Path;

const LAYER: &str = "experiment-hdf5";
const VERSION: i64 = 1;
/// What names of attributes of ours begin with, and those names.
const OURS: &str = "vlstore:";
const MARK: &str = "vlstore:layer";
const MARK_VERSION: &str = "vlstore:version";
const ATTRIBUTES: &str = "vlstore:attributes";
const ARRAYS: &str = "vlstore:arrays";
const FORM: &str = "vlstore:form";
/// The group of the single objects of a task.
const OBJECTS: &str = "objects";

/// The error of the crate for one of a file of HDF5.
fn hdf5_error(path: &Path, at: &str, error: hdf5_pure::Error) -> Error {
    match error {
        hdf5_pure::Error::Io(error) => Error::io("read or write the HDF5 file", error),
        hdf5_pure::Error::FileLocked(_) => Error::Locked,
        hdf5_pure::Error::FileMarkedInUse(_) => {
            let why = "a program has this file open for writing, or ended without closing it; close it \
                       there, or remove the mark that was left with `h5clear -s FILE` of HDF5";
            Error::format("HDF5", at, why)
        }
        other => Error::format("HDF5", at, other.to_string()),
    }
    .at(path)
}
