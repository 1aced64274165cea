//! The plain structures of the index, as `docs/format.md` draws them (sections «Leaf», «Run»,
//! «Root», «Log entry»). Little-endian, no padding, any alignment.

use crate::key::Key;
use crate::limits::KEY_MAX;
use crate::wire::{U16, U32, U64};
use bytemuck::{Pod, Zeroable};

/// Start of a leaf segment.
pub const LEAF_MAGIC: [u8; 8] = *b"VLleaf\0\x01";
/// Start of a run segment.
pub const RUN_MAGIC: [u8; 8] = *b"VLrun\0\0\x01";
/// Start of a segment of deleted records.
pub const DEAD_MAGIC: [u8; 8] = *b"VLdead\0\x01";
/// Start of a directory page.
pub const PAGE_MAGIC: [u8; 8] = *b"VLpage\0\x01";
/// Start of a root segment.
pub const ROOT_MAGIC: [u8; 8] = *b"VLroot\0\x01";
/// Start of a log entry.
pub const LOG_MAGIC: [u8; 8] = *b"VLlog\0\0\x01";

/// Bytes of one block of a filter, its checksum included.
pub const FILTER_BLOCK: usize = 64;

/// The first 64 bytes of every segment. What the four counts count depends on the kind.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Default)]
#[repr(C)]
pub struct SegmentHeader {
    /// One of the magics above.
    pub magic: [u8; 8],
    /// The file that the segment belongs to.
    pub file: [u8; 16],
    /// The commit for which it was written.
    pub generation: U64,
    /// Length of the segment, page checksums included.
    pub len: U64,
    /// First record (leaf, directory page), least record (run), else 0.
    pub first_record: U64,
    /// First chunk (leaf, directory page), widths (run), else 0.
    pub first_chunk: U64,
    /// Number of main entries.
    pub count: U64,
}

/// One record in a log entry and in memory: where it lies and where its key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct RecordEntry {
    /// First byte in the logical byte space.
    pub start: U64,
    /// Length in bytes.
    pub len: U32,
    /// What the codec counted, as the sites of a frame; 0 where it counts nothing.
    pub weight: U32,
    /// Start of the key among the keys of the same log entry.
    pub key_at: U32,
    /// The lower 16 bits of the length of the key in bytes.
    pub key_len: U16,
    /// Kind of the key (see [`key_bytes`]).
    pub key_kind: u8,
    /// 1 if the record was put with a row, else 0; plus twice the upper 7 bits of the length of
    /// the key.
    pub row: u8,
}

impl RecordEntry {
    /// Length of the key in bytes.
    #[must_use]
    pub fn key_len(&self) -> usize {
        usize::from(self.row >> 1) << 16 | usize::from(self.key_len.get())
    }

    /// Whether the record was put with a row.
    #[must_use]
    pub const fn has_row(&self) -> bool {
        self.row & 1 != 0
    }

    /// Whether keys of these records fit into `len` bytes without sharing any: a file could
    /// otherwise name the same bytes again and again.
    #[must_use]
    pub fn keys_fit(records: &[Self], len: usize) -> bool {
        records.iter().try_fold(len, |left, e| left.checked_sub(e.key_len())).is_some()
    }

    /// The fields `key_len` and `row` for a key of `len` bytes; nothing for one that is longer
    /// than [`KEY_MAX`].
    #[must_use]
    pub fn key_fields(len: usize, has_row: bool) -> Option<(U16, u8)> {
        let upper = u8::try_from(len >> 16).ok().filter(|_| len <= KEY_MAX)?;
        let lower = u16::try_from(len & 0xffff).ok()?;
        Some((U16::new(lower), upper << 1 | u8::from(has_row)))
    }
}

/// One finished chunk: where it lies in the file and how it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct ChunkEntry {
    /// First byte in the file, a multiple of 64 unless another program wrote the chunk.
    pub offset: U64,
    /// Checksum of the chunk's header and block starts, tied to its place.
    pub prefix_sum: U64,
    /// Length in bytes.
    pub cbytes: U32,
    /// First of its block checksums among those of the same segment.
    pub first_sum: U32,
    /// Number of blocks.
    pub blocks: U32,
    /// 0.
    pub reserved: U32,
}

/// Most records in a store.
pub const RECORDS_MAX: u64 = (1 << 47) - 1;

/// Reference to a segment: its place, and the checksum of its page checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct SegmentRef {
    /// First byte in the file, a multiple of 64.
    pub offset: U64,
    /// Length in bytes, page checksums included.
    pub len: U64,
    /// Checksum of the page checksums, tied to the place.
    pub sum: U64,
}

