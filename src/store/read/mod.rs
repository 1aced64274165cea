//! Reading: from a file to the newest intact state in it, and from a key or an ordinal to the bytes of
//! a record, one by one, in batches, in order.

pub(crate) mod batch;
pub(crate) mod blocks;
pub(crate) mod bulk_lookup;
pub(crate) mod cache;
pub(crate) mod evidence;
pub(crate) mod info;
pub(crate) mod load;
pub(crate) mod location;
pub(crate) mod plan;
pub(crate) mod readable;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod stat;
pub(crate) mod team;
