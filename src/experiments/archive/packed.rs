//! The files of a folder that lies in an archive, read one by one.

use super::zip_error;
use crate::backend::is_temporary_name;
use crate::error::{Error, Result};
use crate::experiments::files::{Files, Kind, Listing};
use crate::experiments::raw_files::{Part, io_error};
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
    names: Names,
    /// The file of HDF5 that was opened last: arrays are asked for one after the other.
    last: Mutex<Option<(String, File)>>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Names of files and folders below the root.
#[derive(Debug, Default)]
pub(super) struct Names {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Names {
    /// Of names, and whether they are of folders. Folders that have no entry of their own are found, too.
    pub(super) fn new<'a>(entries: impl Iterator<Item = (&'a str, bool)>) -> Self {
        let mut names = Self::default();
        for (name, folder) in entries {
            let name = name.trim_end_matches('/');
            let around = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            names.folders.extend(around.map(ToOwned::to_owned));
            let kind = if folder { &mut names.folders } else { &mut names.files };
            kind.insert(name.to_owned());
        }
        names
    }
}

impl Listing for Names {
    fn is_file(&self, at: &str) -> bool {
        self.files.contains(at)
    }

    fn list(&self, at: &str) -> Result<Vec<(String, Kind)>> {
        let prefix = if at.is_empty() { String::new() } else { format!("{at}/") };
        let inside = |names: &BTreeSet<String>, kind| -> Vec<(String, Kind)> {
            let after = names.range(prefix.clone()..).map_while(|n| n.strip_prefix(&prefix));
            let direct = after.filter(|name| !name.contains('/') && !is_temporary_name(name));
            direct.map(|name| (name.to_owned(), kind)).collect()
        };
        let mut found = inside(&self.files, Kind::File);
        found.extend(inside(&self.folders, Kind::Folder));
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
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
        let names = Names::new(entries.iter().map(|(_, name, folder, _)| (name.as_str(), *folder)));
        let files = entries.into_iter().filter(|(_, _, folder, _)| !folder);
        let files = files.map(|(index, name, _, len)| (name, (index, len))).collect();
        Self { path: path.into(), len, zip: Mutex::new(zip), files, names, last: Mutex::new(None) }
    }
}

impl Listing for Packed {
    fn is_file(&self, at: &str) -> bool {
        self.names.is_file(at)
    }

    fn list(&self, at: &str) -> Result<Vec<(String, Kind)>> {
        self.names.list(at)
    }
}

impl Files for Packed {
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
        let missing = || Error::format("zip", at, "this file does not exist").at(&self.path);
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