/// A leaf in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct LeafRef {
    /// Where it is.
    pub segment: SegmentRef,
    /// First record in it.
    pub first_record: U64,
    /// First chunk in it.
    pub first_chunk: U64,
    /// Number of records in it.
    pub records: U32,
    /// Number of chunks in it.
    pub chunks: U32,
    /// Number of block checksums in it.
    pub sums: U32,
    /// Its packed records in words of 8 bytes.
    pub packed: U32,
    /// First byte of the second copy of the segment; 0 if there is none.
    pub copy: U64,
}

/// What a leaf says of itself, behind the header of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct LeafHeader {
    /// Number of records in it.
    pub records: U32,
    /// Number of chunks in it.
    pub chunks: U32,
    /// Number of block checksums in it.
    pub sums: U32,
    /// Its packed records in words of 8 bytes.
    pub packed: U32,
    /// The kind of all keys, if each is greater than the one before; else [`KEY_NONE`]. Records
    /// without a key and shared ones do not count.
    pub ordered: u8,
    /// 0.
    pub reserved: [u8; 15],
    /// Bit `i` is set if its rows have number `i` of each row; none if it has no rows.
    pub numbers: [u8; 16],
}

impl LeafHeader {
    /// The numbers of a row that its rows have, as bits.
    #[must_use]
    pub const fn numbers(&self) -> u128 {
        u128::from_le_bytes(self.numbers)
    }
}

/// A run of keys or of deleted records in the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct RunRef {
    /// Where it is.
    pub segment: SegmentRef,
    /// Number of entries in it.
    pub count: U64,
    /// Blocks of the filter that lies behind it; 0 without one.
    pub filter_blocks: U32,
    /// 0.
    pub reserved: U32,
}

impl RunRef {
    /// First byte of its filter in the file: the next multiple of 64 behind the segment. `None`
    /// without a filter, or if this is no place in a file.
    #[must_use]
    pub fn filter_at(&self) -> Option<u64> {
        let end = self.segment.offset.get().checked_add(self.segment.len.get())?;
        let at = end.checked_next_multiple_of(FILTER_BLOCK as u64)?;
        (self.filter_blocks.get() > 0).then_some(at)
    }

    /// Bytes of its filter.
    #[must_use]
    pub fn filter_len(&self) -> u64 {
        u64::from(self.filter_blocks.get()) * FILTER_BLOCK as u64
    }

    /// Bytes of the segment and of the filter.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segment.len.get().saturating_add(self.filter_len())
    }
}

/// A log extent that may be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable, Default)]
#[repr(C)]
pub struct Extent {
    /// First byte in the file.
    pub offset: U64,
    /// Bytes that it can hold.
    pub capacity: U64,
    /// The first commit that no longer needed it; 0 for the one in use.
    pub retired: U64,
}

/// The part of a root between its header and its lists.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Default)]
#[repr(C)]
pub struct RootTotals {
    /// Records ever put up to this root.
    pub records: U64,
    /// Chunks finished up to this root.
    pub chunks: U64,
    /// Records deleted or replaced up to this root.
    pub dead_records: U64,
    /// Bytes of those records.
    pub dead_bytes: U64,
    /// End of the last record in the logical byte space.
    pub cursor: U64,
    /// Sum of the lengths of all records ever put.
    pub record_bytes: U64,
    /// Bytes of the file that nothing refers to any more.
    pub garbage: U64,
    /// Bytes of the base chunk that hold records; 0 if there is no base chunk.
    pub base_fill: U32,
    /// Number of block checksums of the base chunk.
    pub base_sums: U32,
    /// The open chunk as the last seal wrote it, zero-filled; all zero if there is none.
    pub base: ChunkEntry,
    /// Number of directory pages.
    pub pages: U32,
    /// Number of leaves listed in the root itself.
    pub leaves: U32,
    /// Number of runs of keys.
    pub runs: U32,
    /// Number of segments of deleted records.
    pub dead_runs: U32,
    /// Number of log extents.
    pub extents: U32,
    /// Length of the attributes.
    pub attributes: U32,
    /// Block size of the open chunk in bytes, 0 if none is open.
    pub open_block: U32,
    /// How many of `dead_records` are shared records.
    pub shared: U32,
}

/// The first bytes of a log entry.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Default)]
#[repr(C)]
pub struct LogHeader {
    /// [`LOG_MAGIC`].
    pub magic: [u8; 8],
    /// Checksum of the entry from byte 16 on, tied to file, generation and place.
    pub sum: U64,
    /// Length of the entry in bytes, a multiple of 8.
    pub len: U64,
    /// The commit that the entry makes.
    pub generation: U64,
    /// First of its records.
    pub first_record: U64,
    /// First of its chunks.
    pub first_chunk: U64,
    /// End of the last record in the logical byte space.
    pub cursor: U64,
    /// Number of records.
    pub records: U32,
    /// Number of chunks.
    pub chunks: U32,
    /// Number of block checksums.
    pub sums: U32,
    /// Number of records that it deletes.
    pub dead: U32,
    /// Number of pieces of the open chunk.
    pub pieces: U32,
    /// Bytes of keys.
    pub keys_len: U32,
    /// Bytes of attributes plus one, or 0 if they did not change.
    pub attributes: U32,
    /// Block size of the open chunk in bytes, 0 if none is open.
    pub open_block: U32,
}

