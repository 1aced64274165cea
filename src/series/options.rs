//! How series are stored and read.

use super::layer::SERIES;
use super::points::TimeRule;
use crate::codec::{AnyCodec, Packing, SeriesCodec};
use crate::store::{Durability, Layout, ReadOptions, StoreOptions, WriteOptions};
use std::time::Duration;

/// How series are stored and read.
#[derive(Debug, Clone)]
pub struct SeriesOptions {
    /// How numbers are packed.
    pub packing: Packing,
    /// Which times are taken.
    pub times: TimeRule,
    /// What a commit waits for.
    pub durability: Durability,
    /// Bytes of series that were read and are kept; 0 keeps none.
    pub cache_bytes: usize,
    /// How long a write waits for another process that writes.
    pub wait: Duration,
    /// Threads that decode; 0 takes as many as there are cores.
    pub threads: usize,
    /// Whether anything may be written.
    pub writable: bool,
    /// Whether a file whose newest commit cannot be read may be written to in an older state: what came after
    /// it is lost then.
    pub accept_older: bool,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self {
            packing: Packing::default(),
            times: TimeRule::default(),
            durability: Durability::default(),
            cache_bytes: 32 << 20,
            wait: Duration::from_secs(10),
            threads: 0,
            writable: true,
            accept_older: false,
        }
    }
}

impl SeriesOptions {
    pub(super) fn write(&self) -> WriteOptions {
        WriteOptions {
            threads: self.threads,
            // Only what is asked for is a commit: what belongs together is put before it.
            commit_bytes: u64::MAX >> 1,
            commit_interval: Duration::MAX,
            durability: self.durability,
            accept_older: self.accept_older,
            cache_bytes: self.cache_bytes / 4,
            check: Some(crate::codec::check),
            ..WriteOptions::default()
        }
    }

    pub(super) const fn read(&self) -> ReadOptions {
        let (threads, cache_bytes) = (self.threads, self.cache_bytes / 4);
        ReadOptions { threads, cache_bytes, access: crate::backend::Access::Auto }
    }

    pub(super) fn create(&self) -> StoreOptions {
        let layout = Layout {
            typesize: 8,
            record_codec: (SERIES.into(), SeriesCodec.version()),
            ..Layout::default()
        };
        StoreOptions { layout, write: self.write() }
    }
}
