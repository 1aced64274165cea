//! One store into several, numbered files.

use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::maintain::copy::{Copied, Target, UnpublishedStore, new_options, open_source};
use crate::maintain::distribute::{SplitBy, distribute, ends};
use crate::maintain::shared_transfer::Refers;
use crate::store::options::{Layout, WriteOptions};
use crate::store::target::may_appear;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Most files of one split: each is open until all are whole.
pub const SPLIT_MAX: usize = 512;

/// How [`split`] goes about it.
#[derive(Debug, Clone, Default)]
pub struct SplitOptions {
    /// What the new stores are made with; `None` makes them as the old one is.
    pub layout: Option<Layout>,
    /// How the new store is written, and the old one read.
    pub write: WriteOptions,
    /// Whether stores that are there are replaced; a file that is not a store never is.
    pub overwrite: bool,
    /// Whether a source whose newest commit cannot be read is split as of an older one.
    pub accept_older: bool,
    /// How records refer to shared ones (`Some(codec::refers)`): each new store gets those that
    /// its records refer to. `None` gives all to each.
    pub refers: Option<Refers>,
}

/// Writes the records of the store or data set at `from` to several new stores, in order: `name-000.ext`,
/// `name-001.ext` and so on for a `to` of `name.ext`. Each has the attributes of the source.
/// The files appear when all are whole; the source is only read.
///
/// `progress` is told the bytes done and to do; its error ends the work, and no file appears.
///
/// # Errors
/// [`Error::Exists`] if there is a file under one of the names, [`Error::NotFound`] for a key
/// that is not there, [`Error::Invalid`] for parts of no size, [`Error::Limit`] for more than
/// [`SPLIT_MAX`] files; [`Error::Corrupt`] with the record for damage; [`Error::Io`].
pub fn split(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    by: &SplitBy,
    options: &SplitOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Vec<(PathBuf, Copied)>> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let source = open_source(from, &options.write.reading(), options.accept_older)?;
    let ends = ends(&source, by, SPLIT_MAX as u64)?;
    let names = names(to, ends.len())?;
    names.iter().try_for_each(|name| may_appear(name, Existing::of(options.overwrite)))?;
    let new = new_options(options.layout.as_ref(), &options.write, &source);
    let begin = |i: usize| {
        let name = names.get(i).ok_or_else(|| Error::invalid("parts", "there are too many"))?;
        Target::new(name, &source, &new, Existing::of(options.overwrite))
    };
    let mut ready: Vec<UnpublishedStore> = Vec::new();
    let finish = |target: Target| {
        ready.push(target.finish()?);
        Ok(())
    };
    distribute(&source, &ends, options.refers, begin, finish, &mut progress)
        .map_err(|e| e.at(from))?;
    let published = ready.into_iter().map(UnpublishedStore::publish).collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().zip(published).collect())
}

/// The names of `count` parts; any bytes that a file system allows stay as they are.
fn names(to: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let Some(stem) = to.file_stem() else {
        return Err(Error::invalid("path", "this path does not name a file").at(to));
    };
    let name = |i: usize| {
        let mut name = OsString::from(stem);
        name.push(format!("-{i:03}"));
        if let Some(end) = to.extension() {
            name.push(".");
            name.push(end);
        }
        to.with_file_name(name)
    };
    Ok((0..count).map(name).collect())
}
