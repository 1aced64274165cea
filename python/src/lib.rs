//! The compiled half of the Python package `vlstore`.
//!
//! Knows how a Python value becomes a Rust one and back, and which exception an error becomes.
//! Must not know anything that a Rust user would miss: whatever decides lies in the crate.

use pyo3::prelude::*;

/// The compiled half of `vlstore`; import `vlstore` instead.
// The interpreter's lock is asked for until the unsafe code is reviewed for running without.
#[pymodule(gil_used = true)]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
