//! Runs: entries that lead from the hash of a key to a record, packed to as few bits as they
//! need and found through a table (see `docs/format.md`, «Run»). Here are the bits; reading and
//! writing the pages in which they lie is up to `store`.

mod entry;
mod packer;
mod shape;

pub use entry::RunEntry;
pub use packer::Packer;
pub use shape::Shape;
