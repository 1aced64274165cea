//! An experiment as one zip archive, that anybody can open and that is restored byte for byte.
//!
//! Every file lies in it as it is. Beside the store of each task lie its trials as a table
//! (`trials.csv`) and its arrays (`ARRAY/0.npy`), for people who have `unzip` and nothing of ours.
//! `vlstore.json` at the end says which entries are files and which are such views.

mod packed;
mod places;
mod read;
mod write;

pub use read::{Archive, storage_from_zip};
pub use write::{ArchiveOptions, storage_to_zip};

use crate::error::Error;
use std::path::Path;
use zip::result::ZipError;

/// The error of the crate for one of an archive.
fn zip_error(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => super::raw_files::io_error("read or write the archive", error),
        other => Error::format("zip", "archive", other.to_string()),
    }
    .at(path)
}
