//! A store or a data set into a new data set of members of a size.

use crate::backend::{not_an_address, sync_folder_of, temporary_name};
use crate::dataset::Edit;
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::limits::MEMBERS_MAX;
use crate::maintain::copy::{Copied, Target, new_options, open_source};
use crate::maintain::distribute::{SplitBy, distribute, ends};
use crate::maintain::split::SplitOptions;
use crate::printable::printable_path;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Writes the records of the store or data set at `from` to the members of a new data set in the folder
/// `to`, in order: `part-00000.vls`, `part-00001.vls` and so on. The folder appears when all are whole; the
/// source is only read.
///
/// `progress` is told the bytes done and to do; its error ends the work, and no folder appears.
/// [`SplitOptions::overwrite`] has no effect: a folder that is there and not empty is never replaced.
///
/// # Errors
/// [`Error::Exists`] if there is something at `to`; else as [`split`](super::split()).
pub fn shard(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    by: &SplitBy,
    options: &SplitOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Vec<(String, Copied)>> {
    let (from, to) = (from.as_ref(), to.as_ref());
    must_be_free(to)?;
    let source = open_source(from, &options.write.reading(), options.accept_older)?;
    let ends = ends(&source, by, MEMBERS_MAX)?;
    let new = new_options(options.layout.as_ref(), &options.write, &source);
    let folder = StagedFolder::new(to)?;
    let name = |number: usize| format!("part-{number:05}.vls");
    let begin =
        |number| Target::new(&folder.temporary.join(name(number)), &source, &new, Existing::Refuse);
    let mut made = Vec::new();
    let finish = |target: Target| {
        // One file is open at a time.
        made.push((name(made.len()), target.finish()?.publish()?));
        Ok(())
    };
    distribute(&source, &ends, options.refers, begin, finish, &mut progress)
        .map_err(|e| e.at(from))?;
    let total = source.record_bytes();
    let mut edit = Edit::begin(&folder.temporary)?;
    for (name, _) in &made {
        edit.put(name, |_, _| progress(total, total))?;
    }
    edit.publish()?;
    folder.publish()?;
    Ok(made)
}

/// Refuses a place at which there is anything but an empty folder.
fn must_be_free(place: &Path) -> Result<()> {
    let exists = || Error::Exists { what: printable_path(place).into(), instead: None }.at(place);
    match fs::read_dir(place) {
        Ok(mut inside) => inside.next().map_or(Ok(()), |_| Err(exists())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotADirectory => Err(exists()),
        Err(e) => Err(Error::io("look at", e).at(place)),
    }
}

/// A new folder that appears under its name when it is whole. Dropped unpublished it is removed.
struct StagedFolder {
    temporary: PathBuf,
    place: PathBuf,
    published: bool,
}

impl StagedFolder {
    fn new(place: &Path) -> Result<Self> {
        if place.parent().is_some_and(|folder| !folder.exists()) {
            not_an_address(place)?;
        }
        let place = std::path::absolute(place).map_err(|e| Error::io("find", e).at(place))?;
        let number = RandomState::new().hash_one(std::process::id());
        let temporary = place.with_file_name(temporary_name(place.file_name(), number));
        fs::create_dir(&temporary).map_err(|e| Error::io("create the folder", e).at(&place))?;
        Ok(Self { temporary, place, published: false })
    }

    fn publish(mut self) -> Result<()> {
        // An empty folder that is there makes room; one that is not stops the renaming.
        fs::rename(&self.temporary, &self.place)
            .map_err(|e| Error::io("rename the new folder to its place", e).at(&self.place))?;
        self.published = true;
        sync_folder_of(&self.place)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure, and nothing depends on the folder.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
