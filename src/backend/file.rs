//! A file of this machine's file systems.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::address::not_an_address;
use super::bounds::{end_of_write, ends_before};
use super::network;
use super::open_file::open_file;
use super::preallocate::Preallocation;
use super::{Access, Backend, Mapping};
use crate::error::{Error, Result};

/// A regular file, open for reading or for both.
///
/// Reads and writes name their place (`pread`, `pwrite`), so a handle that a forked child
/// inherits shares no position with the parent.
#[derive(Debug)]
pub struct FileBackend {
    file: File,
    path: Mutex<PathBuf>,
    /// Where its user will find it, if it is built elsewhere: errors of writing name this place.
    destined: Option<Box<Path>>,
    identity: Identity,
    writable: bool,
    maps: bool,
    /// Whether a writer lock was taken through this handle: the system's lock belongs to the
    /// open file, so it would grant a second one through the same handle.
    pub(super) locked: Arc<AtomicBool>,
    pub(super) preallocation: Arc<Preallocation>,
}

impl FileBackend {
    /// Creates a file that must not exist yet, open for reading and writing.
    ///
    /// Its name survives a power cut only after [`sync_folder_of`](super::sync_folder_of).
    ///
    /// # Errors
    /// [`Error::Exists`] if there is something at `path`; [`Error::Io`] with the path.
    pub fn create_new(path: impl AsRef<Path>, access: Access) -> Result<Self> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Self::open(&mut options, path, access, true, "create the file")
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is not a regular file; [`Error::Io`] with the path.
    pub fn open_read(path: impl AsRef<Path>, access: Access) -> Result<Self> {
        let path = path.as_ref();
        must_be_regular(path)?;
        Self::open(OpenOptions::new().read(true), path, access, false, "open the file")
    }

    /// Opens an existing file for reading and writing; takes no lock (see
    /// [`WriterLock`](super::WriterLock)) and changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is not a regular file; [`Error::Io`] with the path; on
    /// Windows [`Error::Locked`] already here if another handle can write.
    pub fn open_write(path: impl AsRef<Path>, access: Access) -> Result<Self> {
        let path = path.as_ref();
        must_be_regular(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        Self::open(&mut options, path, access, true, "open the file for writing")
    }

    fn open(
        options: &mut OpenOptions,
        path: &Path,
        access: Access,
        writable: bool,
        op: &'static str,
    ) -> Result<Self> {
        // A lock of this system would keep readers out, so the second handle that could write
        // is refused when it opens.
        #[cfg(windows)]
        if writable {
            use std::os::windows::fs::OpenOptionsExt;
            const SHARE_READ: u32 = 1;
            const SHARE_DELETE: u32 = 4;
            options.share_mode(SHARE_READ | SHARE_DELETE);
        }
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::Exists { what: crate::printable::printable_path(path).into(), instead: None }
            }
            _ if is_held_by_another(&e) => Error::Locked.at(path),
            _ => not_found(op, e, path),
        };
        let file = open_file(options, path).map_err(failed)?;
        let kind = file.metadata().map_err(|e| Error::io(op, e).at(path))?;
        check_regular(&kind).map_err(|e| e.at(path))?;
        // Kept whole, so that a later change of the working folder does not lead elsewhere.
        let absolute = std::path::absolute(path).map_err(|e| Error::io(op, e).at(path))?;
        let locked = Arc::new(AtomicBool::new(false));
        Ok(Self {
            file,
            path: Mutex::new(absolute),
            destined: None,
            identity: identity(&kind),
            writable,
            maps: access == Access::Map,
            locked,
            preallocation: Arc::default(),
        })
    }

    /// The absolute path by which the file was opened or last renamed through this crate.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of the file's new name.
    pub(super) fn renamed_to(&self, path: &Path) {
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) = path.to_path_buf();
    }

    /// Errors of writing name `place` from now on, where the file will appear.
    pub(super) fn destined_for(&mut self, place: &Path) {
        self.destined = Some(place.into());
    }

    fn write_error(&self, error: Error) -> Error {
        match &self.destined {
            Some(place) => error.at(place),
            None => error,
        }
    }

    /// Whether the path still leads to the open file, and not to one that took its place, or
    /// nowhere. Where the system gives files no identity (Windows, which refuses to replace an
    /// open file), the answer is yes.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not say.
    pub fn is_at_its_path(&self) -> Result<bool> {
        let path = self.path();
        match std::fs::metadata(&path) {
            Ok(there) => Ok(identity(&there) == self.identity),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("look at", e).at(&path)),
        }
    }

    /// Whether `other` is the same file.
    pub(super) fn is_same_file(&self, other: &File) -> Result<bool> {
        let found = other.metadata().map_err(|e| Error::io("look at", e).at(&self.path()))?;
        Ok(identity(&found) == self.identity)
    }

    /// The path under which the open file is found now, if it has one and the system says so.
    fn whereabouts(&self) -> Option<PathBuf> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use std::os::fd::AsRawFd;
            let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let path = std::fs::read_link(link).ok()?;
            let found = std::fs::metadata(&path).ok()?;
            (identity(&found) == self.identity).then_some(path)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        None
    }
}

