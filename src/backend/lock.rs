//! One writer at a time.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::access::is_unsupported;
use super::fork::Private;
#[cfg(not(windows))]
use super::open_file::open_file;
use super::preallocate::Preallocation;
use super::{Access, Backend, FileBackend, process_id};
use crate::error::{Error, Result};

/// Times that a file is opened again because another one took its place meanwhile.
const TRIES: usize = 16;

/// The right to write to one file, held until it is dropped or the process that took it ends,
/// however it ends.
///
/// An advisory lock of the system on the store file itself, so there is no lock file to be left
/// behind. It belongs to an open file of its own, which forked children do not get: a second handle is
/// refused, in this process too, and a child that outlives the holder keeps nobody out.
/// Readers take no lock. A file that is built beside the other is locked before it is published, so that
/// no other writer can come between.
#[derive(Debug)]
pub struct WriterLock {
    /// What the lock belongs to.
    private: Private,
    flag: Arc<AtomicBool>,
    preallocation: Arc<Preallocation>,
    process: u32,
}

/// What came of asking for the lock.
#[derive(Debug)]
#[must_use = "dropping the lock gives it back"]
pub enum LockOutcome {
    /// Nobody else writes while this guard lives.
    Held(WriterLock),
    /// This file system keeps no locks: that there is one writer is left to the caller, who
    /// should be told.
    Unsupported,
}

impl WriterLock {
    /// Opens the file at `path` for writing and takes its lock. If another file takes its place
    /// between the two, as after `compact`, that one is opened.
    ///
    /// # Errors
    /// As [`FileBackend::open_write`] and [`WriterLock::acquire`].
    pub fn open(path: &Path, access: Access) -> Result<(Arc<FileBackend>, LockOutcome)> {
        let mut tries = 0;
        loop {
            let file = Arc::new(FileBackend::open_write(path, access)?);
            match Self::acquire(&file) {
                Err(e) if tries < TRIES && matches!(e.root(), Error::Replaced) => tries += 1,
                taken => return Ok((file, taken?)),
            }
        }
    }

    /// Takes the lock, or says at once that somebody has it; never waits.
    ///
    /// # Errors
    /// [`Error::Locked`] if another handle holds it; [`Error::ReadOnly`] for a handle that
    /// cannot write; [`Error::Replaced`] if another file has taken the place of the open one, as
    /// `compact` does, or none: what is written to it would be lost; [`Error::Io`].
    pub fn acquire(backend: &FileBackend) -> Result<LockOutcome> {
        if !backend.writable() {
            return Err(Error::ReadOnly);
        }
        // A forked child has a copy of this flag, but shares the open file and so the lock; it
        // is refused too, by the flag.
        if backend.locked.swap(true, Ordering::AcqRel) {
            return Err(Error::Locked);
        }
        let taken = Self::acquire_flagged(backend);
        if !matches!(taken, Ok(LockOutcome::Held(_))) {
            backend.locked.store(false, Ordering::Release);
        }
        taken
    }

    fn acquire_flagged(backend: &FileBackend) -> Result<LockOutcome> {
        let path = backend.path();
        let failed = |e| Error::io("lock the file", e).at(&path);
        let replaced = || Error::Replaced.at(&path);
        let private = match Private::open(|| system::open(&path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(replaced()),
            opened => opened.map_err(failed)?,
        };
        let file = private.file();
        if !backend.is_same_file(file)? {
            return Err(replaced());
        }
        match system::try_lock(file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(e)) if keeps_no_locks(&e) => {
                return Ok(LockOutcome::Unsupported);
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        // Between opening and locking, the last writer may have put a new file in the place of
        // this one and gone. Seen only now, under the lock, it cannot change any more.
        let there = backend.is_at_its_path();
        if !matches!(there, Ok(true)) {
            system::unlock(file).map_err(failed)?;
            there?;
            return Err(replaced());
        }
        let flag = Arc::clone(&backend.locked);
        let preallocation = Arc::clone(&backend.preallocation);
        Ok(LockOutcome::Held(Self { private, flag, preallocation, process: process_id() }))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // A forked child that cleans up has a copy of this guard, but not of the open file.
        if self.process == process_id() {
            let file = self.private.file();
            self.preallocation.give_back(file);
            // Closing the file gives the lock back too, so there is nothing to do on failure.
            let _ = system::unlock(file);
            self.flag.store(false, Ordering::Release);
        }
    }
}

#[cfg(not(windows))]
mod system {
    use super::{OpenOptions, Path, io, open_file};
    use std::fs::{File, TryLockError};

    /// For writing too: network file systems that make these locks of others want it so.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        open_file(OpenOptions::new().read(true).write(true), path)
    }

    pub(super) fn try_lock(file: &File) -> Result<(), TryLockError> {
        file.try_lock()
    }

    pub(super) fn unlock(file: &File) -> std::io::Result<()> {
        file.unlock()
    }
}

/// Locks of Windows keep readers out, too. There the handle itself, once open for writing,
/// excludes every other that could write.
#[cfg(windows)]
mod system {
    use super::{OpenOptions, Path, io};
    use std::fs::{File, TryLockError};

