//! Room taken behind the end of a file that grows.
//!
//! A file system that has to find room for each write anew costs half as much time again as the
//! copying itself, and lays the parts of a file that grows for a month wherever there is a gap.
//! So a file that was appended to for a while gets room behind its end in larger steps, without
//! becoming longer, and gives back what it did not need when the writer goes. A writer that is
//! killed leaves that room (8 MiB at most) to the next one.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are appended before the first room is taken: small files never take any.
const FIRST: u64 = 4 << 20;
/// Least and most room that is taken in one step, and the part of what was appended so far that
/// lies between.
const LEAST: u64 = 1 << 20;
const MOST: u64 = 8 << 20;
const PART: u64 = 4;
/// Where room ends on a file system that gives none: nothing is asked for again.
const NEVER: u64 = u64::MAX;

/// How far room was taken for one open file. Only the holder of the writer lock takes some.
#[derive(Debug, Default)]
pub(super) struct Preallocation {
    appended: AtomicU64,
    until: AtomicU64,
}

impl Preallocation {
    /// Sees to room for a write from `offset` to `end`, if that leads beyond what there is.
    /// Nothing is lost where it fails: the write finds its own room or says why not.
    pub(super) fn prepare(&self, file: &File, offset: u64, end: u64) {
        let until = self.until.load(Ordering::Relaxed);
        if end <= until {
            return;
        }
        let appended = self.appended.fetch_add(end - offset.max(until), Ordering::Relaxed);
        if appended < FIRST {
            return;
        }
        let until = end + (appended / PART).clamp(LEAST, MOST);
        let taken = system::take(file, offset, until - offset);
        self.until.store(if taken { until } else { NEVER }, Ordering::Relaxed);
    }

    /// Gives back what lies behind the end of the file. To be called under the writer lock: a
    /// writer that appends at the same time would lose what it wrote.
    pub(super) fn give_back(&self, file: &File) {
        self.appended.store(0, Ordering::Relaxed);
        let until = self.until.swap(0, Ordering::Relaxed);
        if until == 0 || until == NEVER {
            return;
        }
        // Cutting a file at its end frees what lies behind. A failure leaves the room taken.
        if let Ok(len) = file.metadata().map(|m| m.len())
            && len < until
        {
            drop(file.set_len(len));
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::fs::{FallocateFlags, fallocate};
    use std::fs::File;

    pub(super) fn take(file: &File, offset: u64, len: u64) -> bool {
        fallocate(file, FallocateFlags::KEEP_SIZE, offset, len).is_ok()
    }
}

/// Other systems have no call that takes room and leaves the length.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) const fn take(_: &std::fs::File, _: u64, _: u64) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::backend::{Access, Backend, FileBackend, LockOutcome, WriterLock};
    use std::os::unix::fs::MetadataExt;

    const PIECE: usize = 1 << 20;

    fn append(file: &FileBackend, pieces: u64) {
        let written: crate::Result<()> =
            (0..pieces).try_for_each(|i| file.write_at(i * PIECE as u64, &[7; PIECE]));
        assert!(written.is_ok(), "{written:?}");
    }

    #[test]
    fn room_is_taken_by_the_holder_of_the_lock_and_given_back_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let file = FileBackend::create_new(&path, Access::Auto).unwrap();
        let LockOutcome::Held(lock) = WriterLock::acquire(&file).unwrap() else { return };
        append(&file, 20);
        let held = std::fs::metadata(&path).unwrap();
        assert_eq!(held.len(), 20 * PIECE as u64, "the file became longer");
        if held.blocks() * 512 <= held.len() + PIECE as u64 / 2 {
            eprintln!("skipped: this file system takes no room ahead");
            return;
        }
        drop(lock);
        let free = std::fs::metadata(&path).unwrap();
        assert_eq!(free.len(), held.len());
        assert!(free.blocks() < held.blocks(), "{} blocks", free.blocks());
        assert!(std::fs::read(&path).unwrap().iter().all(|b| *b == 7));
    }

    #[test]
    fn without_the_lock_and_in_small_files_none_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        for (name, pieces, locked) in [("unlocked", 20, false), ("small", 3, true)] {
            let file = FileBackend::create_new(dir.path().join(name), Access::Auto).unwrap();
            let lock = locked.then(|| WriterLock::acquire(&file).unwrap());
            append(&file, pieces);
            let meta = std::fs::metadata(dir.path().join(name)).unwrap();
            assert!(meta.blocks() * 512 < meta.len() + PIECE as u64 / 2, "{name}");
            drop(lock);
        }
    }
}