/// What tells one file from all others of this machine, where there is such a thing.
type Identity = Option<(u64, u64)>;

fn identity(found: &Metadata) -> Identity {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        None
    }
}

/// Whether another handle that writes keeps this one from opening (Windows alone).
fn is_held_by_another(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    cfg!(windows) && error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
}

/// Refuses what would block or destroy when it is opened.
fn must_be_regular(path: &Path) -> Result<()> {
    let kind = std::fs::metadata(path).map_err(|e| not_found("open the file", e, path))?;
    check_regular(&kind).map_err(|e| e.at(path))
}

/// What a failure to open means, which the path may explain.
fn not_found(op: &'static str, e: io::Error, path: &Path) -> Error {
    let address = match e.kind() {
        io::ErrorKind::NotFound => not_an_address(path).err(),
        _ => None,
    };
    address.unwrap_or_else(|| Error::io(op, e).at(path))
}

fn check_regular(found: &Metadata) -> Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let why = if found.is_dir() {
        "this is a folder; a store is one regular file"
    } else {
        "this is a pipe, socket or device; a store is one regular file, for it is read out of order"
    };
    Err(Error::invalid("path", why))
}

impl Backend for FileBackend {
    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| Error::io("read the length", e))?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        // Past what a file can hold, which the system would call an invalid argument.
        end_of_write(offset, buf.len()).map_err(|_| ends_before(offset))?;
        positioned::read_exact_at(&self.file, buf, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => ends_before(offset),
            _ => Error::io_at("read", offset, e),
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        let end = end_of_write(offset, data.len())?;
        if self.locked.load(Ordering::Relaxed) {
            self.preallocation.prepare(&self.file, offset, end);
        }
        positioned::write_all_at(&self.file, data, offset)
            .map_err(|e| self.write_error(Error::io_at("write", offset, e)))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        let done = self.file.set_len(len);
        done.map_err(|e| self.write_error(Error::io_at("set the length", len, e)))
    }

    fn sync(&self) -> Result<()> {
        if !self.writable {
            return Err(Error::ReadOnly);
        }
        // Never repeated: after a failure the system may forget the pages that it could not
        // write, and the next call would find nothing left to complain of.
        self.file.sync_data().map_err(|e| self.write_error(Error::io("sync", e)))
    }

    fn map(&self, len: u64) -> Result<Option<Mapping>> {
        if self.maps {
            return Mapping::of_file(&self.file, len).map(Some);
        }
        let there = self.len()?;
        if there < len { Err(ends_before(there)) } else { Ok(None) }
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn gap(&self) -> u64 {
        network::gap(&self.file)
    }

    fn check_current(&self) -> Result<()> {
        if self.is_at_its_path()? { Ok(()) } else { Err(Error::Replaced.at(&self.path())) }
    }

    fn check_place(&self) -> Result<()> {
        match self.is_at_its_path() {
            Ok(false) => {
                let now = self.whereabouts().map(PathBuf::into_boxed_path);
                Err(Error::Displaced { now }.at(&self.path()))
            }
            // A path that cannot be looked at says nothing of the file.
            Ok(true) | Err(_) => Ok(()),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn data_from(&self, offset: u64) -> Result<Option<Range<u64>>> {
        use rustix::fs::{SeekFrom, seek};
        use rustix::io::Errno;
        let len = self.len()?;
        if offset >= len {
            return Ok(None);
        }
        // The position that this moves is nobody's: all reads and writes name their place.
        let start = match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) => start.max(offset),
            Err(Errno::NXIO) => return Ok(None),
            // A file system that does not know its holes.
            Err(_) => return Ok(Some(offset..len)),
        };
        let end = seek(&self.file, SeekFrom::Hole(start)).unwrap_or(len).min(len);
        Ok((start < len).then(|| start..end.max(start + 1)))
    }
}

/// Reading and writing at a place; both repeat what a signal interrupts and go on after a
/// short count.
#[cfg(unix)]
mod positioned {
    use std::fs::File;
    use std::io::Result;
    use std::os::unix::fs::FileExt;

    pub(super) fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> Result<()> {
        file.read_exact_at(buf, offset)
    }