    /// For reading alone, which the handle that writes allows.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        use std::os::windows::fs::OpenOptionsExt;
        OpenOptions::new().read(true).share_mode(7).open(path)
    }

    pub(super) fn try_lock(_: &File) -> Result<(), TryLockError> {
        Ok(())
    }

    pub(super) fn unlock(_: &File) -> std::io::Result<()> {
        Ok(())
    }
}

fn keeps_no_locks(error: &io::Error) -> bool {
    // ENOLCK is how NFS without a lock daemon says so.
    #[cfg(unix)]
    if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NOLCK) {
        return true;
    }
    is_unsupported(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Access;
    use std::path::Path;

    fn open(path: &Path) -> FileBackend {
        FileBackend::open_write(path, Access::Auto).unwrap()
    }

    fn held(backend: &FileBackend) -> WriterLock {
        match WriterLock::acquire(backend).unwrap() {
            LockOutcome::Held(lock) => lock,
            LockOutcome::Unsupported => panic!("the folder for temporary files keeps no locks"),
        }
    }

    #[test]
    fn a_second_writer_is_refused_at_once_also_in_this_process_and_through_the_same_handle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"x").unwrap();
        let (first, second) = (open(&path), open(&path));
        let lock = held(&first);
        assert!(matches!(WriterLock::acquire(&second), Err(Error::Locked)));
        assert!(matches!(WriterLock::acquire(&first), Err(Error::Locked)));
        drop(lock);
        let lock = held(&second);
        assert!(matches!(WriterLock::acquire(&first), Err(Error::Locked)));
        drop(second);
        assert!(matches!(WriterLock::acquire(&first), Err(Error::Locked)), "the guard holds");
        drop(lock);
        drop(held(&first));
    }

    #[test]
    fn readers_need_no_lock_and_cannot_take_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"x").unwrap();
        let writer = open(&path);
        let _lock = held(&writer);
        let reader = FileBackend::open_read(&path, Access::Auto).unwrap();
        reader.read_at(0, &mut [0]).unwrap();
        assert!(matches!(WriterLock::acquire(&reader), Err(Error::ReadOnly)));
    }

    /// Accident: a writer opened the file, `compact` in another process replaced it and gave
    /// its lock back, and everything that the writer then committed went to a file without a
    /// name.
    #[cfg(unix)]
    #[test]
    fn a_file_that_was_replaced_between_opening_and_locking_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::write(&path, b"old").unwrap();
        let late = open(&path);
        std::fs::write(dir.path().join("new"), b"new").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        let error = WriterLock::acquire(&late).unwrap_err();
        assert!(matches!(error.root(), Error::Replaced), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(WriterLock::acquire(&late).unwrap_err().root(), Error::Replaced));
        std::fs::write(&path, b"third").unwrap();
        let (file, lock) = WriterLock::open(&path, Access::Auto).unwrap();
        assert_eq!((file.len().unwrap(), matches!(lock, LockOutcome::Held(_))), (5, true));
    }

    #[test]
    fn a_lock_on_a_file_built_aside_holds_under_its_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        let staged = crate::backend::StagedFile::new(&place, Access::Auto).unwrap();
        let backend = Arc::clone(staged.backend());
        let lock = held(&backend);
        staged.publish(crate::Existing::Refuse).unwrap();
        assert!(matches!(WriterLock::acquire(&open(&place)), Err(Error::Locked)));
        drop(lock);
        drop(held(&open(&place)));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_told_apart_from_a_lock_that_is_held() {
        use rustix::io::Errno;
        for code in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS] {
            assert!(keeps_no_locks(&code.into()));
        }
        assert!(keeps_no_locks(&io::ErrorKind::Unsupported.into()));
        assert!(!keeps_no_locks(&rustix::io::Errno::ACCESS.into()));
    }
}
