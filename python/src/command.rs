//! The command `vlstore`, for a package that is installed without Rust.

use pyo3::prelude::*;
use std::ffi::OsString;

/// Does what the command line `args` asks for, the first of which is the name of the program, and
/// returns the exit status. For a process that ends after it: what watches for Ctrl-C and requests to
/// end is not taken back, so that later ones would be noted by nobody.
#[pyfunction]
#[pyo3(signature = (args))]
pub(crate) fn _command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| vlstore_cli::run(args))
}