    pub(super) fn write_all_at(file: &File, data: &[u8], offset: u64) -> Result<()> {
        file.write_all_at(data, offset)
    }
}

/// As above. These calls move the handle's position too, which nothing here uses.
#[cfg(windows)]
mod positioned {
    use std::fs::File;
    use std::io::{ErrorKind, Result};
    use std::os::windows::fs::FileExt;

    pub(super) fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> Result<()> {
        let (mut rest, mut offset) = (buf, offset);
        while !rest.is_empty() {
            match file.seek_read(rest, offset) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    rest = rest.get_mut(n..).unwrap_or_default();
                    offset = offset.saturating_add(n as u64);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    pub(super) fn write_all_at(file: &File, data: &[u8], offset: u64) -> Result<()> {
        let (mut rest, mut offset) = (data, offset);
        while !rest.is_empty() {
            match file.seek_write(rest, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    rest = rest.get(n..).unwrap_or_default();
                    offset = offset.saturating_add(n as u64);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_never_truncated_by_opening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let file = FileBackend::create_new(&path, Access::Auto).unwrap();
        file.write_at(0, b"kept").unwrap();
        let error = FileBackend::create_new(&path, Access::Auto).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        assert_eq!(FileBackend::open_write(&path, Access::Auto).unwrap().len().unwrap(), 4);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_are_passed_over_and_every_byte_that_was_written_is_in_a_range() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = FileBackend::create_new(&path, Access::Auto).unwrap();
        assert_eq!(file.data_from(0).unwrap(), None);
        file.set_len(1 << 42).unwrap();
        let places = [0, 1 << 30, (1 << 42) - 1];
        places.iter().for_each(|at| file.write_at(*at, b"x").unwrap());
        let mut at = 0;
        let mut found = Vec::new();
        while let Some(range) = file.data_from(at).unwrap() {
            assert!(range.start >= at && range.end > range.start && range.end <= 1 << 42);
            at = range.end;
            found.push(range);
        }
        for place in places {
            assert!(found.iter().any(|r| r.contains(&place)), "{place}: {found:?}");
        }
        let memory = crate::backend::MemoryBackend::new();
        memory.write_at(5, b"x").unwrap();
        assert_eq!(memory.data_from(2).unwrap(), Some(2..6));
        assert_eq!(memory.data_from(6).unwrap(), None);
    }

    #[test]
    fn a_handle_for_reading_refuses_every_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"0123").unwrap();
        let file = FileBackend::open_read(&path, Access::Pread).unwrap();
        assert!(!file.writable());
        assert!(matches!(file.write_at(0, b"x"), Err(Error::ReadOnly)));
        assert!(matches!(file.set_len(0), Err(Error::ReadOnly)));
        assert!(matches!(file.sync(), Err(Error::ReadOnly)));
        assert_eq!(std::fs::read(&path).unwrap(), b"0123");
    }

    #[test]
    fn what_is_not_a_file_is_refused_by_name_and_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let error = FileBackend::open_read(dir.path(), Access::Auto).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
        assert!(matches!(error.root(), Error::Invalid { .. }));
        let error = FileBackend::open_write(dir.path(), Access::Auto).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
        let missing = dir.path().join("missing");
        let error = FileBackend::open_read(&missing, Access::Auto).unwrap_err();
        assert!(error.to_string().contains("missing: cannot open the file"), "{error}");
        assert!(!missing.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_that_nobody_serves_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for opened in [
            FileBackend::open_read(&path, Access::Auto),
            FileBackend::open_write(&path, Access::Auto),
            FileBackend::open(OpenOptions::new().read(true), &path, Access::Auto, false, "open"),
        ] {
            assert!(opened.unwrap_err().to_string().contains("is a pipe"));
        }
    }

    #[test]
    fn access_decides_whether_there_is_a_map() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"0123").unwrap();
        let mapped = FileBackend::open_read(&path, Access::Map).unwrap().map(4).unwrap();
        assert_eq!(&*mapped.unwrap(), b"0123");
        for access in [Access::default(), Access::Auto, Access::Pread] {
            let read = FileBackend::open_read(&path, access).unwrap();
            assert!(read.map(4).unwrap().is_none());
            assert!(matches!(read.map(5), Err(Error::Corrupt(c)) if c.offset == 4));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_handle_knows_when_another_file_took_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"old").unwrap();
        let file = FileBackend::open_write(&path, Access::Auto).unwrap();
        assert!(file.is_at_its_path().unwrap());
        std::fs::write(dir.path().join("new"), b"new").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(!file.is_at_its_path().unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!file.is_at_its_path().unwrap());
    }
}
