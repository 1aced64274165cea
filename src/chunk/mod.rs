//! One Blosc2 chunk: its parameters, its layout, and its blocks to bytes and back.
//!
//! Knows the chunk format of Blosc2 and, in `blosc.rs` and `zstd.rs` alone, that the algorithms are written in C.
//! Everything that a chunk claims is checked in Rust before the C library sees a byte of it:
//! [`ChunkLayout`] allows only what is listed, `streams.rs` walks the stream lengths of a block,
//! and [`Decoder`] hands over one block at a time, wrapped in a header of its own. Of blocks of LZ4 and Zstd
//! `direct.rs` hands over the streams alone and undoes the shuffle in Rust; `zstd_planes.rs` makes such blocks. Stored chunks and
//! runs of one value never leave Rust. Must not know what a frame, a file or a record is;
//! places in its errors are counted from the start of the chunk.
//!
//! Source of the format: `README_CHUNK_FORMAT.rst` of C-Blosc2.

mod algorithm;
mod assemble;
mod blosc;
mod compress;
mod decoder;
mod direct;
mod header;
mod layout;
mod params;
mod planes;
mod special;
mod streams;
mod zstd;
mod zstd_planes;

pub use algorithm::Algorithm;
pub(crate) use blosc::SLACK;
pub use compress::Compressor;
pub use decoder::Decoder;
pub(crate) use decoder::with_decoder;
pub use layout::{ChunkLayout, check_block};
pub use params::{Filter, Params};
pub(crate) use special::{nans_chunk, zeros_chunk};

#[cfg(test)]
mod tests;
