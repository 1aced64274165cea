//! Reading: from a file to the newest intact state in it, and from a key or an ordinal to the bytes of
//! a record, one by one, in batches, in order.

pub(crate) mod any_plan;
pub(crate) mod batch;
mod block_bounds;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod chunk_locations;
pub(crate) mod damaged_or_foreign;
pub(crate) mod dead;
mod far;
pub(crate) mod find_chunk;
mod gather_together;
pub(crate) mod helper_threads;
pub(crate) mod info;
pub(crate) mod key_lookup;
mod large_record;
pub(crate) mod location;
mod looked_up;
pub(crate) mod newest_state;
#[cfg_attr(
    not(feature = "object-store"),
    allow(dead_code, reason = "only stores elsewhere are compared")
)]
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod readable;
pub(crate) mod reader;
pub(crate) mod record;
mod replay_log;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod share_out;
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod stat;
mod stretch;
pub(crate) mod visit;
