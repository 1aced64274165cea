//! A file that appears under its name only when it is whole.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file being written next to its final place; removed if dropped before
/// [`publish`](Self::publish).
pub(super) struct Staged {
    file: File,
    aside: PathBuf,
    target: PathBuf,
    overwrite: bool,
    published: bool,
}

impl Staged {
    /// Starts the file that shall become `target`.
    pub(super) fn create(target: &Path, overwrite: bool) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::invalid("file to write", "the path names no file"));
        };
        if target.is_dir() {
            return Err(Error::invalid("file to write", "this is a folder; name a file in it"));
        }
        if !overwrite && fs::symlink_metadata(target).is_ok() {
            return Err(exists(target));
        }
        for number in 0_u32..1000 {
            let mut aside_name = std::ffi::OsString::from(".");
            // File systems end names at 255 bytes; without the long one it is no less unique.
            if name.len() <= 200 {
                aside_name.push(name);
            }
            aside_name.push(format!(".{}-{number}.partial", std::process::id()));
            let aside = target.with_file_name(aside_name);
            match OpenOptions::new().write(true).create_new(true).open(&aside) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        aside,
                        target: target.into(),
                        overwrite,
                        published: false,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create", e)),
            }
        }
        Err(Error::invalid("file to write", "too many unfinished files of this name lie beside it"))
    }

    /// Makes the bytes durable and gives the file its name.
    pub(super) fn publish(mut self) -> Result<()> {
        self.file.sync_all().map_err(|e| Error::io("sync", e))?;
        if self.overwrite {
            fs::rename(&self.aside, &self.target).map_err(|e| Error::io("rename", e))?;
        } else {
            // A link is refused where a rename would replace what came meanwhile.
            match fs::hard_link(&self.aside, &self.target) {
                // The second name is only in the way.
                Ok(()) => drop(fs::remove_file(&self.aside)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(exists(&self.target));
                }
                // File systems without links.
                Err(_) if fs::symlink_metadata(&self.target).is_ok() => {
                    return Err(exists(&self.target));
                }
                Err(_) => {
                    fs::rename(&self.aside, &self.target).map_err(|e| Error::io("rename", e))?;
                }
            }
        }
        self.published = true;
        sync_folder(&self.target)
    }
}

fn exists(path: &Path) -> Error {
    Error::Exists { what: path.display().to_string().into() }
}

/// Makes the new name durable. Where folders cannot be opened (Windows) there is nothing to do.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    match File::open(folder) {
        Ok(f) if cfg!(unix) => f.sync_all().map_err(|e| Error::io("sync folder", e)),
        _ => Ok(()),
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // Nothing hangs on it: a file that stays has a name that says it is unfinished.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let all = fs::read_dir(folder).unwrap();
        all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.xtc");
        let mut s = Staged::create(&target, false).unwrap();
        s.write_all(b"half").unwrap();
        assert!(!target.exists() && names(folder.path()).len() == 1);
        drop(s);
        assert!(names(folder.path()).is_empty());
        let mut s = Staged::create(&target, false).unwrap();
        s.write_all(b"whole").unwrap();
        s.publish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read(&target).unwrap()),
            (vec!["a.xtc".into()], b"whole".into())
        );
    }

    #[test]
    fn a_file_that_is_there_stays_unless_asked_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.xtc");
        // One that comes while ours is written is kept, too.
        let late = Staged::create(&target, false).unwrap();
        fs::write(&target, b"old").unwrap();
        assert!(matches!(late.publish(), Err(Error::Exists { .. })));
        assert!(matches!(Staged::create(&target, false), Err(Error::Exists { .. })));
        let mut s = Staged::create(&target, true).unwrap();
        s.write_all(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        s.publish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read(&target).unwrap()),
            (vec!["a.xtc".into()], b"new".into())
        );
        assert!(Staged::create(folder.path(), true).is_err());
        assert!(Staged::create(&folder.path().join("no/a.xtc"), true).is_err());
    }
}
