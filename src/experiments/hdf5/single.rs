//! Single arrays in files of HDF5.

use super::hdf5_error;
use super::links::has_old_links;
use super::read::{dataset_array, open_file};
use super::types::datatype;
use super::write::dataset;
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
        let why = format!("{name:?} is no name; give one such as \"data\" or \"group/data\"");
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
/// damage (its groups have soft or external links in the format of HDF5 1.6, more links than fit a
/// header, or several names): then it is unchanged. [`Error::Io`].
pub fn write_hdf5(path: &Path, array: Array, name: &str) -> Result<()> {
    let parts = parts(name)?;
    let failed = |e| hdf5_error(path, name, e);
    let kind = datatype(array.dtype).map_err(|e| failed(e.into()))?;
    if !path.try_exists().unwrap_or(true) {
        // A new file appears with the array in it, or not at all.
        let staged = StagedFile::new(path, Access::Pread)?;
        let aside = staged.backend().path();
        FileBuilder::new().write(&aside).map_err(failed)?;
        add(&aside, path, &parts, array, kind, name)?;
        return staged.publish(Existing::Refuse);
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
) -> Result<()> {
    let exists = || Error::Exists { what: format!("{name:?}").into(), instead: None }.at(path);
    let refused = |reason: &str| {
        let why = format!(
            "nothing can be added to this file here ({reason}); it is unchanged: write to another \
             file, or add to it with h5py"
        );
        Error::format("HDF5", name, why).at(path)
    };
    let failed = |e| match e {
        // Links that are neither data sets nor groups, such as soft links and named types.
        hdf5_pure::Error::EditUnsupported(why) if why.contains("already exists") => exists(),
        hdf5_pure::Error::EditUnsupported(why) => refused(why),
        // The address of a soft link in a symbol table: there is none.
        hdf5_pure::Error::Format(FormatError::UnexpectedEof { expected: usize::MAX, .. }) => {
            refused("its group has soft links in the format of HDF5 1.6")
        }
        other => hdf5_error(path, name, other),
    };
    if has_old_links(file)? {
        return Err(refused("it has soft or external links in the format of HDF5 1.6"));
    }
    let file = File::open_rw(file).map_err(failed)?;
    let mut group = file.root();
    let (last, folders) =
        parts.split_last().ok_or_else(|| Error::invalid("data set", "no name"))?;
    for folder in folders {
        if group.datasets().map_err(failed)?.iter().any(|n| n == folder) {
            return Err(exists());
        }
        group = if group.groups().map_err(failed)?.iter().any(|n| n == folder) {
            group.group(folder).map_err(failed)?
        } else {
            group.create_group(folder).map_err(failed)?
        };
    }
    let there =
        group.datasets().map_err(failed)?.into_iter().chain(group.groups().map_err(failed)?);
    if there.into_iter().any(|n| n == *last) {
        return Err(exists());
    }
    group.create_dataset(last, |b| dataset(b, array, kind, LEVEL)).map_err(failed)?;
    drop(group);
    file.commit().map_err(failed)?;
    file.close().map_err(failed)
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
