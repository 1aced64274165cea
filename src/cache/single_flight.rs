//! Calls that are being computed: one thread computes, the others wait for it.

use super::file::locked;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{ThreadId, current};

type Finished = Arc<(Mutex<bool>, Condvar)>;

/// Calls under way, by their text.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, (ThreadId, Finished)>>);

/// A call that this thread computes; others wait until it is dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    all: &'a Flights,
    text: Option<String>,
}

impl Flights {
    /// Takes the call on. `None` after having waited for the thread that was at it: it may have stored
    /// the result. A call from inside of itself is not waited for.
    pub(super) fn begin(&self, text: &str) -> Option<Flight<'_>> {
        let finished = {
            let mut flights = locked(&self.0);
            match flights.get(text) {
                Some((thread, _)) if *thread == current().id() => {
                    return Some(Flight { all: self, text: None });
                }
                Some((_, finished)) => Arc::clone(finished),
                None => {
                    flights.insert(text.to_owned(), (current().id(), Finished::default()));
                    return Some(Flight { all: self, text: Some(text.to_owned()) });
                }
            }
        };
        let mut done = locked(&finished.0);
        while !*done {
            done = finished.1.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Some(text) = self.text.take() else { return };
        if let Some((_, finished)) = locked(&self.all.0).remove(&text) {
            *locked(&finished.0) = true;
            finished.1.notify_all();
        }
    }
}
