//! Where a new store may be made.

use crate::backend::{Access, Backend, ExistingOutput, FileBackend, OutputPlace, file_signatures};
use crate::error::{Error, Result};
use crate::existing::Existing;
use crate::store::foreign::any::load_any;
use crate::store::index::slots::slots;
use crate::store::options::ReadOptions;
use std::path::Path;
use std::sync::Arc;

/// Whether the file at `path` is a store of ours or of the original program, however damaged.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] for what is not a regular file.
pub fn is_store(path: &Path) -> Result<bool> {
    let file = FileBackend::open_read(path, Access::Pread)?;
    let file: Arc<dyn Backend> = Arc::new(file);
    let own = !slots(&*file, None)?.is_empty();
    let opened = || load_any(&file, &ReadOptions::default());
    Ok(own || !matches!(opened(), Err(e) if matches!(e.root(), Error::NotAStore { .. })))
}

/// Refuses a place where no new store can appear: what is not a regular file, a file that is not
/// to be replaced, and a file that is not a store, which nobody replaces by a store on purpose.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::Exists`] with the path; [`Error::Io`].
pub(crate) fn may_appear(path: &Path, existing: Existing) -> Result<()> {
    let place = OutputPlace::of(path)?;
    place.must_be_file()?;
    let ExistingOutput::File(found) = place.there() else { return Ok(()) };
    if existing == Existing::Refuse {
        return place.must_be_free();
    }
    if found.len() == 0 || is_store(path)? {
        return Ok(());
    }
    let why = format!(
        "this is {}, not a store, so it is not replaced by one; name another path, or delete the \
         file first",
        file_signatures::describe(path)
    );
    Err(Error::invalid("path", why).at(path))
}
