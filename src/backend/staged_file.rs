//! A new file that appears under its name only when it is whole.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[cfg(unix)]
use super::access::is_unsupported;
use super::output_place::{ExistingOutput, OutputPlace};
use super::{Access, Backend, FileBackend, LockOutcome, WriterLock};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::printable::printable_path;

/// Longest part of the final name that the temporary one repeats, in bytes: file systems end
/// names at 255.
const NAME_PART: usize = 200;

/// What the name of a file that is not complete ends with, behind a random number.
const SUFFIX: &str = ".partial";
/// Digits of that number, in base 16.
const DIGITS: usize = 16;

/// A name for something that is not complete: a dot, `name` and another dot if there is one, 16 digits in
/// base 16, `.partial`.
pub(crate) fn temporary_name(name: Option<&OsStr>, number: u64) -> OsString {
    let mut temporary = OsString::from(".");
    if let Some(name) = name.filter(|name| name.len() <= NAME_PART) {
        temporary.push(name);
        temporary.push(".");
    }
    temporary.push(format!("{number:0DIGITS$x}{SUFFIX}"));
    temporary
}

/// Whether a name is one of [`temporary_name`]: what has it was left by a process that was killed. A name
/// that only ends in `.partial` is somebody's own.
pub(crate) fn is_temporary_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('.').and_then(|n| n.strip_suffix(SUFFIX)) else {
        return false;
    };
    let number = rest.rsplit('.').next().unwrap_or_default();
    number.len() == DIGITS && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes the temporary files of `place` to which nobody has written for longer than `age`: those that
/// processes left which were killed. What cannot be looked at or removed stays.
pub(crate) fn remove_abandoned(place: &Path, age: Duration) {
    let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_path_buf());
    let Some(name) = place.file_name().and_then(OsStr::to_str) else { return };
    let Ok(folder) = fs::read_dir(folder_of(&place)) else { return };
    let start = format!(".{name}.");
    for file in folder.flatten() {
        let found = file.file_name();
        let ours = found.to_str().is_some_and(|found| {
            is_temporary_name(found)
                && found.starts_with(&start)
                && found.len() == start.len() + DIGITS + SUFFIX.len()
        });
        let old = || file.metadata().and_then(|about| about.modified()).ok()?.elapsed().ok();
        if ours && old().is_some_and(|old| old > age) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// A file that is built beside the place where it is to appear, and then takes it in one step.
///
/// Dropped unpublished it is removed. If the process is killed the temporary file stays, under
/// a name that starts with a dot and ends in `.partial`; it may be deleted at any time.
#[derive(Debug)]
pub struct StagedFile {
    backend: Arc<FileBackend>,
    temporary: PathBuf,
    place: PathBuf,
    published: bool,
    /// The lock of the file that will be replaced, so that nobody writes to it meanwhile.
    replaced: Option<WriterLock>,
}

impl StagedFile {
    /// Starts a new file in the folder of `place`. A symbolic link at `place` is followed: it
    /// stays, and the file that it names is the place. A file that is there keeps its content
    /// until [`publish`](Self::publish), and its permissions are taken over.
    ///
    /// # Errors
    /// [`Error::Io`] with the folder if no file can be created there (missing, read-only or
    /// full); [`Error::Invalid`] if `place` is a folder, a pipe, a socket or a device, or has no
    /// file name.
    pub fn new(place: impl AsRef<Path>, access: Access) -> Result<Self> {
        Self::at(OutputPlace::of(place)?, access)
    }

    /// As [`StagedFile::new`], for a place that was looked at.
    pub(super) fn at(place: OutputPlace, access: Access) -> Result<Self> {
        place.must_be_file()?;
        let (mut backend, temporary) = create_beside(place.path(), access)?;
        backend.destined_for(place.asked());
        let backend = Arc::new(backend);
        let path = place.path().to_path_buf();
        let staged = Self { backend, temporary, place: path, published: false, replaced: None };
        if let ExistingOutput::File(there) = place.there() {
            // Before the first byte is written: a private file must not be copied to a public
            // one, not even for the time of the copy.
            fs::set_permissions(&staged.temporary, there.permissions())
                .map_err(|e| Error::io("copy the permissions", e).at(&staged.place))?;
        }
        Ok(staged)
    }

    /// As [`StagedFile::new`], for a file that may replace one that somebody writes to: what they went on to
    /// write would be lost. Nobody else can begin to, until this is published or dropped.
    ///
    /// # Errors
    /// As [`StagedFile::new`], and [`Error::Locked`] if the file in the place has a writer.
    pub fn over(place: impl AsRef<Path>, access: Access) -> Result<Self> {
        let mut staged = Self::new(place, access)?;
        // What cannot be opened for writing (or is not there) has no writer that could lock it.
        if let Ok(there) = FileBackend::open_write(&staged.place, Access::Pread) {
            match WriterLock::acquire(&there).map_err(|e| e.at(&staged.place))? {
                LockOutcome::Held(lock) => staged.replaced = Some(lock),
                LockOutcome::Unsupported => {}
            }
        }
        Ok(staged)
    }

    /// The new file, empty at first. The handle stays good after publishing.
    #[must_use]
    pub const fn backend(&self) -> &Arc<FileBackend> {
        &self.backend
    }

    /// Where the file will appear.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The same file, to appear at another place of the same file system: for content whose name
    /// follows from it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `place` is not one for a file, as of [`StagedFile::new`].
    pub fn aimed(mut self, place: impl AsRef<Path>) -> Result<Self> {
        let place = OutputPlace::of(place)?;
        place.must_be_file()?;
        self.place = place.path().to_path_buf();
        Ok(self)
    }

    /// Syncs the file, gives it its name in one step and syncs the folder. With `overwrite` a
    /// file that is there is replaced; readers that have it open keep reading it. Without, a
    /// file that is there is never touched, even if it appeared this very moment.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file and it is not to be replaced; [`Error::Io`] if a call
    /// fails. Then the temporary file is removed and the place is as it was, except after an
    /// error of syncing the folder: the file is in its place, but after a power cut the old
    /// state of the folder may be back.
    pub fn publish(mut self, existing: Existing) -> Result<()> {
        self.backend.sync()?;
        // What became a pipe or a device meanwhile is not replaced either.
        OutputPlace::of(&self.place)?.must_be_file()?;
        let named = if existing.is_replaced() {
            fs::rename(&self.temporary, &self.place)
        } else {
            rename_to_free(&self.temporary, &self.place)
        };
        named.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::Exists { what: printable_path(&self.place).into(), instead: None }
            }
            _ => Error::io("rename the new file to its place", e).at(&self.place),
        })?;
        self.published = true;
        self.backend.renamed_to(&self.place);
        sync_folder_of(&self.place)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure, and nothing depends on the file.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Creates a file with a name of its own in the folder of `place`.