/// A piece of the open chunk in a log entry: the bytes that one commit added.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Default)]
#[repr(C)]
pub struct PieceEntry {
    /// First byte inside the chunk.
    pub start: U32,
    /// Length in bytes, decoded.
    pub len: U32,
    /// Length of the Blosc2 chunk that holds it, without the padding to 8 behind it.
    pub stored: U32,
    /// 0.
    pub reserved: U32,
}

const _: () = assert!(
    size_of::<SegmentHeader>() == 64
        && size_of::<RecordEntry>() == 24
        && size_of::<ChunkEntry>() == 32
        && size_of::<LeafRef>() == 64
        && size_of::<LeafHeader>() == 48
        && size_of::<RunRef>() == 40
        && size_of::<Extent>() == 24
        && size_of::<RootTotals>() == 128
        && size_of::<LogHeader>() == 88
        && size_of::<PieceEntry>() == 16
);

/// A record without a name.
pub const KEY_NONE: u8 = 0;
/// UTF-8 text.
pub const KEY_STR: u8 = 1;
/// An integer below 2^63: 8 bytes, little-endian, two's complement.
pub const KEY_I64: u8 = 2;
/// An integer from 2^63: 8 bytes, little-endian.
pub const KEY_U64: u8 = 3;
/// Bytes.
pub const KEY_BYTES: u8 = 4;
/// The 16 bytes of the [`Digest`](crate::wire::Digest) of the record's own bytes: a shared
/// record. It stands in the lists of deleted records, so that it has no ordinal, and is found
/// all the same.
pub const KEY_SHARED: u8 = 5;

/// The kind of a key and the bytes that stand for it in a key heap; `None` for a number that
/// cannot be a key.
pub fn key_bytes<'a>(key: &'a Key, scratch: &'a mut [u8; 8]) -> Option<(u8, &'a [u8])> {
    Some(match key {
        Key::Str(s) => (KEY_STR, s.as_bytes()),
        Key::Bytes(b) => (KEY_BYTES, b),
        Key::Int(i) => {
            if let Ok(i) = i64::try_from(*i) {
                *scratch = i.to_le_bytes();
                (KEY_I64, scratch.as_slice())
            } else {
                *scratch = u64::try_from(*i).ok()?.to_le_bytes();
                (KEY_U64, scratch.as_slice())
            }
        }
    })
}

/// The key that these bytes of this kind stand for; `None` if they stand for none.
#[must_use]
pub fn key_from_bytes(kind: u8, bytes: &[u8]) -> Option<Key> {
    match kind {
        KEY_STR => Some(Key::Str(std::str::from_utf8(bytes).ok()?.into())),
        KEY_I64 => Some(Key::Int(i128::from(i64::from_le_bytes(bytes.try_into().ok()?)))),
        KEY_U64 => Some(Key::Int(i128::from(u64::from_le_bytes(bytes.try_into().ok()?)))),
        KEY_BYTES => Some(Key::Bytes(bytes.into())),
        _ => None,
    }
}

/// The integer below 2^63 that a key is, if it is one.
#[must_use]
pub fn signed(kind: u8, bytes: &[u8]) -> Option<i64> {
    (kind == KEY_I64).then(|| bytes.try_into().map(i64::from_le_bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_keys_never_collide() {
        let mut a = [0; 8];
        let mut b = [0; 8];
        for (x, y) in [(Key::from("1"), Key::from(&b"1"[..])), (Key::from(-1), Key::from(u64::MAX))]
        {
            let x = key_bytes(&x, &mut a).map(|(k, b)| (k, b.to_vec()));
            let y = key_bytes(&y, &mut b).map(|(k, b)| (k, b.to_vec()));
            assert_ne!(x, y);
        }
    }

    #[test]
    fn every_key_comes_back_from_its_bytes() {
        let keys = [Key::from("é"), Key::from(i64::MIN), Key::from(u64::MAX), Key::from(vec![0])];
        for key in keys {
            let mut s = [0; 8];
            let (kind, bytes) = key_bytes(&key, &mut s).unwrap();
            assert_eq!(key_from_bytes(kind, bytes), Some(key.clone()));
        }
    }
}
