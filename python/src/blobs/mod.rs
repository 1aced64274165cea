//! Storages of blobs: what the classes of `vlstore.blobs` stand on.

pub(crate) mod digest;
mod source;
pub(crate) mod storage;
pub(crate) mod stream;
