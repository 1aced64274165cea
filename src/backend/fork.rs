//! Descriptors that a forked child must not keep.
//!
//! A lock of `flock` belongs to the open file, and a forked child shares the open files of its
//! parent. If the parent is killed, the lock would last until the child ends, too: a loader's worker
//! that idles would keep every next writer out. So the descriptor that a lock is held through is
//! noted here, and every child closes its copy before it runs on. Closing a copy leaves the lock with
//! the parent, where unlocking would take it.
//!
//! Not noticed are children that are made past the C library, by a bare system call; those of
//! `posix_spawn` and `vfork` share the lock until they start their program, which is at once.

#[cfg(unix)]
pub(super) use unix::Private;

#[cfg(unix)]
#[expect(unsafe_code, reason = "hooks of fork; docs/safety.md, section backend")]
mod unix {
    use once_cell::race::{OnceBool, OnceBox};
    use std::fs::File;
    use std::io;
    use std::mem::ManuallyDrop;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

    /// What a place holds that is free, and one whose descriptor was closed in this child.
    const FREE: i32 = -1;
    const GONE: i32 = -2;

    /// A place for one descriptor. Places are made when they are needed, without a lock, are never moved
    /// or freed, and form a list, so that the hook can go through them at any moment.
    #[derive(Debug)]
    pub(in crate::backend) struct Descriptor {
        descriptor: AtomicI32,
        next: OnceBox<Descriptor>,
    }

    impl Descriptor {
        const fn new() -> Self {
            Self { descriptor: AtomicI32::new(FREE), next: OnceBox::new() }
        }
    }

    static FIRST: Descriptor = Descriptor::new();
    /// Forks that began and that ended, in this process.
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    static ENDED: AtomicU32 = AtomicU32::new(0);

    /// An open file that forked children do not have.
    #[derive(Debug)]
    pub(in crate::backend) struct Private {
        file: ManuallyDrop<File>,
        pub(in crate::backend) place: &'static Descriptor,
    }

    impl Private {
        /// Opens a file with `open`; no child has it, also one that is forked at this moment.
        pub(in crate::backend) fn open(open: impl Fn() -> io::Result<File>) -> io::Result<Self> {
            hook();
            loop {
                let before = BEGUN.load(Ordering::SeqCst);
                if before != ENDED.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                    continue;
                }
                let file = open()?;
                let place = note(file.as_raw_fd());
                let private = Self { file: ManuallyDrop::new(file), place };
                if BEGUN.load(Ordering::SeqCst) == before {
                    return Ok(private);
                }
                // A child may have been forked between opening and noting. It has a copy of this open
                // file, which is closed here before anything is done with it.
            }
        }

        pub(in crate::backend) fn file(&self) -> &File {
            &self.file
        }

        /// Whether this process is a child that was forked since the file was opened: it has a
        /// copy of this value, and no such file.
        #[cfg(test)]
        pub(super) fn is_gone(&self) -> bool {
            self.place.descriptor.load(Ordering::SeqCst) == GONE
        }
    }

    impl Drop for Private {
        fn drop(&mut self) {
            // In a child the number may be that of another file by now.
            if self.place.descriptor.swap(FREE, Ordering::SeqCst) != GONE {
                // SAFETY: dropped once, here, and not used after this.
                unsafe { ManuallyDrop::drop(&mut self.file) };
            }
        }
    }

    /// Puts a descriptor into a free place.
    fn note(descriptor: i32) -> &'static Descriptor {
        let mut place = &FIRST;
        loop {
            let free = place.descriptor.compare_exchange(
                FREE,
                descriptor,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            if free.is_ok() {
                return place;
            }
            place = place.next.get_or_init(|| Box::new(Descriptor::new()));
        }
    }

    extern "C" fn before_fork() {
        BEGUN.fetch_add(1, Ordering::SeqCst);
    }

    extern "C" fn in_parent() {
        ENDED.fetch_add(1, Ordering::SeqCst);
    }

    extern "C" fn in_child() {
        let mut place = Some(&FIRST);
        while let Some(here) = place {
            let descriptor = here.descriptor.load(Ordering::SeqCst);
            if descriptor >= 0 {
                here.descriptor.store(GONE, Ordering::SeqCst);
                // SAFETY: an open descriptor of this process, as its owner notes it before use and
                // frees the place before closing; the owner's copy in this child sees GONE and does
                // not close it again. `close` is allowed after a fork with threads.
                unsafe { libc::close(descriptor) };
            }
            place = here.next.get();
        }
        ENDED.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Sets the hooks, once. Two threads may set them at once: closing what is closed already is never
    /// tried, and both counts rise by two.
    fn hook() {
        static HOOKED: OnceBool = OnceBool::new();
        HOOKED.get_or_init(|| {
            let (before, parent, child) = (before_fork, in_parent, in_child);
            // SAFETY: the hooks are functions that live as long as the program and take nothing. In the
            // child they do no more than store to atomic numbers, follow a list that is never freed, and
            // close descriptors, all of which is allowed there.
            let set = unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
            set == 0
        });
    }
}

/// Where nothing is forked, an open file.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct Private(std::fs::File);

#[cfg(not(unix))]
impl Private {
    pub(super) fn open(open: impl Fn() -> std::io::Result<std::fs::File>) -> std::io::Result<Self> {
        open().map(Self)
    }

    pub(super) const fn file(&self) -> &std::fs::File {
        &self.0
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::unix::Private;
    use std::fs::File;
    use std::io;
    use std::io::Read;

    #[test]
    fn places_are_used_again_and_files_stay_open() {
        let open = || File::open("/proc/self/stat").or_else(|_| File::open("/dev/null"));
        let mut held: Vec<_> = (0..5).map(|_| Private::open(open).unwrap()).collect();
        let places: Vec<_> = held.iter().map(|p| std::ptr::from_ref(p.place).addr()).collect();
        drop(held.remove(2));
        held.insert(2, Private::open(open).unwrap());
        assert!(places.contains(&std::ptr::from_ref(held[2].place).addr()));
        for private in &held {
            assert!(!private.is_gone());
            let mut file = private.file();
            file.read_to_end(&mut Vec::new()).unwrap();
        }
        let failed = Private::open(|| Err(io::ErrorKind::NotFound.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
