//! Threads that help a reader with a batch, shared by all stores of the process.
//!
//! A batch of small records takes a few hundred microseconds; to start a thread for it, with a decoder
//! and buffers of its own, and to join it takes a large part of that. So helpers are started when they
//! are first wanted, and stay. Who calls works too and waits for no helper that has not begun: one
//! that wakes late finds the work closed and lets it be. After the work a helper looks out for more for
//! a moment before it sleeps, as batches mostly follow each other.
//!
//! No lock is held while somebody works. A forked child has none of these threads; it starts its own
//! and never touches what its parent had.
#![expect(
    unsafe_code,
    reason = "lends work to threads that outlive the call; docs/safety.md, section store"
)]

use crate::backend::process_id;
use once_cell::race::OnceBox;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a helper looks out for the next call before it sleeps, and a caller for the last helper.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// The helpers of one process.
#[derive(Debug)]
struct Team {
    process: u32,
    calls: Mutex<Calls>,
    wake: Condvar,
    /// Calls that wait for a helper, for those who look out for one.
    waiting: AtomicUsize,
    /// That of a child of this process.
    child: OnceBox<Self>,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: VecDeque<Arc<Call>>,
    helpers: usize,
    asleep: usize,
}

static FIRST: OnceBox<Team> = OnceBox::new();

/// One call for help.
#[derive(Debug)]
struct Call {
    work: Lent,
    /// Helpers at work, and [`CLOSED`].
    inside: AtomicU32,
    failed: AtomicBool,
    caller: Thread,
}

/// Nobody may begin any more.
const CLOSED: u32 = 1 << 31;

/// Work whose lifetime is not known to the compiler.
#[derive(Debug, Clone, Copy)]
struct Lent(*const Shared<'static>);

/// What is shared with the helpers.
struct Shared<'a>(&'a (dyn Fn() + Sync));

// SAFETY: what the pointer leads to is `Sync`; `Call::help` says why it is alive when it is used.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Call {
    /// Does the work, unless it is closed.
    fn help(&self) {
        let enter = |inside| (inside & CLOSED == 0).then_some(inside + 1);
        if self.inside.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
            return;
        }
        // SAFETY: this helper is counted as inside, and was before the call was closed. The caller
        // keeps the work alive until nobody is inside (`Closing`), whatever happens.
        let work = unsafe { &*self.work.0 };
        if catch_unwind(AssertUnwindSafe(work.0)).is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        // The caller may be gone as soon as nobody is inside, this call is not: it is counted.
        if self.inside.fetch_sub(1, Ordering::Release) == CLOSED | 1 {
            self.caller.unpark();
        }
    }
}

/// Closes a call and waits until nobody is inside, also when the caller's own work panics.
struct Closing<'a>(&'a Call);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_or(CLOSED, Ordering::AcqRel);
        let start = Instant::now();
        while self.0.inside.load(Ordering::Acquire) != CLOSED {
            if start.elapsed() < LOOK_OUT {
                std::hint::spin_loop();
            } else {
                std::thread::park();
            }
        }
    }
}

/// Does `work` here and, at the same time, in up to `helpers` other threads; all of them have
/// returned from it when this returns. Whether none of the others panicked. Fewer help if threads
/// cannot be started or are busy elsewhere, so that `work` must share out what is to do itself.
pub(crate) fn together(helpers: usize, work: &(dyn Fn() + Sync)) -> bool {
    if helpers == 0 {
        work();
        return true;
    }
    let shared = Shared(work);
    let pointer: *const Shared<'_> = &raw const shared;
    let call = Arc::new(Call {
        work: Lent(pointer.cast()),
        inside: AtomicU32::new(0),
        failed: AtomicBool::new(false),
        caller: std::thread::current(),
    });
    let team = team();
    let closing = Closing(&call);
    team.call(&call, helpers);
    work();
    team.recall(&call);
    drop(closing);
    !call.failed.load(Ordering::Relaxed)
}

