//! The compiled half of the Python package `vlstore`.
//!
//! Knows how a Python value becomes a Rust one and back, and which exception an error becomes.
//! Must not know anything that a Rust user would miss: whatever decides lies in the crate.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

mod array;
mod blobs;
mod cache;
mod command;
mod convert;
mod error;
mod experiments;
mod frame;
mod legacy;
mod loader;
mod maintain;
mod open;
mod remote;
mod series;
mod store;
mod trajectory;

/// The compiled half of `vlstore`; import `vlstore` instead.
// The interpreter's lock is asked for until the unsafe code is reviewed for running without.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::array::buffer::Record;
    #[pymodule_export]
    use super::blobs::digest::GrowingDigest;
    #[pymodule_export]
    use super::blobs::storage::BlobStorage;
    #[pymodule_export]
    use super::blobs::stream::BlobStream;
    #[pymodule_export]
    use super::cache::{_Cache, Listed};
    #[pymodule_export]
    use super::command::_command;
    #[pymodule_export]
    use super::experiments::{
        _from_zip, _import_experiment, _read_hdf5, _to_hdf5, _to_zip, _write_hdf5, Experiment,
        Storage, Task, TaskWriter,
    };
    #[pymodule_export]
    use super::frame::md_frame::MdFrame;
    #[pymodule_export]
    use super::frame::topology::Topology;
    #[pymodule_export]
    use super::legacy::byte_hash;
    #[pymodule_export]
    use super::loader::{Loader, Run, Stores as LoaderSources, split};
    #[pymodule_export]
    use super::maintain::{
        _compact, _copy, _describe, _merge, _publish, _publish_described, _recover, _shard, _split,
    };
    #[pymodule_export]
    use super::open::{_reopen, from_bytes, memory, open, open_object};
    #[pymodule_export]
    use super::remote::{_pull, _push};
    #[pymodule_export]
    use super::series::class::{_new_id, Store as SeriesStore};
    #[pymodule_export]
    use super::series::csv::{_read_csv, _write_csv};
    #[pymodule_export]
    use super::series::lazy::{_lazy_of, Grid, Lazy};
    #[pymodule_export]
    use super::store::at::At;
    #[pymodule_export]
    use super::store::class::Store;
    #[pymodule_export]
    use super::store::depot::Depot;
    #[pymodule_export]
    use super::store::exit::_close_all;
    #[pymodule_export]
    use super::store::iter::Iter;
    #[pymodule_export]
    use super::store::report::Verified;
    #[pymodule_export]
    use super::trajectory::at::Frames;
    #[pymodule_export]
    use super::trajectory::class::Trajectory;
    #[pymodule_export]
    use super::trajectory::export::{Exported, export, residues_of};
    #[pymodule_export]
    use super::trajectory::import::{Imported, import, standard_masses};
    use super::{Bound, PyModule, PyModuleMethods, PyResult, at_home};
    use pyo3::PyTypeInfo;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        at_home(py)?;
        super::remote::watch();
        super::open::register(py, &Store::type_object(py))?;
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
