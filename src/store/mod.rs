//! Records by key in one file: placing, batching, committing, sealing.
//!
//! Joins `backend`, `chunk`, `frame` and `index`, which do not know each other. Knows nothing
//! of what a record means. Four rooms, each of which uses those before it: `index`, `read`, `write`,
//! `foreign` (files of the original program, and what other programs added to ours); `open` joins them.

pub(crate) mod block_checksum;
pub(crate) mod config;
pub(crate) mod foreign;
pub(crate) mod index;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod read;
pub(crate) mod target;
pub(crate) mod write;

pub use config::{CONFIG_AT, CONFIG_MAGIC, CONFIG_SPACE, FORMAT_VERSION};
pub use open::{Closed, Store};
pub use options::{
    Alignment, Compression, Durability, Layout, OriginalTable, Purpose, ReadOptions, StoreOptions,
    WriteOptions,
};
pub use read::any_plan::Plan;
pub(crate) use read::any_plan::{AskedOfFile, Files};
pub use read::batch::Batch;
pub use read::info::Info;
pub use read::location::Location;
pub use read::newest_state::Opened;
pub(crate) use read::plan::Looked;
pub use read::readable::Readable;
pub use read::record::Record;
pub use read::rows::ColumnData;
pub use read::scan::Scan;
pub use read::snapshot::Snapshot;
pub use read::stat::{ChunkClass, RatioClass, SizeClass, Stat};
pub(crate) use read::visit::Visit;
pub use target::is_store;
pub use write::writer::Writer;