/// The team of this process.
fn team() -> &'static Team {
    let process = process_id();
    let mut place = &FIRST;
    loop {
        let team = place.get_or_init(|| Box::new(Team::new(process)));
        if team.process == process {
            return team;
        }
        place = &team.child;
    }
}

impl Team {
    fn new(process: u32) -> Self {
        Self {
            process,
            calls: Mutex::default(),
            wake: Condvar::new(),
            waiting: AtomicUsize::new(0),
            child: OnceBox::new(),
        }
    }

    /// Asks for helpers; starts those that are missing.
    fn call(&'static self, call: &Arc<Call>, helpers: usize) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.waiting.extend((0..helpers).map(|_| call.clone()));
        self.waiting.store(calls.waiting.len(), Ordering::Release);
        while calls.helpers < helpers {
            let name = format!("vlstore-read-{}", calls.helpers);
            let started = std::thread::Builder::new().name(name).spawn(|| self.serve());
            if started.is_err() {
                break;
            }
            calls.helpers += 1;
        }
        let wake = calls.asleep.min(helpers);
        drop(calls);
        (0..wake).for_each(|_| self.wake.notify_one());
    }

    /// Takes back a call that needs no help any more.
    fn recall(&self, call: &Arc<Call>) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.waiting.retain(|other| !Arc::ptr_eq(other, call));
        self.waiting.store(calls.waiting.len(), Ordering::Release);
    }

    /// The work of a helper.
    fn serve(&self) {
        loop {
            self.next().help();
        }
    }

    /// The next call, for which the helper waits.
    fn next(&self) -> Arc<Call> {
        let start = Instant::now();
        while self.waiting.load(Ordering::Acquire) == 0 && start.elapsed() < LOOK_OUT {
            std::hint::spin_loop();
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(call) = calls.waiting.pop_front() {
                self.waiting.store(calls.waiting.len(), Ordering::Release);
                return call;
            }
            calls.asleep += 1;
            calls = self.wake.wait(calls).unwrap_or_else(PoisonError::into_inner);
            calls.asleep -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_shared_out_is_done_when_the_call_returns() {
        for helpers in [0, 1, 3] {
            for n in [0, 1, 7, 1000] {
                let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let kept = together(helpers, &|| {
                    while next.fetch_add(1, Ordering::Relaxed) < n {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
                assert!(kept);
                assert_eq!(done.into_inner(), n);
            }
        }
    }

    #[test]
    fn calls_of_many_threads_do_not_disturb_each_other() {
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                scope.spawn(move || {
                    for i in 0..2000 {
                        let inside = AtomicUsize::new(0);
                        let most = AtomicUsize::new(0);
                        assert!(together(2, &|| {
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            std::hint::black_box(thread * i);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }));
                        assert_eq!(inside.into_inner(), 0);
                        assert!((1..=3).contains(&most.into_inner()));
                    }
                });
            }
        });
    }

    #[test]
    fn a_helper_that_panics_is_told_of_and_the_next_call_has_helpers() {
        let caller = std::thread::current().id();
        let began = AtomicBool::new(false);
        let kept = together(1, &|| {
            if std::thread::current().id() != caller {
                began.store(true, Ordering::SeqCst);
                panic!("for the test");
            }
            while !began.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        assert!(!kept);
        let helped = AtomicBool::new(false);
        assert!(together(1, &|| {
            if std::thread::current().id() != caller {
                helped.store(true, Ordering::SeqCst);
            }
            while !helped.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }));
    }

    #[test]
    fn a_caller_that_panics_waits_for_its_helpers() {
        let (inside, began) = (AtomicUsize::new(0), AtomicBool::new(false));
        let caller = std::thread::current().id();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            together(1, &|| {
                if std::thread::current().id() == caller {
                    while !began.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                    panic!("for the test");
                }
                inside.fetch_add(1, Ordering::SeqCst);
                began.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(inside.into_inner(), 0);
    }
}
