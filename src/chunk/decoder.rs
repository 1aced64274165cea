//! One decoder for each thread.

use super::Decoder;
use crate::error::Result;
use std::cell::RefCell;

thread_local! {
    /// One C context a thread: none is shared, none holds threads, all survive a fork.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
}

/// Calls `f` with this thread's decoder.
pub(crate) fn with_decoder<R>(f: impl FnOnce(&mut Decoder) -> Result<R>) -> Result<R> {
    DECODER.with(|cell| {
        let Ok(mut slot) = cell.try_borrow_mut() else { return f(&mut Decoder::new()?) };
        if slot.is_none() {
            *slot = Some(Decoder::new()?);
        }
        match slot.as_mut() {
            Some(d) => f(d),
            None => f(&mut Decoder::new()?),
        }
    })
}
