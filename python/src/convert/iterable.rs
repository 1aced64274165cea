//! What is gone through in Python: iterables, of which some have no end.

use crate::convert::text::text;
use crate::error::{described, raise, wrong_type};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyString};
use std::cell::Cell;
use vlstore::limits::RECORD_MAX;

/// Items between two turns for other threads and for what the user wants to stop.
const STRIDE: usize = 1 << 16;

/// What `each` makes of all items. Memory that runs out is an error of Python's, not the end of
/// the process.
pub(crate) fn gathered<'py, T>(
    items: &Bound<'py, PyIterator>,
    each: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    let mut all = Vec::new();
    for item in items {
        let item = item?;
        if all.len() == all.capacity() && all.try_reserve(all.len().max(16)).is_err() {
            let why = format!("no memory for more than {} items of an iterable", all.len());
            return Err(PyMemoryError::new_err(why));
        }
        if all.len() % STRIDE == STRIDE - 1 {
            items.py().detach(|| ());
            items.py().check_signals()?;
        }
        all.push(each(&item)?);
    }
    Ok(all)
}

/// Names of fields that anyone may ask for: more than a frame can have.
const FIELDS_MAX: usize = 4096;

/// An iterable of texts; one text alone is none. As one without an end must not take all memory, at
/// most so many, and so many bytes, as a record holds.
fn limited(any: &Bound<'_, PyAny>, what: &str, most: usize) -> PyResult<Vec<String>> {
    let single = any.is_instance_of::<PyString>() || any.is_instance_of::<PyBytes>();
    let Some(items) = any.try_iter().ok().filter(|_| !single) else {
        let wanted = format!("{what} must be a list of strings");
        return Err(wrong_type(any.py(), &described(&wanted, any)?));
    };
    let (count, bytes) = (Cell::new(0_usize), Cell::new(0_u64));
    gathered(&items, |item| {
        let text = text(item, &format!("an entry of {what}"))?;
        count.set(count.get() + 1);
        bytes.set(bytes.get() + text.len() as u64);
        if count.get() > most || bytes.get() > RECORD_MAX {
            let why = format!(
                "{what} has more than {} entries: it may have {most}, of {RECORD_MAX} bytes in all",
                count.get() - 1
            );
            return Err(raise(any.py(), "InvalidError", &why));
        }
        Ok(text)
    })
}

/// An iterable of names of sites or of groups of them.
pub(crate) fn texts(any: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    // Each takes twelve bytes of the record that they become, or more.
    limited(any, what, usize::try_from(RECORD_MAX / 12).unwrap_or(usize::MAX))
}

/// The argument `fields`: names of what is wanted of a frame.
pub(crate) fn fields(any: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<String>>> {
    any.map(|any| limited(any, "fields", FIELDS_MAX)).transpose()
}
