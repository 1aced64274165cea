//! Single arrays in files of HDF5.

use super::dataset::dataset;
use super::hdf5_error;
use super::links::has_old_links;
use super::read::{dataset_array, open_file};
use super::types::datatype;
use crate::backend::{Access, StagedFile};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::experiments::array::Array;
use hdf5_pure::{File, FileBuilder, FormatError};
use std::path::Path;

/// Effort of the compression.
const LEVEL: u32 = 4;

/// Parts of the name of a data set; groups stand before the last one.
fn parts(name: &str) -> Result<Vec<&str>> {
    let parts: Vec<&str> = name.split('/').collect();
    let bad = |part: &&str| matches!(*part, "" | "." | "..") || part.contains('\0');
    if parts.iter().any(bad) {
        let why =
            format!("{name:?} is not a valid name; give one such as \"data\" or \"group/data\"");
        return Err(Error::invalid("data set", why));
    }
    Ok(parts)
}

/// Writes `array` as the data set `name` to the file at `path`, which is made if it does not exist;
/// what is in it stays.
///
/// # Errors
/// [`Error::Invalid`] for a name that cannot be one; [`Error::Exists`] if there is anything of this
/// name; [`Error::Format`] if the file is no HDF5, or one that nothing can be added to here without
/// damage (see [`add_hdf5`]): then it is unchanged. [`Error::Io`].
pub fn write_hdf5(path: &Path, array: Array, name: &str) -> Result<()> {
    match add_hdf5(path, array, name)? {
        Added::Done => Ok(()),
        Added::Refused(reason) => {
            let why = format!(
                "nothing can be added to this file here ({reason}); it is unchanged: write to another \
                 file, or add to it with h5py"
            );
            Err(Error::format("HDF5", name, why).at(path))
        }
    }
}

/// What became of an array that was to be added to a file.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is in the file.
    Done,
    /// It is not, and the file is unchanged: another library has to add it, for this reason.
    Refused(Box<str>),
}

/// As [`write_hdf5`], for callers that have another library for files that nothing can be added to here
/// without damage: their groups have soft or external links in the format of HDF5 1.6, more links than fit a
/// header, or several names.
///
/// # Errors
/// As [`write_hdf5`], without that refusal.
pub fn add_hdf5(path: &Path, array: Array, name: &str) -> Result<Added> {
    let parts = parts(name)?;
    let failed = |e| hdf5_error(path, name, e);
    let kind = datatype(array.dtype).map_err(|e| failed(e.into()))?;
    if !path.try_exists().unwrap_or(true) {
        // A new file appears with the array in it, or not at all.
        let staged = StagedFile::new(path, Access::Pread)?;
        let aside = staged.backend().path();
        FileBuilder::new().write(&aside).map_err(failed)?;
        let added = add(&aside, path, &parts, array, kind, name)?;
        staged.publish(Existing::Refuse)?;
        return Ok(added);
    }
    add(path, path, &parts, array, kind, name)
}

fn add(
    file: &Path,
    path: &Path,
    parts: &[&str],
    array: Array,
    kind: hdf5_pure::Datatype,
    name: &str,
) -> Result<Added> {
    let exists = || Error::Exists { what: format!("{name:?}").into(), instead: None }.at(path);
    if has_old_links(file)? {
        let reason = "it has soft or external links in the format of HDF5 1.6";
        return Ok(Added::Refused(reason.into()));
    }
    match put(file, parts, array, kind) {
        Ok(true) => Ok(Added::Done),
        Ok(false) => Err(exists()),
        // Links that are neither data sets nor groups, such as soft links and named types.
        Err(hdf5_pure::Error::EditUnsupported(why)) if why.contains("already exists") => {
            Err(exists())
        }
        Err(hdf5_pure::Error::EditUnsupported(why)) => Ok(Added::Refused(why.into())),
        // The address of a soft link in a symbol table: there is none.
        Err(hdf5_pure::Error::Format(FormatError::UnexpectedEof {
            expected: usize::MAX, ..
        })) => Ok(Added::Refused("its group has soft links in the format of HDF5 1.6".into())),
        Err(other) => Err(hdf5_error(path, name, other)),
    }
}

/// Whether the array was put under a name that was free.
fn put(
    file: &Path,
    parts: &[&str],
    array: Array,
    kind: hdf5_pure::Datatype,
) -> std::result::Result<bool, hdf5_pure::Error> {
    let file = File::open_rw(file)?;
    let mut group = file.root();
    let Some((last, folders)) = parts.split_last() else { return Ok(false) };
    for folder in folders {
        if group.datasets()?.iter().any(|n| n == folder) {
            return Ok(false);
        }
        group = if group.groups()?.iter().any(|n| n == folder) {
            group.group(folder)?
        } else {
            group.create_group(folder)?
        };
    }
    if group.datasets()?.into_iter().chain(group.groups()?).any(|n| n == *last) {
        return Ok(false);
    }
    group.create_dataset(last, |b| dataset(b, array, kind, LEVEL))?;
    drop(group);
    file.commit()?;
    file.close()?;
    Ok(true)
}

/// Reads the data set `name` of the file at `path`.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::Format`] if it has no numbers or the file is no
/// HDF5, [`Error::Io`].
pub fn read_hdf5(path: &Path, name: &str) -> Result<Array> {
    let file = open_file(path)?;
    let dataset = file.dataset(name).map_err(|e| match e {
        hdf5_pure::Error::Format(hdf5_pure::FormatError::PathNotFound(_)) => {
            Error::NotFound { key: format!("{name:?} (data set)").into() }.at(path)
        }
        other => hdf5_error(path, name, other),
    })?;
    dataset_array(path, name, &dataset)
}
