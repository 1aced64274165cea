//! Calls that are being computed: one thread computes, the others wait for it.

use super::file::locked;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{ThreadId, current};

type Landed = Arc<(Mutex<bool>, Condvar)>;

/// Calls under way, by their text.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, (ThreadId, Landed)>>);

/// A call that this thread computes; others wait until it is dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    all: &'a Flights,
    text: Option<String>,
}

impl Flights {
    /// Takes the call on. `None` after having waited for the thread that was at it: it may have stored
    /// the result. A call from inside of itself is not waited for.
    pub(super) fn board(&self, text: &str) -> Option<Flight<'_>> {
        let landed = {
            let mut flights = locked(&self.0);
            match flights.get(text) {
                Some((thread, _)) if *thread == current().id() => {
                    return Some(Flight { all: self, text: None });
                }
                Some((_, landed)) => Arc::clone(landed),
                None => {
                    flights.insert(text.to_owned(), (current().id(), Landed::default()));
                    return Some(Flight { all: self, text: Some(text.to_owned()) });
                }
            }
        };
        let mut done = locked(&landed.0);
        while !*done {
            done = landed.1.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Some(text) = self.text.take() else { return };
        if let Some((_, landed)) = locked(&self.all.0).remove(&text) {
            *locked(&landed.0) = true;
            landed.1.notify_all();
        }
    }
}
