//! The files of a folder that lies in an archive, read one by one.

use super::zip_error;
use crate::error::{Error, Result};
use crate::experiments::files::Files;
use crate::experiments::whole::{Part, io_error};
use crate::wire::{memory, to_usize};
use hdf5_pure::File;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zip::ZipArchive;

/// Bytes of a file that are read whatever the length of the archive.
const ALWAYS: u64 = 1 << 26;
/// What a byte of an archive becomes, at most.
const RATIO: u64 = 1100;

/// The folder of an experiment in an archive.
pub(super) struct Packed {
    path: PathBuf,
    /// Length of the archive.
    len: u64,
    zip: Mutex<ZipArchive<Part>>,
    /// Place and length of each file, by its name without the root.
    files: BTreeMap<String, (usize, u64)>,
    folders: BTreeSet<String>,
    /// The file of HDF5 that was opened last: arrays are asked for one after the other.
    last: Mutex<Option<(String, File)>>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Packed {
    /// `entries` are index, name, whether it is a folder, and length.
    pub(super) fn new(
        path: &Path,
        len: u64,
        zip: ZipArchive<Part>,
        entries: Vec<(usize, String, bool, u64)>,
    ) -> Self {
        let (mut files, mut folders) = (BTreeMap::new(), BTreeSet::new());
        for (index, name, folder, len) in entries {
            let name = name.trim_end_matches('/').to_owned();
            let around = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            folders.extend(around.map(ToOwned::to_owned));
            if folder {
                folders.insert(name);
            } else {
                files.insert(name, (index, len));
            }
        }
        Self {
            path: path.into(),
            len,
            zip: Mutex::new(zip),
            files,
            folders,
            last: Mutex::new(None),
        }
    }
}

/// Last parts of those names that lie in the folder `at` itself, without hidden ones.
fn inside<'a>(names: impl Iterator<Item = &'a String>, at: &str) -> Vec<String> {
    let prefix = if at.is_empty() { String::new() } else { format!("{at}/") };
    names
        .filter_map(|name| name.strip_prefix(&prefix))
        .filter(|name| !name.contains('/') && !name.starts_with('.'))
        .map(Into::into)
        .collect()
}

impl Files for Packed {
    fn folders(&self, at: &str) -> Result<Vec<String>> {
        Ok(inside(self.folders.iter(), at))
    }

    fn files(&self, at: &str) -> Result<Vec<String>> {
        Ok(inside(self.files.keys(), at))
    }

    fn bytes(&self, at: &str) -> Result<Option<Vec<u8>>> {
        let Some((index, len)) = self.files.get(at) else { return Ok(None) };
        if *len > ALWAYS.max(self.len.saturating_mul(RATIO)) {
            let why =
                format!("it claims {len} bytes, more than an archive of {} can hold", self.len);
            return Err(Error::format("zip", at, why).at(&self.path));
        }
        let mut zip = self.zip.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = zip.by_index(*index).map_err(|e| zip_error(&self.path, e))?;
        let mut bytes = memory::with_room(to_usize(*len).unwrap_or(usize::MAX))?;
        let failed = |e| io_error("read the archive", e).at(&self.path(at));
        entry.by_ref().take(*len).read_to_end(&mut bytes).map_err(failed)?;
        // Its checksum is compared at the end.
        entry.read(&mut [0]).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn hdf5(&self, at: &str) -> Result<File> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, file)) = last.as_ref()
            && name == at
        {
            return Ok(file.clone());
        }
        let missing = || Error::format("zip", at, "there is no such file").at(&self.path);
        let bytes = self.bytes(at)?.ok_or_else(missing)?;
        let file = File::from_bytes(bytes)
            .map_err(|e| Error::format("HDF5", "file", e.to_string()).at(&self.path(at)))?;
        *last = Some((at.to_owned(), file.clone()));
        Ok(file)
    }

    fn path(&self, at: &str) -> PathBuf {
        if at.is_empty() { self.path.clone() } else { self.path.join(at) }
    }
}
