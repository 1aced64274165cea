//! Which process this is, asked so often that a call of the system each time would show.
//!
//! A forked child has the threads, locks and handles of its parent as mere memory, so whoever
//! keeps one remembers the process that made it and compares before each use. At a million small
//! records a second the system call alone is a twelfth of the time: the answer is kept here, and
//! forgotten by every child.

#[cfg(unix)]
pub use unix::process_id;

/// The process that asks.
#[cfg(not(unix))]
pub fn process_id() -> u32 {
    std::process::id()
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "a hook of fork; docs/safety.md, section backend")]
mod unix {
    use once_cell::race::OnceBool;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The process, or 0 while that has to be asked.
    static PROCESS: AtomicU32 = AtomicU32::new(0);
    /// Whether the hook is set. Two threads may set it at once, which does no harm; none waits.
    static HOOK: OnceBool = OnceBool::new();

    extern "C" fn forget() {
        PROCESS.store(0, Ordering::Relaxed);
    }

    /// The process that asks.
    ///
    /// A child made by `fork` of the C library, as Python makes them, gets its own number. One
    /// that is made past the C library is not noticed.
    pub fn process_id() -> u32 {
        match PROCESS.load(Ordering::Relaxed) {
            0 => ask(),
            process => process,
        }
    }

    #[cold]
    fn ask() -> u32 {
        let process = std::process::id();
        // SAFETY: the hook is a function that lives as long as the program, takes nothing, and
        // does no more in the child than store to an atomic number, which is allowed there.
        let hooked =
            HOOK.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(forget)) } == 0);
        if hooked {
            PROCESS.store(process, Ordering::Relaxed);
        }
        process
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::process_id;

    #[test]
    fn the_number_is_that_of_the_system_again_and_again() {
        for _ in 0..3 {
            assert_eq!(process_id(), std::process::id());
        }
    }
}
