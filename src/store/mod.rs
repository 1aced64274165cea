//! Records by key in one file: placing, batching, committing, sealing.
//!
//! Joins `backend`, `chunk`, `frame` and `index`, which do not know each other. Knows nothing
//! of what a record means.

mod batch;
mod cache;
mod commit;
mod compact;
mod config;
mod core;
mod flush;
mod foreign;
mod info;
mod io;
mod open;
mod options;
mod perm;
mod place;
mod pool;
mod record;
mod root;
mod scan;
mod seal;
mod segment;
mod snapshot;
mod state;
mod tail;
mod transfer;
mod verify;
mod writer;

pub use batch::Batch;
pub use compact::{CompactOptions, Compacted, compact, compact_into};
pub use config::{CONFIG_AT, CONFIG_MAGIC, CONFIG_SPACE, FORMAT_VERSION};
pub use info::Info;
pub use open::Store;
pub use options::{Alignment, Durability, Lookup, Purpose, StoreOptions};
pub use record::Record;
pub use scan::Scan;
pub use snapshot::{Location, Snapshot};
pub use state::Opened;
pub use verify::{Damage, Verified};
pub use writer::Writer;
