//! Writing: where a record is placed, how chunks are filled and compressed, how a commit and a seal
//! are made.

mod bound;
mod check;
mod commit;
mod copies;
mod delete;
mod fill;
mod partial_commit;
mod place;
pub(crate) mod pool;
mod put;
pub(crate) mod seal;
mod shared;
pub(crate) mod writer;
