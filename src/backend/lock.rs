//! One writer at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::access::is_unsupported;
use super::ahead::Ahead;
use super::{Backend, FileBackend, process_id};
use crate::error::{Error, Result};

/// The right to write to one file, held until it is dropped or the process ends, however it
/// ends.
///
/// An advisory lock of the system on the store file itself, so there is no lock file to be left
/// behind. It belongs to the open file: a second handle is refused, in this process too.
/// Readers take no lock. A file that is built aside is locked before it is published, so that
/// no other writer can come between. Children that were forked while the lock was held share
/// the open file: if the holder ends without dropping the guard, the lock lasts until they end.
#[derive(Debug)]
pub struct WriterLock {
    file: File,
    flag: Arc<AtomicBool>,
    ahead: Arc<Ahead>,
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
    /// Takes the lock, or says at once that somebody has it; never waits.
    ///
    /// # Errors
    /// [`Error::Locked`] if another handle holds it; [`Error::ReadOnly`] for a handle that
    /// cannot write; [`Error::Invalid`] if another file has taken the place of the open one, as
    /// `compact` does: what is written to it would be lost; [`Error::Io`].
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
        let failed = |e| Error::io("lock the file", e).at(&backend.path());
        let file = backend.file().try_clone().map_err(failed)?;
        match system::try_lock(&file) {
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
            system::unlock(&file).map_err(failed)?;
            there?;
            let why =
                "another file took the place of this one while it was being opened; open it again";
            return Err(Error::invalid("store file", why).at(&backend.path()));
        }
        let flag = Arc::clone(&backend.locked);
        let ahead = Arc::clone(&backend.ahead);
        Ok(LockOutcome::Held(Self { file, flag, ahead, process: process_id() }))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // A forked child that cleans up has a copy of this guard, and of the open file that the
        // lock belongs to: unlocking there would take the lock from the parent.
        if self.process == process_id() {
            self.ahead.give_back(&self.file);
            // Closing the file gives the lock back too, so there is nothing to do on failure.
            let _ = system::unlock(&self.file);
            self.flag.store(false, Ordering::Release);
        }
    }
}

#[cfg(not(windows))]
mod system {
    use std::fs::{File, TryLockError};

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
    use std::fs::{File, TryLockError};

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
        assert!(error.to_string().contains("open it again"), "{error}");
        drop(held(&open(&path)));
    }

    #[test]
    fn a_lock_on_a_file_built_aside_holds_under_its_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        let aside = crate::backend::Aside::new(&place, Access::Auto).unwrap();
        let backend = Arc::clone(aside.backend());
        let lock = held(&backend);
        aside.publish(false).unwrap();
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
