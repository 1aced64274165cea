//! The storage of `vlstore.cache` in a store file; what an entry means is said in Python.

mod class;
mod entry;

pub(crate) use class::{_Cache, Listed};
