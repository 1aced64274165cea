//! The files of a folder, wherever it lies: on disk, or in an archive.

use super::hdf5::open_file;
use super::whole::entries;
use crate::error::{Error, Result};
use hdf5_pure::File;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folders and files below a root; `at` is the path below it, with `/`.
pub(super) trait Files: Debug + Send + Sync {
    /// Names of the folders in a folder, sorted as text, without hidden ones.
    fn folders(&self, at: &str) -> Result<Vec<String>>;

    /// Names of the files in a folder, sorted as text, without hidden ones.
    fn files(&self, at: &str) -> Result<Vec<String>>;

    /// The content of a file; `None` if there is none.
    fn bytes(&self, at: &str) -> Result<Option<Vec<u8>>>;

    /// A file of HDF5.
    fn hdf5(&self, at: &str) -> Result<File>;

    /// How messages name a file.
    fn path(&self, at: &str) -> PathBuf;
}

/// A folder on disk.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Files for Folder {
    fn folders(&self, at: &str) -> Result<Vec<String>> {
        entries(&self.path(at), &Path::is_dir)
    }

    fn files(&self, at: &str) -> Result<Vec<String>> {
        entries(&self.path(at), &Path::is_file)
    }

    fn bytes(&self, at: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(at);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", e).at(&path)),
        }
    }

    fn hdf5(&self, at: &str) -> Result<File> {
        open_file(&self.path(at))
    }

    fn path(&self, at: &str) -> PathBuf {
        if at.is_empty() { self.0.clone() } else { self.0.join(at) }
    }
}
