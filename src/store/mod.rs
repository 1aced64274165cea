//! Records by key in one file: placing, batching, committing, sealing.
//!
//! Joins `backend`, `chunk`, `frame` and `index`, which do not know each other. Knows nothing
//! of what a record means.

mod batch;
mod cache;
mod commit;
mod compact;
mod config;
mod copy;
mod core;
mod crowd;
mod flush;
mod foreign;
mod info;
mod io;
mod merge;
mod open;
mod options;
mod perm;
mod place;
mod pool;
mod prefix;
mod reads;
mod record;
mod recover;
mod root;
mod rows;
mod runs;
mod scan;
mod seal;
mod segment;
mod select;
mod shared;
mod snapshot;
mod space;
mod split;
mod stat;
mod state;
mod tail;
mod target;
mod transfer;
mod verify;
mod visit;
mod writer;

pub use batch::Batch;
pub use compact::{CompactOptions, Compacted, compact, compact_into};
pub use config::{CONFIG_AT, CONFIG_MAGIC, CONFIG_SPACE, FORMAT_VERSION};
pub use copy::{Copied, CopyOptions, copy, copy_into, copy_with};
pub use info::Info;
pub use merge::{Clash, MergeOptions, Merged, merge};
pub use open::Store;
pub use options::{Alignment, Durability, Lookup, Purpose, StoreOptions};
pub use record::Record;
pub use recover::{Contents, Found, Means, RecoverOptions, Recovered, recover, recover_into};
pub use rows::ColumnData;
pub use scan::Scan;
pub use select::Select;
pub use shared::{Reference, Refers};
pub use snapshot::{Location, Snapshot};
pub use split::{SPLIT_MAX, SplitBy, SplitOptions, split};
pub use stat::{ChunkClass, RatioClass, SizeClass, Stat};
pub use state::Opened;
pub use target::is_store;
pub use verify::{Damage, Verified};
pub use visit::Visit;
pub use writer::Writer;