fn create_beside(place: &Path, access: Access) -> Result<(FileBackend, PathBuf)> {
    let Some(name) = place.file_name() else {
        return Err(Error::invalid("path", "this path does not name a file").at(place));
    };
    let folder = folder_of(place);
    // A name that is already there has odds of 1 in 2^64 each time, so a few tries are as good
    // as many.
    let mut tries = 0;
    loop {
        let random = RandomState::new().hash_one((std::process::id(), tries));
        let temporary = folder.join(temporary_name(Some(name), random));
        match FileBackend::create_new(&temporary, access) {
            Ok(backend) => return Ok((backend, temporary)),
            Err(Error::Exists { .. }) if tries < 8 => tries += 1,
            Err(Error::File { source, .. }) => return Err(in_folder(*source, folder)),
            Err(other) => return Err(other),
        }
    }
}

/// Names the folder instead of the temporary file, which the user never heard of.
fn in_folder(error: Error, folder: &Path) -> Error {
    match error {
        Error::Io { source, .. } => Error::io("create a file in this folder", source).at(folder),
        other => other.at(folder),
    }
}

fn folder_of(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Renames unless there is something at `to`, in one step where the system has one.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
            // NFS and some others do not know the flag.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput || is_unsupported(&e) => {}
            other => return other,
        }
    }
    link_to_free(from, to)
}

/// As [`rename_to_free`], by a second name, or where there are no second names (FAT) by taking
/// the name with an empty file first.
fn link_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // The file is in its place; a leftover second name harms nothing.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(e),
        Err(_) => claim_and_rename(from, to),
    }
}

fn claim_and_rename(from: &Path, to: &Path) -> io::Result<()> {
    drop(fs::OpenOptions::new().write(true).create_new(true).open(to)?);
    fs::rename(from, to).inspect_err(|_| {
        let _ = fs::remove_file(to);
    })
}

