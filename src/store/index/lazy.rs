//! A part of the index that is opened when it is first needed.

use crate::error::Result;
use once_cell::race::OnceBox;
use std::sync::Arc;

/// A value that is opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Lazy<R, T> {
    pub(crate) at: R,
    open: Arc<OnceBox<T>>,
}

impl<R: Copy, T> Clone for Lazy<R, T> {
    fn clone(&self) -> Self {
        Self { at: self.at, open: self.open.clone() }
    }
}

impl<R: Copy, T> Lazy<R, T> {
    pub(crate) fn new(at: R) -> Self {
        Self { at, open: Arc::default() }
    }

    /// Whether it was opened already.
    pub(crate) fn is_open(&self) -> bool {
        self.open.get().is_some()
    }

    pub(crate) fn get(&self, make: impl FnOnce(R) -> Result<T>) -> Result<&T> {
        if let Some(t) = self.open.get() {
            return Ok(t);
        }
        let made = make(self.at)?;
        Ok(self.open.get_or_init(|| Box::new(made)))
    }
}
