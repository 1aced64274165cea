//! Texts between Python and the crate.

use crate::error::{described, invalid, wrong_type};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A text, or a refusal that names it.
pub(crate) fn text(any: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    match any.cast::<PyString>() {
        Ok(text) => text.to_str().map(ToOwned::to_owned).map_err(|_| {
            invalid(any.py(), &format!("{what} must be valid Unicode: it has a lone surrogate"))
        }),
        Err(_) => Err(wrong_type(any.py(), &described(&format!("{what} must be a str"), any)?)),
    }
}
