//! Work in many parts, shared out between the caller and helper threads.

use crate::error::{Error, Result};
use crate::store::read::helper_threads::together;
use crate::wire::memory;
use std::sync::{Mutex, PoisonError};

/// Bytes to decode or to copy below which a helper costs more than it saves.
pub(crate) const WORTH_A_HELPER: usize = 48 << 10;

/// What is still to do, and what was done.
struct Progress<I, R> {
    items: I,
    results: Vec<Option<R>>,
    failed: Option<(usize, Error)>,
}

impl<T, R, I: Iterator<Item = (usize, T)>> Progress<I, R> {
    /// The next item, until one has failed.
    fn next(&mut self) -> Option<(usize, T)> {
        if self.failed.is_some() { None } else { self.items.next() }
    }

    fn finish(&mut self, i: usize, result: Result<R>) {
        match result {
            Ok(result) => {
                if let Some(place) = self.results.get_mut(i) {
                    *place = Some(result);
                }
            }
            // Items are taken in their order: all before this one are done or under way, so that
            // the error that is returned is the same each time.
            Err(error) if self.failed.as_ref().is_none_or(|(known, _)| i < *known) => {
                self.failed = Some((i, error));
            }
            Err(_) => {}
        }
    }
}

/// Calls `work` for each of `items`, on this thread and on up to `threads - 1` helpers, and returns
/// the results in the order of the items.
///
/// A thread takes the next item when it is done with one, so that items of different cost are shared
/// fairly; a few items for each thread are enough. `state` makes what one thread keeps from item to item.
///
/// # Errors
/// The error of the first item, in their order, that fails; no further item is begun then.
/// [`Error::Thread`] if `work` panicked on a helper. A panic on this thread goes on to the caller.
pub(crate) fn share_out<T: Send, S, R: Send>(
    threads: usize,
    items: Vec<T>,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let count = items.len();
    let mut results = memory::with_room(count)?;
    results.resize_with(count, || None);
    let items = items.into_iter().enumerate();
    let progress = Mutex::new(Progress { items, results, failed: None });
    let locked = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || locked().next();
    let intact = together(threads.min(count).saturating_sub(1), &|| {
        let mut kept = None;
        while let Some((i, item)) = next() {
            let result = work(kept.get_or_insert_with(&state), item);
            locked().finish(i, result);
        }
    });
    let Progress { results, failed, .. } =
        progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, error)) = failed {
        return Err(error);
    }
    if !intact {
        return Err(ended());
    }
    results.into_iter().map(|result| result.ok_or_else(ended)).collect()
}

pub(crate) fn ended() -> Error {
    Error::Thread { doing: "reading" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread::{current, yield_now};

    #[test]
    fn results_are_in_the_order_of_the_items_for_any_number_of_threads() {
        for threads in [0, 1, 2, 5] {
            for count in [0, 1, 7, 500] {
                let states = AtomicUsize::new(0);
                let done = share_out(
                    threads,
                    (0..count).collect(),
                    || states.fetch_add(1, Ordering::Relaxed),
                    |_, item: usize| Ok(item * item),
                );
                assert_eq!(done.unwrap(), (0..count).map(|i| i * i).collect::<Vec<_>>());
                assert!(states.into_inner() <= threads.max(1).min(count));
            }
        }
    }

    #[test]
    fn a_state_is_kept_from_item_to_item() {
        let seen = share_out(
            1,
            vec![(); 4],
            || 0,
            |n: &mut i32, ()| {
                *n += 1;
                Ok(*n)
            },
        );
        assert_eq!(seen.unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn the_first_error_is_returned_and_nothing_is_begun_after_it() {
        for threads in [1, 3] {
            for _ in 0..50 {
                let begun = AtomicUsize::new(0);
                let work = |(): &mut (), i: usize| {
                    begun.fetch_max(i, Ordering::Relaxed);
                    if i < 20 { Ok(()) } else { Err(Error::NotFound { key: i.to_string().into() }) }
                };
                let error = share_out(threads, (0..1000).collect(), || (), work).unwrap_err();
                assert_eq!(error.to_string(), "no record 20");
                assert!(begun.into_inner() < 20 + threads);
            }
        }
    }

    #[test]
    fn a_helper_that_panics_is_an_error_and_no_missing_result() {
        let caller = current().id();
        let panicked = AtomicBool::new(false);
        let done = share_out(
            2,
            vec![(); 8],
            || (),
            |(), ()| {
                if current().id() != caller {
                    panicked.store(true, Ordering::SeqCst);
                    panic!("for the test");
                }
                while !panicked.load(Ordering::SeqCst) {
                    yield_now();
                }
                Ok(())
            },
        );
        assert!(matches!(done, Err(Error::Thread { .. })));
    }
}