/// Makes the name of a file that was just created or renamed survive a power cut, by syncing
/// the folder that it lies in. Does nothing where folders cannot be synced (Windows, some
/// network file systems).
///
/// # Errors
/// [`Error::Io`] with the folder.
pub fn sync_folder_of(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let folder = folder_of(path);
        match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput || is_unsupported(&e) => Ok(()),
            other => other.map_err(|e| Error::io("sync the folder", e).at(folder)),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_is_not_complete_are_told_from_those_of_others() {
        let long = OsString::from("x".repeat(250));
        for name in [None, Some(OsStr::new("a.vls")), Some(OsStr::new("a.partial")), Some(&long)] {
            for number in [0, 7, u64::MAX] {
                let temporary = temporary_name(name, number);
                assert!(is_temporary_name(temporary.to_str().unwrap()), "{temporary:?}");
            }
        }
        for own in [
            "p01.partial",
            ".notes.partial",
            ".partial",
            "0123456789abcdef.partial",
            ".0123456789ABCDEF.partial",
            ".x.0123456789abcde.partial",
            ".x-0123456789abcdef.partial",
            ".0123456789abcdef.partial.vls",
        ] {
            assert!(!is_temporary_name(own), "{own}");
        }
    }

    #[test]
    fn only_old_temporary_files_of_one_place_are_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a.vls");
        let (old, fresh) = (".a.vls.0123456789abcdef.partial", ".a.vls.0123456789abcdee.partial");
        let others = [
            "a.vls",
            ".b.vls.0123456789abcdef.partial",
            ".a.vls.x.0123456789abcdef.partial",
            ".a.vls.123.partial",
        ];
        let hour = Duration::from_secs(3600);
        for name in [old, fresh].iter().chain(&others) {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            if *name != fresh {
                file.set_modified(std::time::SystemTime::now() - 2 * hour).unwrap();
            }
        }
        remove_abandoned(&place, hour);
        let left = names(dir.path());
        assert!(!left.contains(&old.to_owned()) && left.contains(&fresh.to_owned()));
        assert!(others.iter().all(|name| left.contains(&(*name).to_owned())), "{left:?}");
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn filled(place: &Path, content: &[u8]) -> StagedFile {
        let staged = StagedFile::new(place, Access::Auto).unwrap();
        staged.backend().write_at(0, content).unwrap();
        staged
    }

    #[test]
    fn nothing_is_seen_under_the_name_before_publishing_and_nothing_else_after() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        let staged = filled(&place, b"whole");
        let backend = Arc::clone(staged.backend());
        assert!(!place.exists());
        assert!(names(dir.path())[0].starts_with(".store."));
        staged.publish(Existing::Refuse).unwrap();
        assert_eq!(names(dir.path()), ["store"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        assert_eq!(backend.path(), place);
        assert!(backend.is_at_its_path().unwrap());
        backend.write_at(5, b"!").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole!");
    }

    #[test]
    fn dropped_unpublished_it_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        fs::write(&place, b"old").unwrap();
        drop(filled(&place, b"new"));
        assert_eq!(names(dir.path()), ["store"]);
        assert_eq!(fs::read(&place).unwrap(), b"old");
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        let refused = filled(&place, b"new");
        fs::write(&place, b"old").unwrap(); // appears after the work began
        assert!(matches!(refused.publish(Existing::Refuse), Err(Error::Exists { .. })));
        assert_eq!(fs::read(&place).unwrap(), b"old");
        filled(&place, b"new").publish(Existing::Replace).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["store"]);
    }

    #[test]
    fn every_way_of_taking_a_free_name_refuses_one_that_is_taken() {
        for way in [rename_to_free, link_to_free, claim_and_rename] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            fs::write(&from, b"new").unwrap();
            fs::write(&to, b"old").unwrap();
            assert_eq!(way(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"old");
            fs::remove_file(&to).unwrap();
            way(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"new");
            assert_eq!(names(dir.path()), ["to"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_private_file_stays_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (place, link) = (dir.path().join("store"), dir.path().join("link"));
        fs::write(&place, b"old").unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("store", &link).unwrap();
        let staged = filled(&link, b"new");
        let temporary = fs::metadata(&staged.temporary).unwrap();
        assert_eq!(temporary.permissions().mode() & 0o777, 0o600);
        staged.publish(Existing::Replace).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_in_which_nothing_can_be_created_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = StagedFile::new(dir.path().join("missing/store"), Access::Auto).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("missing: cannot create a file in this folder"), "{text}");
        assert!(!text.contains("partial"), "{text}");
        let error = StagedFile::new(dir.path(), Access::Auto).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_read_only_folder_is_an_error_that_says_so() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
        if fs::write(dir.path().join("probe"), b"").is_ok() {
            eprintln!("skipped: this user may write to read-only folders");
            return;
        }
        let error = StagedFile::new(dir.path().join("store"), Access::Auto).unwrap_err();
        assert!(error.to_string().contains("create a file in this folder"), "{error}");
    }

    #[test]
    fn a_name_as_long_as_the_system_allows_has_a_temporary_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("n".repeat(255));
        filled(&place, b"whole").publish(Existing::Refuse).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"whole");
    }
}
