//! The ceilings of the file and of what is in it: each with its value and why that number. Some are
//! beside what they limit: `RECORDS_MAX` in `index/layout.rs`, `FENCE_MAX` in `index/fence.rs`, `ID_MAX` in
//! `series/ids.rs`, `SPLIT_MAX` in `maintain/split.rs`, `NAME_MAX` in `experiments/names.rs` and in
//! `frame/metalayer.rs`, `LIST_MAX` in `experiments/views.rs`.
//!
//! A size that a file claims is compared with its ceiling before anything is allocated, and a
//! size that a caller asks for before anything is written.

/// Smallest chunk that can be made, in bytes: room for one Blosc2 stream worth its header.
pub const CHUNK_MIN: u32 = 128;
/// Largest chunk that this crate makes, in bytes. A chunk is compressed as one piece of work
/// and held in memory once per worker.
pub const CHUNK_MAX: u32 = 16 << 20;
/// Largest chunk that is read in files of others, in bytes.
pub const CHUNK_MAX_FOREIGN: u32 = 256 << 20;
/// Smallest block, in bytes, unless the chunk itself is smaller.
pub const BLOCK_MIN: u32 = 1 << 10;
/// Largest block that this crate makes, in bytes. `BloscLZ` overflows on streams of more than
/// 8.4 million bytes; this stays far below.
pub const BLOCK_MAX: u32 = 1 << 20;
/// Longest single compressed stream that is given to the C library, in bytes.
pub const STREAM_MAX: u32 = 8_000_000;
/// Most blocks in one chunk that this crate makes.
pub const BLOCKS_PER_CHUNK: u32 = 8192;
/// Longest record, in bytes.
pub const RECORD_MAX: u64 = 1 << 30;
/// Longest key, in bytes, for keys that are strings or bytes: an index could say 8 MiB. The original
/// program has no limit of its own.
pub const KEY_MAX: usize = 1 << 20;
/// Most columns of a store, beside those that every store has.
pub const COLUMNS: usize = 64;
/// Longest name of a column, in bytes.
pub const COLUMN_NAME: usize = 64;
/// Most numbers of one record in all columns together: 1 KiB in the log for each record.
pub const ROW_MAX: usize = 128;
/// Longest user document of attributes, in bytes of JSON.
pub const ATTRIBUTES_MAX: usize = 1 << 20;
/// Unit in which index segments are checksummed and read, in bytes.
pub const INDEX_PAGE: usize = 16 << 10;
/// Most metalayers in a frame header that are read.
pub const METALAYERS: usize = 16;
/// Most variable-length metalayers in a frame trailer that are read: the most that Blosc2 allows.
pub const VLMETALAYERS: usize = 8192;
/// Longest metalayer, in bytes.
pub const METALAYER_MAX: usize = 1 << 20;
/// Deepest nesting of msgpack values that is followed.
pub const MSGPACK_DEPTH: usize = 4;
/// Most chunks in a frame of another program that are listed in memory.
pub const FOREIGN_CHUNKS: u64 = 1 << 28;
/// Largest `saved_lookup` that one Blosc2 buffer can hold, in bytes.
pub const LOOKUP_MAX: usize = (1 << 31) - (1 << 20);
/// Most axes of an array record. `NumPy` allows 64, but a view keeps its shape by value.
pub const ARRAY_AXES: usize = 16;
/// Most arrays of one document. A view lists them, 160 bytes for each of at least 16 bytes in the record.
pub const DOCUMENT_ARRAYS: u32 = 1 << 16;
/// Most extra properties of one trajectory frame, of its atoms and its own together. Files with
/// descriptors of each structure in their comment line have hundreds.
pub const PROPERTIES_MAX: usize = 4096;
/// Longest manifest of a data set, in bytes: it is read whole, and a member takes about 500.
pub const MANIFEST_MAX: u64 = 512 << 20;
/// Most members of a data set.
pub const MEMBERS_MAX: u64 = 1 << 20;
