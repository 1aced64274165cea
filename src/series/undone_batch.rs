//! Whether a batch has been undone: the bytes that it had written belong to others then.

use crate::error::{Error, Result};
use crate::key::Key;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A mark of one batch, for all that was read in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Undone(Arc<AtomicBool>);

impl Undone {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Refuses what a batch had that has been undone.
    pub(super) fn check(&self, id: &Key) -> Result<()> {
        if !self.0.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = format!(
            "{id} was read in a batch that has been undone since; read it again from the store"
        );
        Err(Error::invalid("series", why))
    }
}
