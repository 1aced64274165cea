//! The compiled half of the Python package `vlstore`.
//!
//! Knows how a Python value becomes a Rust one and back, and which exception an error becomes.
//! Must not know anything that a Rust user would miss: whatever decides lies in the crate.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

mod arrays;
mod at;
mod buffer;
mod codec;
mod columns;
mod command;
mod error;
mod exit;
mod field;
mod flat;
mod frame;
mod handle;
mod importing;
mod ingest;
mod iter;
mod iterable;
mod key;
mod maintain;
mod mapping;
mod ndarray;
mod numpy;
mod open;
mod options;
mod ordinals;
mod original;
mod parts;
mod progress;
mod report;
mod store;
mod survey;
mod topology;
mod trajectory;
mod wanted;
mod writer;

/// The compiled half of `vlstore`; import `vlstore` instead.
// The interpreter's lock is asked for until the unsafe code is reviewed for running without.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::at::At;
    #[pymodule_export]
    use super::buffer::Record;
    #[pymodule_export]
    use super::command::_command;
    #[pymodule_export]
    use super::exit::_close_all;
    #[pymodule_export]
    use super::frame::MdFrame;
    #[pymodule_export]
    use super::importing::{Imported, import};
    #[pymodule_export]
    use super::iter::Iter;
    #[pymodule_export]
    use super::maintain::{_compact, _copy, _merge, _recover, _split};
    #[pymodule_export]
    use super::open::{from_bytes, memory, open};
    #[pymodule_export]
    use super::original::byte_hash;
    #[pymodule_export]
    use super::report::Verified;
    #[pymodule_export]
    use super::store::{Depot, Store};
    #[pymodule_export]
    use super::topology::Topology;
    #[pymodule_export]
    use super::trajectory::{Exported, export};
    #[pymodule_export]
    use super::writer::_reopen;
    use super::{Bound, PyModule, PyModuleMethods, PyResult, at_home};
    use pyo3::PyTypeInfo;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        at_home(py)?;
        super::writer::register(py, &Store::type_object(py))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Refuses a second interpreter of the process: Python 3.11 loads the module there, where it
/// would raise errors of the first one's classes.
fn at_home(py: Python<'_>) -> PyResult<()> {
    static HOME: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    // Each interpreter has a module `sys` of its own.
    let sys = py.import("sys")?;
    if HOME.get_or_init(py, || sys.clone().unbind()).bind(py).is(&sys) {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "vlstore is loaded in another interpreter of this process and works in one alone: use a \
         process, or a thread, instead of a subinterpreter",
    ))
}
