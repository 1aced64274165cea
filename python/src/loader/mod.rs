//! Loading for training: the crate's loader, and its batches as objects of Python and arrays.

mod batch;
mod class;
mod memory;
mod numbers;
mod options;
mod run;

pub(crate) use class::{Loader, Stores, split};
pub(crate) use run::Run;
