//! Stores of frames: many of them as arrays, chosen fields, statistics, and the files of other
//! programs.

mod arrays;
pub(crate) mod at;
pub(crate) mod class;
pub(crate) mod export;
mod fields;
pub(crate) mod import;
mod ingest;
mod statistics;
