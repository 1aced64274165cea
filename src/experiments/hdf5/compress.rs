//! Arrays that are compressed on all cores before they are put into the file.
//!
//! The library that writes HDF5 compresses on the thread that commits. It copies data sets of other files
//! as they are, though, compressed: so each array becomes a file in memory, on whatever core is free.

use super::dataset::dataset;
use super::hdf5_error;
use super::types::datatype;
use crate::error::Result;
use crate::experiments::array::Array;
use crate::store::read::share_out::share_out;
use hdf5_pure::{File, FileBuilder};
use std::path::Path;
use std::thread;

/// The data set in a file of [`compressed`].
pub(super) const DATA: &str = "data";
/// Threads, at most.
const THREADS_MAX: usize = 8;
/// Arrays of fewer bytes are not worth a file of their own.
const SMALL: usize = 1 << 14;

/// Whether an array is compressed here.
pub(super) fn is_large(array: &Array) -> bool {
    // A single value is not cut into pieces, and so not compressed.
    array.data.len() >= SMALL && !array.shape.is_empty()
}

/// How many threads compress.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Files with one data set each, compressed, in the order of `arrays`. `path` is that of the file which will
/// hold them all.
pub(super) fn compressed(path: &Path, arrays: Vec<Array>, level: u32) -> Result<Vec<File>> {
    share_out(
        threads(),
        arrays,
        || (),
        |(), array| file(array, level).map_err(|e| hdf5_error(path, "file", e)),
    )
}

fn file(array: Array, level: u32) -> std::result::Result<File, hdf5_pure::Error> {
    let kind = datatype(array.dtype)?;
    let mut builder = FileBuilder::new();
    dataset(builder.create_dataset(DATA), array, kind, level);
    File::from_bytes(builder.finish()?)
}
