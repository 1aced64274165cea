//! Results of functions, kept in a store: found by the function and its arguments, shared by
//! processes, within a budget of bytes.
//!
//! A [`Cache`] is a store whose records are [documents](crate::codec::DocumentCodec): the head says
//! what was called, when it was stored and what kind of value the result is; arrays stand beside it.
//! [`Cached`] wraps a closure so that it runs once for the same arguments. What a key and a head look
//! like is in `docs/cache.md`; the Python package reads and writes the same.
//!
//! The file is open for writing only while something is written: processes take turns by its lock, and
//! none waits while another computes. Knows nothing of Python, NumPy or HDF5.

mod argument;
mod budget;
mod cached;
mod call_key;
mod entry;
mod file;
mod last_used;
mod lock_wait;
mod object;
mod single_flight;
mod stamp;
mod write;

pub use argument::{Argument, Arguments};
pub use cached::Cached;
pub use call_key::{Call, Parts};
pub use entry::{Entry, EntryInfo, EntryView};
pub use file::{Cache, CacheInfo, CacheOptions};
pub use object::{Object, Prepared};
