//! Whole stores: checked, recovered, copied, merged, split, compacted.
//!
//! Stands above `store`: reads by snapshots, writes by a writer, and looks behind both where a
//! damaged file has to be read.

mod compact;
mod copy;
mod distribute;
mod merge;
mod recover;
mod select;
mod shard;
pub(crate) mod shared_transfer;
mod split;
mod transfer;
mod verify;

pub use compact::{CompactOptions, Compacted, compact, compact_into};
pub use copy::{Copied, CopyOptions, copy, copy_with};
pub use distribute::{Balance, SplitBy};
pub use merge::{Clash, MergeOptions, Merged, merge};
pub use recover::{
    Contents, Found, RecoverOptions, Recovered, RecoveryMethod, recover, recover_into,
};
pub use select::Select;
pub use shard::shard;
pub use shared_transfer::{Reference, Refers};
pub use split::{SPLIT_MAX, SplitOptions, split};
pub use verify::{Affected, Damage, Effect, Verified, verify_member};
