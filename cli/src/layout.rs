//! How a new store is made, for the verbs that write one from another.

use crate::choices::{self, Compressor};
use crate::sizes;
use vlstore::{Alignment, Purpose, StoreOptions};

/// What of the layout is to change; all else stays as in the source.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Layout {
    /// What the store is for; also sets the defaults of the other options [default: as the source]
    #[arg(long, value_parser = choices::purpose())]
    purpose: Option<Purpose>,
    /// Compressor [default: as the source]
    #[arg(long, value_parser = choices::compressor(), visible_alias = "compressor")]
    codec: Option<Compressor>,
    /// Effort of the compressor, 1 to 9
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

impl Layout {
    /// The options of a new store made from one with `source`.
    pub(crate) fn of(&self, source: &StoreOptions) -> StoreOptions {
        let mut out = source.clone();
        if let Some(purpose) = self.purpose {
            out = StoreOptions {
                purpose,
                codec: None,
                level: 0,
                chunk_size: 0,
                block_size: 0,
                ..out
            };
        }
        if let Some(codec) = self.codec {
            out.codec = Some(codec.0);
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
        out.threads = self.threads.unwrap_or(out.threads);
        out
    }
}
