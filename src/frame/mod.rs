//! The Blosc2 contiguous frame around the chunks: header, metalayers, offsets, trailer.
//!
//! Knows how python-blosc2 lays out a frame, and which header a new store starts with. Parses
//! and builds bytes in safe Rust and does no input or output: the C library never sees a frame.
//! Stands on `chunk`, because the offsets are themselves a Blosc2 chunk. Must not know what a
//! record or a commit is: the two slot areas of the header are places to it, nothing more.
//!
//! Source of the format: `README_CFRAME_FORMAT.rst` of C-Blosc2. Places in errors are counted
//! from the start of the part that was given.

mod header;
mod metalayer;
pub mod msgpack;
mod offsets;
mod trailer;

pub use header::{
    FrameHeader, HEADER_LEN, MAGIC, SLOT_LEN, SLOT_OFFSETS, TOTALS_END, TOTALS_LEN, TOTALS_OFFSET,
    build_header, patch_totals,
};
pub use metalayer::Metalayer;
pub use offsets::{ChunkPlace, decode_offsets, encode_offsets};
pub use trailer::{TRAILER_MIN, build_trailer, parse_trailer, trailer_len};
