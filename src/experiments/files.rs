//! The files of a folder, wherever it lies: on disk, or in an archive.

use super::hdf5::open_file;
use crate::backend::is_temporary_name;
use crate::error::{Error, Result};
use hdf5_pure::File;
use std::fmt::Debug;
use std::path::PathBuf;
use std::{fs, io};

/// What a name in a folder is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// Neither, such as a link to nothing.
    Other,
}

/// Names of folders and files below a root; `at` is the path below it, with `/`.
pub(super) trait Listing {
    /// Everything in a folder, sorted as text, hidden names too; not what a process that was killed
    /// left of a file that was not complete.
    fn list(&self, at: &str) -> Result<Vec<(String, Kind)>>;

    /// Whether there is a file at `at`.
    fn is_file(&self, at: &str) -> bool;

    /// Names of the folders in a folder, without hidden ones.
    fn folders(&self, at: &str) -> Result<Vec<String>> {
        Ok(of_kind(self.list(at)?, Kind::Folder))
    }

    /// Names of the files in a folder, without hidden ones.
    fn files(&self, at: &str) -> Result<Vec<String>> {
        Ok(of_kind(self.list(at)?, Kind::File))
    }
}

fn of_kind(names: Vec<(String, Kind)>, wanted: Kind) -> Vec<String> {
    let visible = names.into_iter().filter(|(name, kind)| !is_hidden(name) && *kind == wanted);
    visible.map(|(name, _)| name).collect()
}

pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// A name in the folder `at`, from the root on.
pub(super) fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") }
}

/// What lies beside the tasks of an experiment, from the root on; folders end with `/`. `is_task` says whether
/// what is in the folder of a subject is a task.
pub(super) fn beside_tasks(
    files: &dyn Listing,
    is_task: &dyn Fn(&str, Kind) -> bool,
) -> Result<Vec<String>> {
    let shown = |at: &str, name: &str, kind| {
        let end = if kind == Kind::Folder { "/" } else { "" };
        format!("{}{end}", below(at, name))
    };
    let mut out = Vec::new();
    for (name, kind) in files.list("")? {
        if kind != Kind::Folder || is_hidden(&name) {
            out.push(shown("", &name, kind));
            continue;
        }
        for (inner, kind) in files.list(&name)? {
            if is_hidden(&inner) || !is_task(&inner, kind) {
                out.push(shown(&name, &inner, kind));
            }
        }
    }
    Ok(out)
}

/// The content of files, too.
pub(super) trait Files: Listing + Debug + Send + Sync {
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

impl Listing for Folder {
    fn is_file(&self, at: &str) -> bool {
        self.path(at).is_file()
    }

    fn list(&self, at: &str) -> Result<Vec<(String, Kind)>> {
        let path = self.path(at);
        let failed = |e| Error::io("list this folder", e).at(&path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                let why = format!("the name of {name:?} is not UTF-8: rename it");
                Error::invalid("experiment", why).at(&path)
            })?;
            let kind = match fs::metadata(entry.path()) {
                Ok(about) if about.is_dir() => Kind::Folder,
                Ok(about) if about.is_file() => Kind::File,
                _ => Kind::Other,
            };
            if !is_temporary_name(&name) {
                names.push((name, kind));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }
}

impl Files for Folder {
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
