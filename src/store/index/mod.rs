//! The index of a store in the file and in memory: segments, the levels of leaves and runs that a
//! root names, the memtable of what is newer, and how the one becomes the other.

pub(crate) mod far;
pub(crate) mod fence_search;
pub(crate) mod flush;
pub(crate) mod io;
pub(crate) mod kept;
pub(crate) mod lazy;
pub(crate) mod leaf;
pub(crate) mod memtable;
pub(crate) mod near;
pub(crate) mod next_segment;
pub(crate) mod open_run;
mod pages;
pub(crate) mod root;
pub(crate) mod row_chunk;
pub(crate) mod runs;
pub(crate) mod segment;
pub(crate) mod slots;
pub(crate) mod stored_index;
