//! How a new store is made, for the verbs that write one from another.

use crate::choices;
use crate::sizes;
use vlstore::{Alignment, Compression, Layout, Purpose, WriteOptions};

/// What of the layout is to change; all else stays as in the source.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LayoutArgs {
    /// What the store is for; also sets the defaults of the other options [default: as the source]
    #[arg(long, value_parser = choices::purpose())]
    purpose: Option<Purpose>,
    /// Compression [default: as the source]
    #[arg(long, value_parser = choices::compression())]
    compression: Option<Compression>,
    /// Effort of the compression, 1 to 9
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    level: Option<u8>,
    /// Bytes of a chunk
    #[arg(long, value_name = "SIZE", value_parser = sizes::small)]
    chunk_size: Option<u32>,
    /// Bytes of a block
    #[arg(long, value_name = "SIZE", value_parser = sizes::small)]
    block_size: Option<u32>,
    /// Placement of records
    #[arg(long, value_parser = choices::alignment())]
    alignment: Option<Alignment>,
    /// Bytes of one number, for the filter before compression
    #[arg(long, value_name = "BYTES")]
    typesize: Option<u8>,
    /// Threads that compress [default: as many as cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl LayoutArgs {
    /// The layout of a new store made from one with `source`.
    pub(crate) fn of(&self, source: &Layout) -> Layout {
        let mut out = source.clone();
        if let Some(purpose) = self.purpose {
            out = Layout {
                purpose,
                compression: Compression::Auto,
                level: 0,
                chunk_size: 0,
                block_size: 0,
                ..out
            };
        }
        if let Some(compression) = self.compression {
            out.compression = compression;
            out.level = 0;
        }
        if let Some(size) = self.chunk_size {
            out.chunk_size = size;
            // A fixed block of the source may not fit the new chunk.
            out.block_size = if out.block_size > size { 0 } else { out.block_size };
        }
        out.level = self.level.unwrap_or(out.level);
        out.block_size = self.block_size.unwrap_or(out.block_size);
        out.alignment = self.alignment.unwrap_or(out.alignment);
        out.typesize = self.typesize.unwrap_or(out.typesize);
        out
    }

    /// How the new store is written.
    pub(crate) fn write(&self) -> WriteOptions {
        WriteOptions { threads: self.threads.unwrap_or(0), ..WriteOptions::default() }
    }
}
