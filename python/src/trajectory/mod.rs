//! Stores of frames: many of them as arrays, chosen fields, statistics, and the files of other
//! programs.

pub(crate) mod at;
pub(crate) mod class;
pub(crate) mod export;
mod field;
mod fields;
mod flat;
pub(crate) mod import;
mod ingest;
mod statistics;
mod survey;
