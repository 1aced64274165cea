//! Stores that are still open for writing when the program ends.

use crate::store::handle::Handle;
use crate::store::store_path::{StorePath, lost};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Writers of files, in the order in which they were opened. Taken by whoever holds the
/// interpreter and for a moment, so that no child of a fork inherits it taken.
static OPEN: Mutex<Vec<Weak<Handle>>> = Mutex::new(Vec::new());

/// Notes a store, to be closed at the end of the interpreter if nobody has done so.
pub(crate) fn note(handle: &Arc<Handle>) {
    if handle.is_writer() && matches!(handle.place, StorePath::File(_)) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(handle));
    }
}

/// Closes every store that this process opened for writing, so that what was put is committed.
///
/// Called at the end of the interpreter. Stores that were inherited through a fork are those of
/// the parent and stay as they are.
#[pyfunction]
pub(crate) fn _close_all(py: Python<'_>) -> PyResult<()> {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    for handle in open.iter().filter_map(Weak::upgrade) {
        if let Err(error) = handle.close(py, true) {
            lost(py, &handle.place, error)?;
        }
    }
    Ok(())
}
