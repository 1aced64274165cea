//! Whether a folder is that of an experiment, or lies above or below one.
//!
//! The folder of a subject holds files, too, and read as an experiment it would be one without any task.

use super::files::{Kind, Listing, below, is_hidden};
use super::names::{TABLE, is_original, task_of};
use crate::error::{Error, Result};
use crate::printable::printable_path;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a folder lies in the hierarchy of an experiment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It is the root, or nothing says that it is not.
    Root,
    /// It is of a subject; this task of ours is in it.
    Subject(String),
    /// The same, of the original program.
    Theirs(String),
    /// It is of a task of the original program.
    Task,
    /// The root is this folder in it.
    Above(String),
}

/// Where a folder lies. `is_task` says whether a file is a store of a task; with `deeper` it is also
/// looked for an experiment in the folders of this one. What cannot be listed is passed over: it is an error
/// where it is read.
pub(super) fn level(files: &dyn Listing, is_task: &dyn Fn(&str) -> bool, deeper: bool) -> Level {
    let mut found = Level::Root;
    for (name, kind) in files.list("").unwrap_or_default() {
        match kind {
            Kind::File if name == TABLE => found = Level::Task,
            Kind::File if found == Level::Root => {
                if let Some(task) = task_of(&name).filter(|_| is_task(&name)) {
                    found = Level::Subject(task.to_owned());
                }
            }
            Kind::Folder
                if found == Level::Root
                    && !is_hidden(&name)
                    && files.is_file(&below(&name, TABLE)) =>
            {
                found = Level::Theirs(name);
            }
            _ => {}
        }
    }
    // Whatever else lies in a folder with tasks in the right place, it is a root.
    if (found == Level::Root && !deeper) || has_tasks(files, "", &|_| true) {
        return Level::Root;
    }
    if found == Level::Root {
        let mut folders = files.folders("").unwrap_or_default().into_iter();
        if let Some(folder) = folders.find(|folder| has_tasks(files, folder, is_task)) {
            return Level::Above(folder);
        }
    }
    found
}

/// Whether a task lies where it would if the folder `root` were that of an experiment.
fn has_tasks(files: &dyn Listing, root: &str, is_task: &dyn Fn(&str) -> bool) -> bool {
    let subjects = files.folders(root).unwrap_or_default();
    subjects.iter().map(|subject| below(root, subject)).any(|subject| {
        files.list(&subject).unwrap_or_default().iter().any(|(name, kind)| {
            let at = below(&subject, name);
            match kind {
                Kind::File => task_of(name).is_some() && is_task(&at),
                Kind::Folder if !is_hidden(name) => {
                    files.files(&at).unwrap_or_default().iter().any(|inner| is_original(inner))
                }
                _ => false,
            }
        })
    })
}

impl Level {
    /// Refuses a folder on disk that is not the root, and says which one is.
    pub(super) fn must_be_root(&self, path: &Path) -> Result<()> {
        let above = |n: usize| printable_path(&up(path, n)).to_string();
        const LOST: &str = "was unpacked from an archive that AxoPy made, the folders of its subjects and \
                            tasks are lost, and one file of each name is left: pack the original folder \
                            again with `vlstore archive`";
        let subject = |task: &str| {
            format!(
                "this is the folder of a subject (it holds the task {task:?}), not that of the \
                 experiment; give the folder above it: {}",
                above(1)
            )
        };
        let why = match self {
            Self::Root => return Ok(()),
            Self::Subject(task) => subject(task),
            Self::Theirs(task) => format!("{} (if {task:?} {LOST})", subject(task)),
            Self::Task => format!(
                "this is the folder of a task of AxoPy (it holds {TABLE}), not that of the \
                 experiment; give the folder two above it: {} (if it {LOST})",
                above(2)
            ),
            Self::Above(folder) => format!(
                "the experiment is in a folder of it; give {}",
                printable_path(&path.join(folder))
            ),
        };
        Err(Error::invalid("experiment", why).at(path))
    }

    /// Refuses an archive whose folder is not the root.
    pub(super) fn must_be_packed(&self, path: &Path) -> Result<()> {
        let why = match self {
            // Of a task alone the reader of archives says more.
            Self::Root | Self::Task => return Ok(()),
            Self::Subject(task) | Self::Theirs(task) => format!(
                "its folder is that of one subject (it holds the task {task:?}); restore it into an \
                 empty folder, and give that one, or pack the folder above it with `vlstore archive`"
            ),
            Self::Above(folder) => format!(
                "the experiment is one folder deeper, in {folder:?}; restore it with `vlstore archive \
                 --restore`, and give that folder"
            ),
        };
        Err(Error::invalid("experiment", why).at(path))
    }
}

/// The folder `n` above.
fn up(path: &Path, n: usize) -> PathBuf {
    let named = |path: &Path| {
        let mut above = path.to_path_buf();
        for _ in 0..n {
            above.file_name()?;
            above.pop();
        }
        (!above.as_os_str().is_empty()).then_some(above)
    };
    let whole = || named(&fs::canonicalize(path).ok()?);
    named(path)
        .or_else(whole)
        .unwrap_or_else(|| PathBuf::from("..".to_owned() + &"/..".repeat(n - 1)))
}

#[cfg(test)]
mod tests {
    use super::super::files::Folder;
    use super::*;

    #[test]
    fn folders_above_and_below_are_told_from_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("all/data");
        for file in ["p01/reach.vls", "p02/notes.txt", "theirs/p/t/trials.csv", "theirs/p/x.csv"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let of = |path: &str, deeper| level(&Folder(dir.path().join(path)), &|_| true, deeper);
        assert_eq!(of("all/data", false), Level::Root);
        assert_eq!(of("all/data/p01", false), Level::Subject("reach".into()));
        assert_eq!(of("all/data/p02", true), Level::Root);
        assert_eq!(of("all/data/theirs", true), Level::Root);
        assert_eq!(of("all/data/theirs/p", false), Level::Theirs("t".into()));
        assert_eq!(of("all/data/theirs/p/t", false), Level::Task);
        assert_eq!(of("all", false), Level::Root);
        assert_eq!(of("all", true), Level::Above("data".into()));
        let none = level(&Folder(root.join("p01")), &|_| false, false);
        assert_eq!(none, Level::Root, "a store of something else");
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::ffi::OsStrExt;
            let odd = dir.path().join("odd/p01").join(std::ffi::OsStr::from_bytes(b"\xff"));
            fs::create_dir_all(odd.parent().unwrap()).unwrap();
            fs::write(odd, "").unwrap();
            assert_eq!(of("odd", true), Level::Root, "what cannot be listed is no reason");
        }
        let said = of("all/data/p01", false).must_be_root(&root.join("p01")).unwrap_err();
        let right = format!("give the folder above it: {}", printable_path(&root));
        assert!(said.to_string().contains(&right), "{said}");
        assert_eq!(up(Path::new("a/b"), 1), Path::new("a"));
        assert_eq!(up(Path::new("."), 1), fs::canonicalize("..").unwrap());
    }
}
