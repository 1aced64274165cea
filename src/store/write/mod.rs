//! Writing: where a record is placed, how chunks are filled and compressed, how a commit and a seal
//! are made.

mod block_size;
mod check;
mod commit;
mod delete;
mod fill;
mod foreign_checksums;
mod leaf_copies;
mod partial_commit;
mod placement;
pub(crate) mod pool;
mod put;
mod savepoint;
pub(crate) mod seal;
mod shared;
mod text_key_bound;
mod uncommitted;
pub(crate) mod writer;
