//! Bytes at offsets: where the bytes of a store lie.
//!
//! Knows files, maps, memory, locks and how a new file takes the place of an old one. Must not
//! know what the bytes mean: no frame, chunk, index or record is named here, and nothing is
//! parsed. Only `store` and `maintain` read and write a store
//! through a backend.
//!
//! One narrow trait, [`Backend`], is all that the rooms above see, so that the recording and
//! failing backends of the tests can stand in for a disk that loses power or fills up. A
//! backend written elsewhere runs the contract tests of `contract` (feature `testing`).

mod access;
mod address;
mod api;
mod bounds;
mod file;
pub mod file_signatures;
mod fork;
mod lock;
mod map;
mod memory;
mod network;
mod open_file;
mod output;
mod output_place;
mod paged;
mod preallocate;
mod process;
mod ranges;
mod slice;
mod staged_file;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(any(test, feature = "testing"))]
pub mod fault;

pub use access::Access;
pub(crate) use address::not_an_address;
pub use api::Backend;
pub use file::FileBackend;
pub use lock::{LockOutcome, WriterLock};
pub use map::Mapping;
pub use memory::MemoryBackend;
pub use output::Output;
pub use output_place::{ExistingOutput, OutputPlace};
pub use paged::{DiskCache, PagedBackend};
pub use process::process_id;
pub use ranges::{Begun, RangeSource};
pub use slice::SliceBackend;
#[cfg(feature = "experiments")]
pub(crate) use staged_file::is_temporary_name;
pub(crate) use staged_file::remove_abandoned;
pub(crate) use staged_file::temporary_name;
pub use staged_file::{StagedFile, sync_folder_of};
