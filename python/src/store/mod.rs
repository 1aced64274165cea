//! Stores and depots as mappings: reading, writing, going through.

mod array_records;
mod arrow;
pub(crate) mod at;
pub(crate) mod class;
pub(crate) mod codec;
mod columns;
pub(crate) mod depot;
pub(crate) mod document_records;
pub(crate) mod encoded;
pub(crate) mod exit;
pub(crate) mod handle;
pub(crate) mod iter;
mod mapping;
pub(crate) mod object;
pub(crate) mod report;
mod series_records;
pub(crate) mod store_path;
pub(crate) mod typed;
pub(crate) mod view;
mod writer;
