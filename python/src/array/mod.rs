//! Memory and arrays that are shared with Python and NumPy.
//!
//! The unsafe code of this face is here, in [`buffer`] and [`ndarray`].

pub(crate) mod buffer;
pub(crate) mod numpy;
pub(crate) mod numpy_c_api;
