//! What belongs to who has a store open: a writer or a reader.

use super::named_values::{Durability, OriginalTable};
use crate::backend::Access;
use crate::column::{RecordCheck, RowMaker};
use std::time::Duration;

const CACHE_BYTES: usize = 32 << 20;

/// What a writer does with a store, new or not.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Threads that compress behind the writer, and decode batches; 0 takes as many as there are
    /// cores.
    pub threads: usize,
    /// What commits wait for.
    pub durability: Durability,
    /// A `put` commits when this many bytes were added since the last commit.
    pub commit_bytes: u64,
    /// A `put` commits when this much time has passed since the last commit.
    pub commit_interval: Duration,
    /// Bytes of decoded blocks that are kept for later reads.
    pub cache_bytes: usize,
    /// Whether a seal writes the table of the original program.
    pub original_table: OriginalTable,
    /// How the file is read: mapped or by calls.
    pub access: Access,
    /// Whether a store whose newest commit cannot be read is opened all the same, as of an older
    /// state: what came after that is lost then. Without it such a store is refused with
    /// [`Error::Older`](crate::Error::Older) and stays as it is. Readers are told by
    /// [`Opened`](crate::Opened).
    pub accept_older: bool,
    /// How the row of a record follows from its bytes, for records that are put without one.
    pub rows: Option<RowMaker>,
    /// How bytes that are put are checked, where the store names a codec other than `raw`:
    /// `Some(codec::check)` for those of this release. Without it such a store takes records from
    /// a [`DepotWriter`](crate::DepotWriter) alone, and bytes by
    /// [`Writer::put_unchecked`](crate::Writer::put_unchecked).
    pub check: Option<RecordCheck>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            durability: Durability::default(),
            commit_bytes: 8 << 20,
            commit_interval: Duration::from_secs(5),
            cache_bytes: CACHE_BYTES,
            original_table: OriginalTable::default(),
            access: Access::Auto,
            accept_older: false,
            rows: None,
            check: None,
        }
    }
}

impl WriteOptions {
    /// How a writer with these options reads.
    #[must_use]
    pub const fn reading(&self) -> ReadOptions {
        ReadOptions { threads: self.threads, cache_bytes: self.cache_bytes, access: self.access }
    }
}

/// What a reader does with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Threads that decode batches; 0 takes as many as there are cores.
    pub threads: usize,
    /// Bytes of decoded blocks that are kept for later reads.
    pub cache_bytes: usize,
    /// How the file is read: mapped or by calls.
    pub access: Access,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { threads: 0, cache_bytes: CACHE_BYTES, access: Access::Auto }
    }
}
